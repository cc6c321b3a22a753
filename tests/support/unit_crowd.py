"""Many simulated units in this process: each a raw MQTT session at the front door that hears its Updates.

They come back by themselves when they are cut off, as units do.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Self, cast
from uuid import UUID

from pepeunit_gateway.topics import BackendTopicCommand, DestinationTopicType, base_topic, command_topic
from tests.support.mqtt import PUBACK, PUBLISH, SUBACK, connect_packet, packet, publish_packet, subscribe_packet

__all__ = ["Heard", "UnitCrowd"]

_AT_ONCE = 40
_RETRY = 0.1, 0.4
_LONG_HEADER = 0x80


@dataclass(frozen=True)
class Heard:
    """A command and when it came."""

    at: datetime
    commit: str


class _Session(asyncio.Protocol):
    """One connection of one unit."""

    def __init__(self, crowd: "UnitCrowd", unit: UUID, token: str) -> None:
        self._crowd, self._unit, self._token = crowd, unit, token
        self._received = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        topic = command_topic(self._crowd.domain, self._unit, BackendTopicCommand.UPDATE)
        hello = connect_packet(str(self._unit), self._token, keepalive=600)
        self.transport.write(hello + subscribe_packet(topic))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature of asyncio
        self._crowd.listening.discard(self._unit)
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= 2:
            length, start = self._received[1], 2
            if length >= _LONG_HEADER:
                length, start = length & 0x7F | self._received[2] << 7, 3
            if len(self._received) < start + length:
                return
            first, body = self._received[0], self._received[start : start + length]
            self._received = self._received[start + length :]
            self._take(first, body)

    def _take(self, first: int, body: bytes) -> None:
        if first & 0xF0 == PUBLISH:
            size = 2 + int.from_bytes(body[:2], "big")
            self.transport.write(packet(PUBACK, body[size : size + 2]))
            self._crowd.hear(self._unit, json.loads(body[size + 2 :])["PU_COMMIT_VERSION"])
        elif first == SUBACK:
            assert body[2] == 1, f"{self._unit} may not hear its Updates"
            self._crowd.listening.add(self._unit)
            self._crowd.changed.set()


@dataclass
class UnitCrowd:
    """Use as `async with`; all units listen when it is entered."""

    port: int
    domain: str
    tokens: Mapping[UUID, str]
    heard: dict[UUID, list[Heard]] = field(default_factory=dict)
    listening: set[UUID] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.changed = asyncio.Event()
        self._chance = Random(5)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._sessions: dict[UUID, _Session] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.heard = {unit: [] for unit in self.tokens}
        self._tasks = [asyncio.create_task(self._live(*one)) for one in self.tokens.items()]
        await self.until(lambda: len(self.listening) == len(self.tokens))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live(self, unit: UUID, token: str) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with self._slots:
                    _, session = await loop.create_connection(
                        lambda: _Session(self, unit, token), "127.0.0.1", self.port
                    )
                self._sessions[unit] = session
                try:
                    await session.ended
                finally:
                    session.transport.abort()
            except OSError:  # the gateway is away
                pass
            await asyncio.sleep(self._chance.uniform(*_RETRY))

    def hear(self, unit: UUID, commit: str) -> None:
        self.heard[unit].append(Heard(datetime.now(UTC), commit))
        self.changed.set()

    def report(self, unit: UUID, commit: str) -> None:
        """Let a unit say what it runs; nobody waits for the acknowledgement."""
        topic = base_topic(self.domain, DestinationTopicType.OUTPUT_BASE_TOPIC, unit, "state/pepeunit")
        state = json.dumps({"millis": 1.0, "pu_commit_version": commit}).encode()
        self._sessions[unit].transport.write(publish_packet(topic, state, qos=1, mid=9))

    def count(self, commit: str) -> int:
        """How many units heard of a commit."""
        return sum(any(heard.commit == commit for heard in one) for one in self.heard.values())

    def times(self, commit: str) -> list[datetime]:
        """When each command to a commit came, in order."""
        return sorted(heard.at for one in self.heard.values() for heard in one if heard.commit == commit)

    def tally(self, commit: str) -> Counter[int]:
        """How many units heard of a commit how often."""
        return Counter(sum(heard.commit == commit for heard in one) for one in self.heard.values())

    async def until(self, holds, *, limit: float = 60.0) -> None:
        """Wait until `holds()`, looked at whenever something came."""
        async with asyncio.timeout(limit):
            while not holds():
                self.changed.clear()
                await self.changed.wait()
