"""Leases, a cache and counters in the memory of one process, each with a bound."""

import heapq
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from pepeunit_gateway.bus.port import Count, Lease

__all__ = ["MemoryCache", "MemoryCounters", "MemoryLeases"]

Clock = Callable[[], float]
"""Seconds; only differences count."""

_CACHE_ENTRIES = 10_000
_CACHE_BYTES = 16 * 1024 * 1024
_COUNTERS = 50_000


class MemoryLeases:
    """Leases among the holders of one process.

    Args:
        clock: for the ends of leases.
        now: microseconds since 1970; a fence is never lower, so that fences grow over restarts too.
    """

    def __init__(self, clock: Clock, now: Callable[[], int]) -> None:
        self._clock = clock
        self._now = now
        self._fences: dict[str, int] = {}
        self._held: dict[str, tuple[Lease, float]] = {}

    def acquire(self, name: str, holder: str, ttl: float, above: int) -> Lease | None:
        """See `Bus.acquire`."""
        held, until = self._held.get(name, (None, 0.0))
        if held is not None and held.holder != holder and until > self._clock():
            return None
        fence = self._fences[name] = max(self._fences.get(name, 0) + 1, above + 1, self._now())
        lease = Lease(name, holder, fence)
        self._held[name] = (lease, self._clock() + ttl)
        return lease

    def renew(self, lease: Lease, ttl: float) -> bool:
        """See `Bus.renew`."""
        held, until = self._held.get(lease.name, (None, 0.0))
        if held != lease or until <= self._clock():
            return False
        self._held[lease.name] = (lease, self._clock() + ttl)
        return True

    def release(self, lease: Lease) -> None:
        """See `Bus.release`."""
        if self._held.get(lease.name, (None, 0.0))[0] == lease:
            del self._held[lease.name]


class MemoryCache:
    """Values with a life time; those not used for longest give way."""

    def __init__(self, clock: Clock, *, max_entries: int = _CACHE_ENTRIES, max_bytes: int = _CACHE_BYTES) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str) -> bytes | None:
        """Return a value that is still alive."""
        value, until = self._values.get(key, (None, 0.0))
        if value is None:
            return None
        if until <= self._clock():
            self.delete(key)
            return None
        self._values.move_to_end(key)
        return value

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Keep a value; one that is larger than the whole cache is not kept."""
        self.delete(key)
        self._values[key] = (value, self._clock() + ttl)
        self._bytes += len(key) + len(value)
        while len(self._values) > self._max_entries or self._bytes > self._max_bytes:
            self.delete(next(iter(self._values)))

    def delete(self, key: str) -> None:
        """Forget a value."""
        value, _ = self._values.pop(key, (None, 0.0))
        if value is not None:
            self._bytes -= len(key) + len(value)


@dataclass(slots=True)
class _Span:
    count: int
    until: float


@dataclass(slots=True)
class MemoryCounters:
    """Counts with a life time; when there are too many, those that end soonest give way."""

    clock: Clock
    max_counters: int = _COUNTERS
    _spans: dict[str, _Span] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._spans)

    def increment(self, key: str, ttl: float, by: int = 1) -> Count:
        """See `Bus.increment`."""
        now = self.clock()
        span = self._spans.get(key)
        if span is None or span.until <= now:
            if span is None and len(self._spans) >= self.max_counters:
                self._make_room(now)
            span = self._spans[key] = _Span(0, now + ttl)
        span.count += by
        return Count(span.count, span.until - now)

    def peek(self, key: str) -> Count | None:
        """See `Bus.peek`."""
        span, now = self._spans.get(key), self.clock()
        if span is None or span.until <= now:
            return None
        return Count(span.count, span.until - now)

    def reset(self, key: str) -> None:
        """See `Bus.reset`."""
        self._spans.pop(key, None)

    def living(self) -> dict[str, Count]:
        """Return every count that is not over."""
        return {key: count for key in tuple(self._spans) if (count := self.peek(key)) is not None}

    def _make_room(self, now: float) -> None:
        """Drop what is over, and in any case a tenth: it is seldom done, so it may look at all."""
        for key in [key for key, span in self._spans.items() if span.until <= now]:
            del self._spans[key]
        surplus = len(self._spans) - self.max_counters + max(1, self.max_counters // 10)
        for key in heapq.nsmallest(surplus, self._spans, key=lambda key: self._spans[key].until):
            del self._spans[key]
