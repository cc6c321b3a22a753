"""A unit as clients in the field are: a raw MQTT 3.1.1 session with what env.json and schema.json say."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from tests.support.gateway import Api
from tests.support.mqtt import (
    CONNACK,
    DEADLINE,
    PUBACK,
    PUBLISH,
    SUBACK,
    RawClient,
    connect_packet,
    packet,
    publish_packet,
    subscribe_packet,
)

__all__ = ["Door", "FieldUnit", "eventually", "open_client"]

DENIED = 0x80


class Door(Protocol):
    """A running gateway, as devices find it on this machine."""

    @property
    def mqtt_port(self) -> int: ...

    def close_later(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call `close` before the gateway stops."""


async def eventually(read, expected, *, limit: float = 10.0):
    """Await `read()` again and again until it gives `expected`; after `limit` seconds show what it gave last."""
    last = None
    try:
        async with asyncio.timeout(limit):
            while (last := await read()) != expected:  # noqa: ASYNC110 - a stored value is polled, there is no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        assert last == expected


async def open_client(gateway: Door) -> RawClient:
    """Open a connection to the front door that is closed with the gateway."""
    client = await RawClient.open(gateway.mqtt_port)
    gateway.close_later(client.close)
    return client


class FieldUnit:
    """A connected unit; `api` calls REST with its token."""

    def __init__(self, api: Api, env: dict[str, Any], schema: dict[str, Any], client: RawClient) -> None:
        self.api, self.env, self.schema, self.client = api, env, schema, client

    @classmethod
    async def connect(cls, gateway: Door, owner: Api, unit: str) -> "FieldUnit":
        """Fetch the unit's files and connect; CONNACK must accept."""
        reply = await owner.get(f"/units/env/{unit}")
        assert reply.status == 200, reply.body
        api = owner.with_token(reply.body["PU_AUTH_TOKEN"])
        api.uuid = unit
        env = (await api.get(f"/units/env/{unit}")).body
        schema = (await api.get(f"/units/get_current_schema/{unit}")).body
        client = await open_client(gateway)
        await client.send(connect_packet(unit, env["PU_AUTH_TOKEN"]))
        answer = await client.expect(CONNACK)
        assert answer.body == b"\x00\x00", answer
        return cls(api, env, schema, client)

    def topic(self, destination: str, name: str) -> str:
        """The first physical topic of a schema name."""
        return self.schema[destination][name][0]

    async def subscribe(self, *topics: str) -> list[bool]:
        """Subscribe with QoS 1; True for each topic that was granted."""
        await self.client.send(subscribe_packet(*topics))
        answer = await self.client.expect(SUBACK)
        return [code != DENIED for code in answer.body[2:]]

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1 and wait for the acknowledgement."""
        await self.client.send(publish_packet(topic, payload, qos=1, mid=7))
        await self.client.expect(PUBACK)

    async def report(self, commit: str | None) -> None:
        """Send a state message."""
        state = {"millis": 1.0, **({"pu_commit_version": commit} if commit else {})}
        await self.publish(self.topic("output_base_topic", "state/pepeunit"), json.dumps(state).encode())

    async def next_message(self) -> tuple[str, bytes]:
        """Return the next message, acknowledged; the deadline is the client's."""
        received = await self.client.expect(PUBLISH)
        topic, payload = received.message()
        if received.first & 0x06:
            start = 2 + len(topic.encode())
            await self.client.send(packet(PUBACK, received.body[start : start + 2]))
        return topic, payload

    async def hears_nothing(self) -> bool:
        """Ask the broker something and tell whether its answer is the next packet: no message came before."""
        await self.client.send(b"\xc0\x00")
        async with asyncio.timeout(DEADLINE):
            return (await self.client.receive()).kind == 0xD0
