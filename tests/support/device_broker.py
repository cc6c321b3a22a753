"""A private mosquitto behind a relay that lets devices in as the platform's door does.

mosquitto refuses a user name with an empty password, so the relay takes both out of CONNECT. It walks whole packets,
remembers what devices sent, can deny subscriptions, stop reading, fall silent and cut connections.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho

from tests.support.ports import free_port

__all__ = ["Connect", "DeviceBroker", "Published"]

DEADLINE = 20.0


@dataclass(frozen=True)
class Connect:
    client_id: str
    username: str | None
    password: bytes | None
    clean: bool
    keepalive: int


@dataclass(frozen=True)
class Published:
    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass
class DeviceBroker:
    """`port` is where devices connect. Everything that devices sent stands in the lists, oldest first."""

    directory: Path
    denied: set[str] = field(default_factory=set)
    early: dict[str, bytes] = field(default_factory=dict)  # topic: what comes before the answer to its subscription
    silent: bool = False  # nothing of the broker reaches devices any more
    swallow_pubacks: bool = False
    connects: list[Connect] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    subscribed: list[str] = field(default_factory=list)
    unsubscribed: list[str] = field(default_factory=list)
    pings: int = 0
    pubacks: int = 0
    port: int = 0
    context: ssl.SSLContext | None = None  # of TLS towards devices

    async def __aenter__(self) -> Self:
        self._changed = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._mosquitto: asyncio.subprocess.Process | None = None
        self._broker_port = free_port()
        self.port = self.port or free_port()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        config = self.directory / "mosquitto.conf"
        config.write_text(f"listener {self._broker_port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n")
        self._mosquitto = await asyncio.create_subprocess_exec("/usr/sbin/mosquitto", "-c", str(config))
        async with asyncio.timeout(DEADLINE):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        self._publisher = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._publisher.connect("127.0.0.1", self._broker_port)
        self._publisher.loop_start()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.context)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        await self.cut()
        self._publisher.disconnect()
        await asyncio.to_thread(self._publisher.loop_stop)
        if self._mosquitto:
            with contextlib.suppress(ProcessLookupError):
                self._mosquitto.terminate()
            await self._mosquitto.wait()
            self._mosquitto = None

    async def cut(self) -> None:
        """End every device's connection without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def send(self, topic: str, payload: bytes | str, qos: int = 1) -> None:
        """Publish to whoever is subscribed; returns when the broker has it."""
        info = self._publisher.publish(topic, payload, qos)
        await asyncio.to_thread(info.wait_for_publish, DEADLINE)
        assert info.is_published()

    async def until(self, condition) -> None:
        """Wait until `condition()` is true; it is asked whenever a device sent something."""
        async with asyncio.timeout(DEADLINE), self._changed:
            await self._changed.wait_for(condition)

    def payloads(self, topic: str) -> list[bytes]:
        return [message.payload for message in self.published if message.topic == topic]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks = []
        upstream = None
        self._writers.add(writer)
        try:
            source, upstream = await asyncio.open_connection("127.0.0.1", self._broker_port)
            asked: dict[bytes, list[str]] = {}
            tasks = [
                asyncio.create_task(self._upwards(reader, upstream, asked)),
                asyncio.create_task(self._downwards(source, writer, asked)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if upstream:
                upstream.close()
            self._writers.discard(writer)
            writer.close()

    async def _upwards(self, reader, upstream, asked) -> None:
        while True:
            head, body = await _packet(reader)
            kind = head >> 4
            if kind == 1:
                body = self._connect(body)
            elif kind == 3:
                self._published(head, body)
            elif kind == 8:
                asked[body[:2]] = list(_topics(body[2:], 1))
                self.subscribed.extend(asked[body[:2]])
            elif kind == 10:
                self.unsubscribed.extend(_topics(body[2:], 0))
            self.pings += kind == 12
            self.pubacks += kind == 4
            upstream.write(_packed(head, body))
            async with self._changed:
                self._changed.notify_all()

    async def _downwards(self, source, writer, asked) -> None:
        while True:
            head, body = await _packet(source)
            if self.silent or (self.swallow_pubacks and head >> 4 == 4):
                continue
            if head >> 4 == 9:
                topics = asked.pop(body[:2])
                codes = [0x80 if topic in self.denied else code for topic, code in zip(topics, body[2:], strict=True)]
                body = body[:2] + bytes(codes)
                for topic in self.early.keys() & topics:
                    writer.write(_packed(0x30, len(topic.encode()).to_bytes(2) + topic.encode() + self.early[topic]))
            writer.write(_packed(head, body))

    def _connect(self, body: bytes) -> bytes:
        assert body[:7] == b"\x00\x04MQTT\x04", "the device does not speak MQTT 3.1.1"
        flags = body[7]
        fields = list(_strings(body[10:]))
        client_id = fields.pop(0)
        username = fields.pop(0).decode() if flags & 0x80 else None
        password = fields.pop(0) if flags & 0x40 else None
        keepalive = int.from_bytes(body[8:10])
        self.connects.append(Connect(client_id.decode(), username, password, bool(flags & 2), keepalive))
        return body[:7] + bytes([flags & 0x3F]) + body[8:10] + len(client_id).to_bytes(2) + client_id

    def _published(self, head: int, body: bytes) -> None:
        size = int.from_bytes(body[:2])
        qos = head >> 1 & 3
        payload = body[2 + size + (2 if qos else 0) :]
        self.published.append(Published(body[2 : 2 + size].decode(), payload, qos, bool(head & 1)))


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readexactly(1))[0]
    length = 0
    for shift in (0, 7, 14, 21):
        value = (await reader.readexactly(1))[0]
        length |= (value & 0x7F) << shift
        if value < 0x80:
            break
    return head, await reader.readexactly(length)


def _packed(head: int, body: bytes) -> bytes:
    length = len(body)
    out = bytearray([head])
    while True:
        out.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(out) + body


def _strings(data: bytes):
    while data:
        size = int.from_bytes(data[:2])
        yield data[2 : 2 + size]
        data = data[2 + size :]


def _topics(data: bytes, extra: int):
    while data:
        size = int.from_bytes(data[:2])
        yield data[2 : 2 + size].decode()
        data = data[2 + size + extra :]
