"""The bus on Redis: what joins several gateways on one database. See `RedisBus`."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping
from random import Random, SystemRandom
from uuid import UUID

import structlog
from redis.exceptions import RedisError

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.keys import bounded_key
from pepeunit_gateway.bus.memory import Clock
from pepeunit_gateway.bus.port import MAX_VALUE, BusAwayError, Count, Lease
from pepeunit_gateway.bus.redis_debts import Debts
from pepeunit_gateway.bus.redis_link import RedisLink
from pepeunit_gateway.bus.redis_scripts import ACQUIRE, COUNT, PEEK, RELEASE, RENEW
from pepeunit_gateway.bus.redis_stream import StreamPosition, Unsent
from pepeunit_gateway.bus.subscription import Readers, Source, Subscription

__all__ = ["RedisBus"]

log = structlog.get_logger(__name__)

_LEASE, _CACHE, _COUNTER = "pepeunit:lease:", "pepeunit:cache:", "pepeunit:count:"
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_STOP_LIMIT = 1.0


class RedisBus:
    """The adapter of `Bus` for several processes.

    Own changes reach the subscribers of this process at once, with or without Redis. One task follows the stream and
    notices when Redis is back; another sends what waits. After every lost connection all subscribers are told to look
    at everything, because Redis may have lost what it had acknowledged.

    Args:
        url: of PU_REDIS_URL: `redis://`, `rediss://` or `unix://`.
        clock: seconds; only differences count.
        random: spreads the tries to reconnect.

    Raises:
        SettingsError: the URL cannot be used.
    """

    def __init__(self, url: str, *, clock: Clock = time.monotonic, random: Random | None = None) -> None:
        self._link = RedisLink(url)
        self._random = random or SystemRandom()
        self._readers = Readers()
        self._debts = Debts(clock, cache=_CACHE, counters=_COUNTER)
        self._unsent = Unsent()
        self._waiting = asyncio.Event()
        self._origin = secrets.token_hex(8).encode()
        self._position = StreamPosition(self._link, self._origin)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def shared(self) -> bool:
        """See `Bus.shared`."""
        return True

    @property
    def connected(self) -> bool:
        """Whether Redis answers at this moment."""
        return self._link.up.is_set()

    async def start(self) -> None:
        """See `Bus.start`."""
        try:
            await self._connect()
        except (RedisError, OSError, TimeoutError) as error:
            self._link.lost(error)
        self._tasks = [
            asyncio.create_task(self._follow(), name="bus-follow"),
            asyncio.create_task(self._send(), name="bus-send"),
        ]

    async def stop(self) -> None:
        """See `Bus.stop`."""
        try:
            async with asyncio.timeout(_STOP_LIMIT):
                await self._unsent.send(self._link, self._origin)
        except (BusAwayError, TimeoutError):
            log.warning("bus.stop.unsent", note="other gateways find these changes at their next look at everything")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self._link.close()

    # --- the change stream ---

    def publish(self, change: Change, uuids: Iterable[UUID]) -> None:
        """See `Bus.publish`."""
        uuids = tuple(uuids)
        self._readers.tell(change, uuids, own=True)
        self._unsent.add(change, uuids)
        self._waiting.set()

    def subscribe(self, change: Change, *, source: Source = Source.ANY) -> Subscription:
        """See `Bus.subscribe`."""
        return self._readers.subscribe(change, source)

    async def append(self, stream: str, fields: Mapping[str, str], *, max_entries: int) -> None:
        """Append an entry to a stream of others, which is kept at about `max_entries`.

        Raises:
            BusAwayError: try again later.
        """
        pairs = (part for pair in fields.items() for part in pair)
        await self._link.call("XADD", stream, "MAXLEN", "~", max_entries, "*", *pairs)

    # --- leases ---

    async def acquire(self, name: str, holder: str, ttl: float, *, above: int = 0) -> Lease | None:
        """See `Bus.acquire`."""
        try:
            fence = await self._link.call("EVAL", ACQUIRE, 1, _LEASE + name, holder, round(ttl * 1e6), above)
        except BusAwayError:
            return None
        return None if fence is None else Lease(name, holder, int(fence))

    async def renew(self, lease: Lease, ttl: float) -> bool:
        """See `Bus.renew`."""
        what = (_LEASE + lease.name, lease.holder, lease.fence)
        try:
            return bool(await self._link.call("EVAL", RENEW, 1, *what, round(ttl * 1e6)))
        except BusAwayError:
            return False

    async def release(self, lease: Lease) -> None:
        """See `Bus.release`."""
        try:
            await self._link.call("EVAL", RELEASE, 1, _LEASE + lease.name, lease.holder, lease.fence)
        except BusAwayError:
            log.info("bus.lease.not_released", lease=lease.name, note="others get it when its time is over")

    # --- the cache ---

    async def recall(self, key: str) -> bytes | None:
        """See `Bus.recall`."""
        try:
            value: bytes | None = await self._link.call("GET", _CACHE + bounded_key(key))
        except BusAwayError:
            return None
        return value

    async def keep(self, key: str, value: bytes, ttl: float) -> None:
        """See `Bus.keep`."""
        if len(value) > MAX_VALUE:
            await self.forget(key)
            return
        try:
            await self._link.call("SET", _CACHE + bounded_key(key), value, "PX", _milliseconds(ttl))
        except BusAwayError:
            self._debts.forget(bounded_key(key))  # an older value may be there

    async def forget(self, key: str) -> None:
        """See `Bus.forget`."""
        key = bounded_key(key)
        try:
            await self._link.call("UNLINK", _CACHE + key)
        except BusAwayError:
            self._debts.forget(key)

    # --- counters ---

    async def increment(self, key: str, ttl: float) -> Count:
        """See `Bus.increment`."""
        key = bounded_key(key)
        try:
            count, left = await self._link.call("EVAL", COUNT, 1, _COUNTER + key, 1, _milliseconds(ttl))
        except BusAwayError:
            return self._debts.increment(key, ttl)
        return Count(int(count), left / 1000)

    async def peek(self, key: str) -> Count | None:
        """See `Bus.peek`."""
        key = bounded_key(key)
        try:
            found = await self._link.call("EVAL", PEEK, 1, _COUNTER + key)
        except BusAwayError:
            return self._debts.peek(key)
        return None if found is None else Count(int(found[0]), max(found[1], 0) / 1000)

    async def reset(self, key: str) -> None:
        """See `Bus.reset`."""
        key = bounded_key(key)
        try:
            await self._link.call("UNLINK", _COUNTER + key)
        except BusAwayError:
            self._debts.reset(key)

    # --- the two tasks ---

    async def _connect(self) -> None:
        await self._link.check()
        await self._position.take()
        await self._debts.pay(self._link)
        self._link.found()
        await self._debts.pay(self._link)  # what came while the first was paid

    async def _follow(self) -> None:
        """Read the stream; when Redis is lost, try again after 0.1 s, doubling to 5 s, with jitter."""
        pause = _FIRST_PAUSE
        while True:
            try:
                if not self._link.up.is_set():
                    await self._link.drop()
                    await self._connect()
                    self._readers.miss()
                while self._link.up.is_set():
                    await self._take()
                    pause = _FIRST_PAUSE
            except (RedisError, OSError, TimeoutError) as error:
                self._link.lost(error)
            except Exception:  # the root of a task: logged once with its context, and on it goes
                log.exception("bus.follow.failed")
                self._link.up.clear()
            await asyncio.sleep(pause * self._random.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _take(self) -> None:
        entries, missed = await self._position.read()
        if missed:
            log.warning("bus.changes.missed", action="everything is looked at again")
            self._readers.miss()
        for entry in entries:
            if entry.change is None or entry.uuids is None:
                self._readers.miss(entry.change)
            else:
                self._readers.tell(entry.change, entry.uuids, own=False)

    async def _send(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            await self._waiting.wait()
            await self._link.up.wait()
            self._waiting.clear()
            try:
                await self._unsent.send(self._link, self._origin)
                pause = _FIRST_PAUSE
            except BusAwayError:
                self._waiting.set()
                await asyncio.sleep(pause * self._random.uniform(0.5, 1.0))
                pause = min(pause * 2, _LONGEST_PAUSE)
            except Exception:  # the root of a task: others hear of it at their next look at everything
                log.exception("bus.send.failed")


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
