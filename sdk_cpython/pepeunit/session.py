"""The unit's session with the broker: connected again for ever, subscribed, and nothing lost in silence.

Source: protocol/device.md 2.1 and 4; pitfalls S9, S12, S18, S20, S21.
"""

import asyncio
import random
from collections.abc import Callable

from .backoff import Backoff
from .connection import Connection, Endpoint
from .errors import PepeunitError, SessionError
from .log import Log
from .message import DELIVERED, DROPPED, QUEUED
from .outbox import Outbox
from .worker import Workers

__all__ = ["MAX_PAYLOAD_BYTES", "Session"]

# The broker takes packets of 256 KB; the rest is room for the topic.
MAX_PAYLOAD_BYTES = 255 * 1024
# A connection that lasted so long, in seconds, was a good one: the next wait is short again.
_STEADY = 30.0
_MOVED = "env.json names another broker or token"


class Session:
    """Publishes, subscribes and reconnects.

    `publish` may be called at any time, also before `run`. What cannot go out now waits in the outbox: the last value
    of each topic. `on_message(topic, payload)` must not block; `on_online()`
    is called after each connection, once it is subscribed.
    """

    def __init__(
        self,
        endpoint: Callable[[], Endpoint],
        log: Log,
        on_message: Callable[[str, bytes], None],
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._log = log
        self._on_message = on_message
        self._backoff = backoff or Backoff()
        self._workers = Workers(2)
        self._outbox = Outbox()
        self._connection: Connection | None = None
        self._used: Endpoint | None = None
        self._wanted: frozenset[str] = frozenset()
        self._subscribed: set[str] = set()
        self._subscribing = asyncio.Lock()
        self._hurry = asyncio.Event()
        self._lasted = 0.0
        self._closed = asyncio.Event()

    @property
    def is_online(self) -> bool:
        """True while connected and subscribed."""
        return self._connection is not None

    async def publish(self, topic: str, payload: bytes, *, keep: bool = True) -> str:
        """Publish with QoS 1: DELIVERED when the broker acknowledged it.

        Otherwise QUEUED: it goes out after the next connection, unless a newer value of the topic replaces it; or
        DROPPED: too large for the broker, no room in the queue, or not to be kept (`keep=False`).
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            self._log.error(
                f"a message of {len(payload)} bytes for {topic} was dropped: the limit is {MAX_PAYLOAD_BYTES}"
            )
            return DROPPED
        connection = self._connection
        if connection is None:
            return QUEUED if keep and self._outbox.put(topic, payload) else DROPPED
        self._outbox.discard(topic)
        if await connection.publish(topic, payload):
            return DELIVERED
        return QUEUED if keep and self._outbox.put_back(topic, payload) else DROPPED

    async def want(self, topics: frozenset[str]) -> None:
        """Be subscribed to these topics and no others, from now on and after each connection."""
        self._wanted = topics
        connection = self._connection
        if connection is not None:
            try:
                await self._synchronize(connection)
            except SessionError:
                return  # the next connection subscribes to what is wanted then

    def reconnect_if_moved(self) -> None:
        """Leave the broker if env.json now names another one, or another token."""
        if self._used is not None and self._endpoint() != self._used:
            if self._connection is not None:
                self._connection.abort(_MOVED)
            self._hurry.set()

    async def run(self, on_online: Callable[[], None]) -> None:
        """Connect, and again whenever the connection is lost, until `close`."""
        failures = 0
        told = ""
        while not self._closed.is_set():
            self._lasted = 0.0
            try:
                reason = await self._connect_once(on_online)
            except PepeunitError as error:
                reason = str(error)
            if self._closed.is_set():
                return
            failures = 1 if self._lasted > _STEADY else failures + 1
            delay = self._backoff.delay(failures, random.random())  # noqa: S311  # spreads a fleet
            if reason == _MOVED:
                self._log.info(f"{reason}: connecting there")
            elif self._lasted or reason != told:
                # An outage of days must not push everything else out of the log.
                self._log.warning(f"{reason}; trying again in {delay:.1f} s, then until it is there")
            told = reason
            await self._pause(delay)

    async def drain(self, time_limit: float) -> None:
        """Send what waits, at most `time_limit` seconds long."""
        try:
            async with asyncio.timeout(time_limit):
                await self._drain()
        except TimeoutError:
            return

    async def close(self) -> None:
        """Say goodbye to the broker; `run` ends."""
        self._closed.set()
        self._hurry.set()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connect_once(self, on_online: Callable[[], None]) -> str:
        """One connection from its beginning to its end; why it ended."""
        endpoint = self._used = self._endpoint()
        connection = Connection(endpoint, self._workers, self._on_message)
        await connection.open()
        begun = asyncio.get_running_loop().time()
        try:
            self._subscribed = set()
            await self._synchronize(connection)
            if self._endpoint() != endpoint:
                return _MOVED
            self._connection = connection
            self._log.info(f"connected to the broker at {endpoint.host}:{endpoint.port}")
            on_online()
            await self._drain()
            return await asyncio.shield(connection.lost)
        finally:
            self._connection = None
            connection.abort("session ended")
            self._lasted = asyncio.get_running_loop().time() - begun

    async def _synchronize(self, connection: Connection) -> None:
        """Subscribe to what is missing, unsubscribe from what is gone. A denied topic harms nothing else (S12)."""
        async with self._subscribing:
            wanted = self._wanted
            gone = self._subscribed - wanted
            denied = await connection.subscribe(wanted - self._subscribed)
            await connection.unsubscribe(gone)
            self._subscribed = set(wanted - denied)
        for topic in sorted(denied):
            self._log.warning(f"the broker denies {topic}: the unit may not receive it (any more)")

    async def _drain(self) -> None:
        while self._connection is not None and (waiting := self._outbox.take()) is not None:
            if not await self._connection.publish(*waiting):
                self._outbox.put_back(*waiting)
                raise SessionError("the connection was lost while queued messages were sent")

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
        finally:
            self._hurry.clear()
