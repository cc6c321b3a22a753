"""Figures of the requests for Prometheus, in the names of the contract. Source: protocol/jobs_and_integrations.md 9.3.

Kept as plain numbers on the event loop's thread and turned into samples when somebody asks, because counting happens at
every request and asking every few seconds.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

__all__ = ["RequestMetrics"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"})
_OTHER = "other"
_ROUTE_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_ALL_BUCKETS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0,
    7.5, 10.0, 30.0, 60.0,
)  # fmt: skip


class _Histogram:
    """Counts by upper bound in seconds, the last for what is above all of them."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        found: list[tuple[str, float]] = []
        sum_so_far = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self.counts, strict=True):
            sum_so_far += count
            found.append((bound, sum_so_far))
        return found


@dataclass(slots=True)
class _Series:
    """One route and method."""

    times: _Histogram = field(default_factory=lambda: _Histogram(_ROUTE_BUCKETS))
    statuses: dict[int, int] = field(default_factory=dict)
    received: int = 0
    sent: int = 0


class RequestMetrics(Collector):
    """Counts requests; a collector of a Prometheus registry."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], _Series] = {}
        self._all = _Histogram(_ALL_BUCKETS)

    def observe(self, route: str, method: str, status: int, seconds: float, *, received: int, sent: int) -> None:
        """Count one answer.

        Args:
            route: its template; there are as many series as templates and methods, never more (W55).
            method: one that is unknown counts as `other`.
            status: counted by its class, `2xx`.
            seconds: from the request's head to the last byte of the answer.
            received: bytes of the body.
            sent: bytes of the answer's body.
        """
        key = (route, method if method in _METHODS else _OTHER)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        kind = status // 100
        series.statuses[kind] = series.statuses.get(kind, 0) + 1
        series.times.add(seconds)
        series.received += received
        series.sent += sent
        self._all.add(seconds)

    def collect(self) -> Iterator[Metric]:
        """Return the samples as they are now."""
        requests = CounterMetricFamily(
            "http_requests", "Requests by route, method and class of status.", labels=["handler", "method", "status"]
        )
        times = HistogramMetricFamily(
            "http_request_duration_seconds", "Seconds until the last byte was sent.", labels=["handler", "method"]
        )
        for (route, method), series in self._series.items():
            for kind, count in series.statuses.items():
                requests.add_metric([route, method, f"{kind}xx"], count)
            times.add_metric([route, method], series.times.buckets(), series.times.total)
        yield requests
        yield times
        yield from self._sizes()
        overall = HistogramMetricFamily("http_request_duration_highr_seconds", "The same for all routes together.")
        overall.add_metric([], self._all.buckets(), self._all.total)
        yield overall

    def _sizes(self) -> Iterator[Metric]:
        received = SummaryMetricFamily("http_request_size_bytes", "Bytes of the requests' bodies.", labels=["handler"])
        sent = SummaryMetricFamily("http_response_size_bytes", "Bytes of the answers' bodies.", labels=["handler"])
        totals: dict[str, list[int]] = {}
        for (route, _), series in self._series.items():
            total = totals.setdefault(route, [0, 0, 0])
            total[0] += sum(series.times.counts)
            total[1] += series.received
            total[2] += series.sent
        for route, (count, bytes_in, bytes_out) in totals.items():
            received.add_metric([route], count, bytes_in)
            sent.add_metric([route], count, bytes_out)
        yield received
        yield sent
