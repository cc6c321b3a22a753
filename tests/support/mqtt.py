"""Real MQTT clients for tests: raw sockets that send any bytes, and a managed broker with a fleet of made-up units."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

from pepeunit_gateway.access.grants import Grants
from pepeunit_gateway.broker.managed import ManagedBroker, ManagedBrokerConfig
from pepeunit_gateway.broker.port import ConnectRefused, Identity, RefuseReason

DOMAIN = "pepeunit.test"
DEADLINE = 5.0

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x20, 0x30, 0x40, 0x50, 0x62, 0x70
SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 0x90, 0xB0, 0xD0, 0xE0
PINGREQ_PACKET, DISCONNECT_PACKET = b"\xc0\x00", b"\xe0\x00"


# --- packets ---


def field_bytes(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def packet(first: int, body: bytes) -> bytes:
    length, out = len(body), bytearray([first])
    while True:
        length, byte = divmod(length, 128)
        out.append(byte | (0x80 if length else 0))
        if not length:
            return bytes(out) + body


def connect_packet(
    client_id: str,
    token: str | None,
    *,
    level: int = 4,
    clean: bool = True,
    password: bytes | None = b"",
    keepalive: int = 60,
    properties: bytes = b"",
    will: tuple[str, bytes] | None = None,
) -> bytes:
    """A CONNECT as devices send it: token as username, empty password."""
    flags = (0x02 if clean else 0) | (0x04 if will else 0)
    payload = field_bytes(client_id)
    if will:
        payload += (b"\x00" if level == 5 else b"") + field_bytes(will[0]) + field_bytes(will[1])
    if token is not None:
        flags |= 0x80
        payload += field_bytes(token)
    if password is not None and (token is not None or level == 5):
        flags |= 0x40
        payload += field_bytes(password)
    head = field_bytes("MQTT") + bytes([level, flags]) + keepalive.to_bytes(2, "big")
    if level == 5:
        head += bytes([len(properties)]) + properties
    return packet(0x10, head + payload)


def publish_packet(topic: str, payload: bytes, *, qos: int = 0, mid: int = 1, level: int = 4, flags: int = 0) -> bytes:
    identifier = mid.to_bytes(2, "big") if qos else b""
    return packet(0x30 | qos << 1 | flags, field_bytes(topic) + identifier + (b"\x00" if level == 5 else b"") + payload)


def subscribe_packet(*filters: str, mid: int = 1, level: int = 4, qos: int = 1) -> bytes:
    body = mid.to_bytes(2, "big") + (b"\x00" if level == 5 else b"")
    return packet(0x82, body + b"".join(field_bytes(item) + bytes([qos]) for item in filters))


def unsubscribe_packet(*filters: str, mid: int = 1, level: int = 4) -> bytes:
    body = mid.to_bytes(2, "big") + (b"\x00" if level == 5 else b"")
    return packet(0xA2, body + b"".join(map(field_bytes, filters)))


@dataclass(frozen=True)
class Packet:
    first: int
    body: bytes

    @property
    def kind(self) -> int:
        return self.first if self.first >> 4 != 3 else PUBLISH

    def message(self, level: int = 4) -> tuple[str, bytes]:
        """Topic and payload of a PUBLISH."""
        size = int.from_bytes(self.body[:2], "big")
        start = 2 + size + (2 if self.first & 0x06 else 0) + (1 if level == 5 else 0)
        return self.body[2 : 2 + size].decode(), self.body[start:]


# --- a client that sends any bytes ---


class RawClient:
    """A socket with the packets it received; every wait has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> "RawClient":
        async with asyncio.timeout(DEADLINE):
            return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, *packets: bytes) -> None:
        self.writer.write(b"".join(packets))
        async with asyncio.timeout(DEADLINE):
            await self.writer.drain()

    async def receive(self) -> Packet:
        async with asyncio.timeout(DEADLINE):
            first = (await self.reader.readexactly(1))[0]
            length = shift = 0
            while True:
                byte = (await self.reader.readexactly(1))[0]
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return Packet(first, await self.reader.readexactly(length))

    async def expect(self, kind: int) -> Packet:
        received = await self.receive()
        assert received.kind == kind, f"expected {kind:#x}, got {received}"
        return received

    async def expect_end(self) -> bytes:
        """Wait until the other side has closed; return what it still sent."""
        async with asyncio.timeout(DEADLINE):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


# --- units and messages ---


@dataclass
class FakeUnit:
    uuid: UUID
    token: str
    grants: Grants

    def __repr__(self) -> str:
        return f"FakeUnit({self.uuid})"

    @property
    def output(self) -> str:
        return f"{DOMAIN}/{self.uuid}/pepeunit"

    @property
    def command(self) -> str:
        return f"{DOMAIN}/input_base_topic/{self.uuid}/update/pepeunit"


@dataclass
class Fleet:
    """Stands for the app behind the door: its units, and an authenticator that knows them."""

    units: dict[str, FakeUnit] = field(default_factory=dict)
    asked: int = 0

    def add(self, *, publish: tuple[str, ...] = (), subscribe: tuple[str, ...] = ()) -> FakeUnit:
        """A unit that owns its output and its command topic, and what is given beside."""
        unit = FakeUnit(uuid4(), f"token-{len(self.units)}", Grants(frozenset(), frozenset()))
        unit.grants = Grants(frozenset({unit.output, *publish}), frozenset({unit.command, *subscribe}))
        self.units[unit.token] = unit
        return unit

    async def authenticate(self, token: str, client_id: str) -> Identity:
        self.asked += 1
        unit = self.units.get(token)
        if unit is None:
            raise ConnectRefused(RefuseReason.BAD_CREDENTIALS)
        if any(client_id == str(other.uuid) for other in self.units.values() if other is not unit):
            raise ConnectRefused(RefuseReason.CLIENT_ID)
        return Identity(unit.uuid, unit.grants)


class Inbox:
    """The gateway's handler: keeps what came; with `hold` set it commits nothing until `release`."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.committed: list[tuple[str, bytes]] = []
        self.hold = False
        self.failing = 0
        self._changed = asyncio.Event()
        self._released = asyncio.Event()

    async def __call__(self, topic: str, payload: bytes) -> None:
        self.messages.append((topic, payload))
        self._changed.set()
        if self.failing:
            self.failing -= 1
            raise RuntimeError("the database is away")
        if self.hold:
            await self._released.wait()
        self.committed.append((topic, payload))
        self._changed.set()

    def release(self) -> None:
        """Let everything that is held be committed, and hold no more."""
        self.hold = False
        self._released.set()
        self._released = asyncio.Event()

    async def wait_for_commits(self, count: int, *, time_limit: float = DEADLINE) -> None:
        async with asyncio.timeout(time_limit):
            while len(self.committed) < count:
                self._changed.clear()
                await self._changed.wait()

    async def wait_for(self, count: int, *, time_limit: float = DEADLINE) -> list[tuple[str, bytes]]:
        async with asyncio.timeout(time_limit):
            while len(self.messages) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.messages


SUBSCRIPTIONS = (f"{DOMAIN}/+/+/+/pepeunit", f"{DOMAIN}/+/pepeunit")


@dataclass
class Stand:
    """A running managed broker with its fleet and inbox."""

    broker: ManagedBroker
    fleet: Fleet
    inbox: Inbox
    config: ManagedBrokerConfig
    clients: list[RawClient] = field(default_factory=list)

    async def open(self) -> RawClient:
        """A TCP connection to the door; it is closed with the stand."""
        self.clients.append(await RawClient.open(self.broker.port))
        return self.clients[-1]

    async def connect(self, unit: FakeUnit, *, level: int = 4, client_id: str | None = None) -> RawClient:
        """A connected device; CONNACK was "accepted"."""
        client = await self.open()
        await client.send(connect_packet(str(unit.uuid) if client_id is None else client_id, unit.token, level=level))
        connack = await client.expect(CONNACK)
        assert connack.body[1] == 0, connack
        return client

    async def listen(self, unit: FakeUnit, *filters: str, level: int = 4) -> RawClient:
        """A connected device that is subscribed to `filters`."""
        client = await self.connect(unit, level=level)
        await client.send(subscribe_packet(*filters, level=level))
        suback = await client.expect(SUBACK)
        assert suback.body.endswith(b"\x01" * len(filters)), suback
        return client


@contextlib.asynccontextmanager
async def running(
    directory: Path, *, fleet: Fleet | None = None, inbox: Inbox | None = None, **changes: object
) -> AsyncIterator[Stand]:
    """Run a managed broker on a free port in `directory`."""
    fleet, inbox = fleet or Fleet(), inbox or Inbox()
    config = replace(ManagedBrokerConfig(directory=directory, subscriptions=SUBSCRIPTIONS), **changes)
    broker = ManagedBroker(config, fleet.authenticate, inbox)
    await broker.start()
    stand = Stand(broker, fleet, inbox, config)
    try:
        yield stand
    finally:
        await broker.stop()
        for client in stand.clients:
            await client.close()
