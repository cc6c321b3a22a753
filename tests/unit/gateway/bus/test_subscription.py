"""What a reader of the change stream gets: nothing lost, nothing repeated, merged for slow readers."""

import asyncio
from uuid import uuid4

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.subscription import News, Readers, Source


def reading(change=Change.ACCESS, source=Source.ANY):
    readers = Readers()
    return readers, readers.subscribe(change, source)


def news(*uuids, everything=False):
    return News(frozenset(uuids), everything)


async def test_a_reader_gets_what_was_published_since_it_subscribed_merged():
    (a, b, c), readers = (uuid4(), uuid4(), uuid4()), Readers()
    readers.tell(Change.NODE, [c], own=True)
    reader = readers.subscribe(Change.NODE, Source.ANY)
    readers.tell(Change.NODE, [a], own=True)
    readers.tell(Change.NODE, [a, b], own=False)
    readers.tell(Change.ACCESS, [c], own=True)
    assert await anext(reader) == news(a, b)


async def test_a_waiting_reader_wakes_up_and_every_reader_gets_everything():
    readers, a = Readers(), uuid4()
    subscriptions = [readers.subscribe(Change.ACCESS, Source.ANY) for _ in range(3)]
    waiting = [asyncio.ensure_future(anext(reader)) for reader in subscriptions]
    await asyncio.sleep(0)
    readers.tell(Change.ACCESS, [a], own=True)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [news(a)] * 3


async def test_what_a_reader_could_not_handle_comes_again():
    (readers, reader), a = reading(), uuid4()
    readers.tell(Change.ACCESS, [a], own=True)
    reader.add((await anext(reader)).uuids)
    assert await anext(reader) == news(a)


async def test_b14_what_is_told_while_a_reader_is_at_work_comes_next():
    """B14: what came between the reading and the reset of a counter was seen a minute later."""
    (readers, reader), (a, b) = reading(), (uuid4(), uuid4())
    for _ in range(3):
        readers.tell(Change.ACCESS, [a], own=False)
        assert await anext(reader) == news(a)
        readers.tell(Change.ACCESS, [a, b], own=False)  # the first is still being handled
        assert await anext(reader) == news(a, b)


async def test_an_empty_change_wakes_nobody():
    readers, reader = reading()
    readers.tell(Change.ACCESS, [], own=True)
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_who_may_have_missed_something_is_told_once_to_look_at_everything():
    (readers, reader), a = reading(), uuid4()
    readers.tell(Change.ACCESS, [a], own=False)
    readers.miss()
    readers.miss()
    assert await anext(reader) == news(a, everything=True)
    readers.tell(Change.ACCESS, [a], own=False)
    assert await anext(reader) == news(a)


async def test_only_readers_of_what_was_missed_are_told():
    readers, reader = reading(Change.NODE)
    a = uuid4()
    readers.miss(Change.ACCESS)
    readers.tell(Change.NODE, [a], own=False)
    assert await anext(reader) == news(a)


async def test_a_reader_of_own_changes_sees_no_others_and_misses_none():
    (readers, reader), (a, b) = reading(source=Source.OWN), (uuid4(), uuid4())
    readers.tell(Change.ACCESS, [a], own=False)
    readers.miss()
    readers.tell(Change.ACCESS, [b], own=True)
    assert await anext(reader) == news(b)


async def test_a_reader_of_the_changes_of_others_sees_no_own_ones():
    (readers, reader), (a, b) = reading(source=Source.OTHERS), (uuid4(), uuid4())
    readers.tell(Change.ACCESS, [a], own=True)
    readers.tell(Change.ACCESS, [b], own=False)
    readers.miss()
    assert await anext(reader) == news(b, everything=True)
