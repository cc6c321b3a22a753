"""GET <prefix>/metrics: the gateway's figures for Prometheus. docs/metrics.md lists the names.

One registry per application, in memory: several gateways are several targets, nothing is shared through files (W56).
It is open to an Admin's token and to `Authorization: Bearer <PU_METRICS_TOKEN>` (W18).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Literal

import structlog
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from pydantic import SecretStr

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.request_metrics import RequestMetrics
from pepeunit_gateway.errors import FeatureFlagError, NoAccessError, UnauthorizedError

__all__ = ["CachedCount", "Instrument", "Instruments", "Scrape", "add_metrics"]

_COUNT_TIMEOUT = 1.0
_COUNT_LIFETIME = 15.0

log = structlog.get_logger(__name__)

Identify = Callable[[web.Request], Awaitable[Agent]]


class CachedCount:
    """A number that has to be asked of the database: at most every 15 s, and a scrape waits for it at most 1 s."""

    def __init__(self, read: Callable[[], Awaitable[int]]) -> None:
        self._read = read
        self._expires = 0.0
        self.value = 0

    def __call__(self) -> float:
        """Return the number as it was last read."""
        return self.value

    async def refresh(self, now: float) -> None:
        """Read the number if it is too old; the old one stays where that takes too long or fails.

        Args:
            now: seconds of a clock that only goes forward.
        """
        if now < self._expires:
            return
        self._expires = now + _COUNT_LIFETIME
        try:
            async with asyncio.timeout(_COUNT_TIMEOUT):
                self.value = await self._read()
        except Exception as error:  # noqa: BLE001 - the scrape goes on with what is known, whatever is wrong
            log.warning("api.metrics.count_failed", error=type(error).__name__)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One figure of the gateway.

    `read` returns the number, or the numbers by the value of `label`, or of each label where there are several. A
    counter's name has no `_total`.
    """

    name: str
    about: str
    read: Callable[[], float | Mapping[str, float] | Mapping[tuple[str, ...], float]]
    kind: Literal["gauge", "counter"] = "gauge"
    label: str | tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Instruments:
    """The figures beside those of the requests; `counts` are those of them that ask the database."""

    figures: Sequence[Instrument] = ()
    counts: Sequence[CachedCount] = ()


class _Figures(Collector):
    def __init__(self, figures: Sequence[Instrument]) -> None:
        self._figures = figures

    def describe(self) -> Iterator[Metric]:
        """Return nothing: names are distinct by the page that lists them, and parts need not be asked at the start."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        for instrument in self._figures:
            labels = _texts(instrument.label or ())
            family = GaugeMetricFamily if instrument.kind == "gauge" else CounterMetricFamily
            metric = family(instrument.name, instrument.about, labels=labels)
            found = instrument.read()
            if isinstance(found, Mapping):
                for label, value in found.items():
                    metric.add_metric(_texts(label), value)
            else:
                metric.add_metric([], found)
            yield metric


def _texts(label: str | tuple[str, ...]) -> list[str]:
    return [label] if isinstance(label, str) else list(label)


class Scrape:
    """What is exposed: the requests and everything else."""

    def __init__(self, requests: RequestMetrics, instruments: Instruments) -> None:
        self._counts = instruments.counts
        self._registry = CollectorRegistry(auto_describe=False)
        for collector in (requests, _Figures(instruments.figures)):
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    async def text(self) -> bytes:
        """Return the exposition."""
        now = asyncio.get_running_loop().time()
        await asyncio.gather(*(count.refresh(now) for count in self._counts))
        return generate_latest(self._registry)


async def _check(request: web.Request, token: SecretStr, identify: Identify) -> None:
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    expected = token.get_secret_value()
    sent = given.strip().encode("utf-8", "surrogateescape")  # the bytes as they came, whatever they are
    if expected and scheme.lower() == "bearer" and compare_digest(sent, expected.encode()):
        return
    agent = await identify(request)
    if agent.uuid is None:
        raise UnauthorizedError("send an Admin's token in x-auth-token, or PU_METRICS_TOKEN as bearer token")
    if not agent.is_admin:
        raise NoAccessError("only an Admin reads the metrics")


def add_metrics(app: web.Application, path: str, scrape: Scrape | None, token: SecretStr, identify: Identify) -> None:
    """Add the route; without a `scrape` it answers that this part is off."""

    async def serve_metrics(request: web.Request) -> web.Response:
        if scrape is None:
            raise FeatureFlagError("metrics are off; PU_FF_PROMETHEUS_ENABLE=true turns them on")
        await _check(request, token, identify)
        return web.Response(body=await scrape.text(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_PLAIN_0_0_4})

    app.router.add_get(path, serve_metrics)
