"""What Redis could not be told while it was away, kept until it is back: values to forget, counts, resets."""

from pepeunit_gateway.bus.memory import Clock, MemoryCounters
from pepeunit_gateway.bus.port import Count
from pepeunit_gateway.bus.redis_link import RedisLink
from pepeunit_gateway.bus.redis_scripts import COUNT

__all__ = ["Debts"]

_MAX_KEYS = 10_000
_SCAN = 500


class Debts:
    """Bounded: too many values to forget become all values; too many resets are left to the life times."""

    def __init__(self, clock: Clock, *, cache: str, counters: str) -> None:
        self._counts = MemoryCounters(clock)
        self._cache = cache
        self._counters = counters
        self._forget: set[str] = set()
        self._forget_all = False
        self._reset: set[str] = set()

    def forget(self, key: str) -> None:
        """Note that a cached value must go."""
        if len(self._forget) < _MAX_KEYS:
            self._forget.add(key)
        else:
            self._forget_all = True

    def increment(self, key: str, ttl: float) -> Count:
        """Count in this process."""
        return self._counts.increment(key, ttl)

    def peek(self, key: str) -> Count | None:
        """Return what this process has counted."""
        return self._counts.peek(key)

    def reset(self, key: str) -> None:
        """Forget what this process has counted, and note that Redis must."""
        self._counts.reset(key)
        if len(self._reset) < _MAX_KEYS:
            self._reset.add(key)

    async def pay(self, link: RedisLink) -> None:
        """Tell Redis all of it; what it does not take stays.

        Raises:
            RedisError, OSError, TimeoutError: as they come.
        """
        if self._forget_all:
            await self._forget_everything(link)
            self._forget_all = False
        while self._forget:
            await link.probe("UNLINK", self._cache + (key := next(iter(self._forget))))
            self._forget.discard(key)
        while self._reset:
            await link.probe("UNLINK", self._counters + (key := next(iter(self._reset))))
            self._reset.discard(key)
        for key, count in self._counts.living().items():
            await self._hand_over(link, key, count)

    async def _hand_over(self, link: RedisLink, key: str, count: Count) -> None:
        self._counts.reset(key)  # first: what is counted meanwhile is counted anew
        milliseconds = max(1, round(count.seconds_left * 1000))
        try:
            await link.probe("EVAL", COUNT, 1, self._counters + key, count.count, milliseconds)
        except BaseException:
            self._counts.increment(key, count.seconds_left, by=count.count)
            raise

    async def _forget_everything(self, link: RedisLink) -> None:
        cursor: int | bytes = 0
        while True:
            cursor, keys = await link.probe("SCAN", cursor, "MATCH", self._cache + "*", "COUNT", _SCAN)
            if keys:
                await link.probe("UNLINK", *keys)
            if int(cursor) == 0:
                return
