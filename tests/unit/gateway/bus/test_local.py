"""The bus in process: nothing lost, nothing repeated, merged for slow readers."""

import asyncio
from uuid import uuid4

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.local import LocalBus


async def test_a_reader_gets_what_was_published_since_it_subscribed_merged():
    bus, (a, b, c) = LocalBus(), (uuid4(), uuid4(), uuid4())
    bus.publish(Change.NODE, [c])
    reader = bus.subscribe(Change.NODE)
    bus.publish(Change.NODE, [a])
    bus.publish(Change.NODE, [a, b])
    bus.publish(Change.ACCESS, [c])
    assert await anext(reader) == {a, b}


async def test_a_waiting_reader_wakes_up_and_every_reader_gets_everything():
    bus, a = LocalBus(), uuid4()
    readers = [bus.subscribe(Change.ACCESS) for _ in range(3)]
    waiting = [asyncio.ensure_future(anext(reader)) for reader in readers]
    await asyncio.sleep(0)
    bus.publish(Change.ACCESS, [a])
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [{a}, {a}, {a}]


async def test_what_a_reader_could_not_handle_comes_again():
    bus, a = LocalBus(), uuid4()
    reader = bus.subscribe(Change.ACCESS)
    bus.publish(Change.ACCESS, [a])
    reader.add(await anext(reader))
    assert await anext(reader) == {a}


async def test_an_empty_change_wakes_nobody():
    reader = LocalBus().subscribe(Change.ACCESS)
    reader.add([])
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
