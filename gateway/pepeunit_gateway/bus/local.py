"""The bus in process: nothing to connect to, nothing that can be away."""

import time
from collections.abc import Iterable, Mapping
from uuid import UUID

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.keys import bounded_key
from pepeunit_gateway.bus.memory import Clock, MemoryCache, MemoryCounters, MemoryLeases
from pepeunit_gateway.bus.port import MAX_VALUE, Count, Lease
from pepeunit_gateway.bus.subscription import Readers, Source, Subscription

__all__ = ["LocalBus"]


def _microseconds() -> int:
    return time.time_ns() // 1000


class LocalBus:
    """The adapter of `Bus` for one process. `clock` is in seconds; only differences count."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._readers = Readers()
        self._leases = MemoryLeases(clock, _microseconds)
        self._cache = MemoryCache(clock)
        self._counters = MemoryCounters(clock)

    @property
    def connected(self) -> bool:
        """See `Bus.connected`."""
        return True

    @property
    def shared(self) -> bool:
        """See `Bus.shared`."""
        return False

    async def start(self) -> None:
        """See `Bus.start`."""

    async def stop(self) -> None:
        """See `Bus.stop`."""

    def publish(self, change: Change, uuids: Iterable[UUID]) -> None:
        """See `Bus.publish`."""
        self._readers.tell(change, uuids, own=True)

    def subscribe(self, change: Change, *, source: Source = Source.ANY) -> Subscription:
        """See `Bus.subscribe`."""
        return self._readers.subscribe(change, source)

    async def append(self, stream: str, fields: Mapping[str, str], *, max_entries: int) -> None:
        """See `Bus.append`; there is nobody to read it."""

    async def acquire(self, name: str, holder: str, ttl: float, *, above: int = 0) -> Lease | None:
        """See `Bus.acquire`."""
        return self._leases.acquire(name, holder, ttl, above)

    async def renew(self, lease: Lease, ttl: float) -> bool:
        """See `Bus.renew`."""
        return self._leases.renew(lease, ttl)

    async def release(self, lease: Lease) -> None:
        """See `Bus.release`."""
        self._leases.release(lease)

    async def recall(self, key: str) -> bytes | None:
        """See `Bus.recall`."""
        return self._cache.get(bounded_key(key))

    async def keep(self, key: str, value: bytes, ttl: float) -> None:
        """See `Bus.keep`."""
        if len(value) > MAX_VALUE:
            self._cache.delete(bounded_key(key))
        else:
            self._cache.set(bounded_key(key), value, ttl)

    async def forget(self, key: str) -> None:
        """See `Bus.forget`."""
        self._cache.delete(bounded_key(key))

    async def increment(self, key: str, ttl: float) -> Count:
        """See `Bus.increment`."""
        return self._counters.increment(bounded_key(key), ttl)

    async def peek(self, key: str) -> Count | None:
        """See `Bus.peek`."""
        return self._counters.peek(bounded_key(key))

    async def reset(self, key: str) -> None:
        """See `Bus.reset`."""
        self._counters.reset(bounded_key(key))
