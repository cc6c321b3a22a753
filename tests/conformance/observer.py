"""What a linked unit hears and says at the broker, told by the names of the device's Outputs."""

import asyncio
from contextlib import suppress

from tests.support.field_unit import FieldUnit
from tests.support.mqtt import PUBACK, PUBLISH, packet, publish_packet

__all__ = ["Observer"]

DEADLINE = 15.0
Heard = tuple[str, bytes]


class Observer:
    """A raw client linked to a device: its Input hears the device's Outputs, its Output feeds the device's Inputs.

    `names` maps the topics it is subscribed to to the names of the device's Outputs.
    """

    def __init__(self, unit: FieldUnit, names: dict[str, str]) -> None:
        self.output = unit.topic("output_topic", "raw_out")
        self.output_uuid = self.output.split("/")[1]
        self._client = unit.client
        self._names = names
        self._messages: asyncio.Queue[Heard] = asyncio.Queue()
        self._acknowledged = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def hears(self, count: int = 1) -> list[Heard]:
        """The next `count` messages as (name of the Output, payload), in the order of their arrival."""
        async with asyncio.timeout(DEADLINE):
            return [await self._messages.get() for _ in range(count)]

    async def hears_until(self, wanted: Heard) -> list[Heard]:
        """Everything up to a message that must come."""
        heard = await self.hears()
        async with asyncio.timeout(DEADLINE):
            while heard[-1] != wanted:
                heard.append(await self._messages.get())
        return heard

    async def says(self, payload: bytes) -> None:
        """Publish on the Output that is linked to the device; returns when the broker has it."""
        self._acknowledged.clear()
        await self._client.send(publish_packet(self.output, payload, qos=1, mid=7))
        async with asyncio.timeout(DEADLINE):
            await self._acknowledged.wait()

    async def says_until_answered(self, payload: bytes) -> Heard:
        """Say it again and again until anything comes back, as while a device subscribes."""
        async with asyncio.timeout(DEADLINE):
            while True:
                await self.says(payload)
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        return await self._messages.get()

    async def leave(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            try:
                received = await self._client.receive()
            except TimeoutError:  # nobody said anything for a while
                continue
            if received.kind == PUBLISH:
                topic, payload = received.message()
                if received.first & 0x06:
                    start = 2 + len(topic.encode())
                    await self._client.send(packet(PUBACK, received.body[start : start + 2]))
                self._messages.put_nowait((self._names[topic], payload))
            elif received.kind == PUBACK:
                self._acknowledged.set()
