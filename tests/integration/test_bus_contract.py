"""What every bus does, in process and on a real Redis."""

import asyncio
from uuid import uuid4

import pytest

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.local import LocalBus
from pepeunit_gateway.bus.port import MAX_VALUE
from pepeunit_gateway.bus.redis import RedisBus
from pepeunit_gateway.bus.subscription import News, Source
from tests.support.polling import until
from tests.support.redis import RedisServer

TTL = 30.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["local", "redis", "unix"])
async def bus(request, server):
    server.flush()
    urls = {"redis": server.url, "unix": server.socket_url}
    bus = LocalBus() if request.param == "local" else RedisBus(urls[request.param])
    await bus.start()
    yield bus
    await bus.stop()


async def news(subscription):
    async with asyncio.timeout(10):
        return await anext(subscription)


async def test_a_subscriber_sees_what_is_published_after_it_subscribed(bus):
    a, b = uuid4(), uuid4()
    bus.publish(Change.NODE, [uuid4()])
    subscription = bus.subscribe(Change.NODE)
    bus.publish(Change.ACCESS, [uuid4()])
    bus.publish(Change.NODE, [a])
    bus.publish(Change.NODE, iter([a, b]))
    assert await news(subscription) == News(frozenset({a, b}))


async def test_a_lease_has_one_holder_at_a_time(bus):
    lease = await bus.acquire("jobs", "one", TTL)
    assert lease is not None
    assert (lease.name, lease.holder) == ("jobs", "one")
    assert await bus.acquire("jobs", "two", TTL) is None
    assert await bus.acquire("others", "two", TTL) is not None
    assert await bus.renew(lease, TTL)


async def test_a_released_lease_is_free_at_once_and_the_next_fence_is_higher(bus):
    first = await bus.acquire("jobs", "one", TTL)
    await bus.release(first)
    second = await bus.acquire("jobs", "two", TTL)
    assert second.fence > first.fence
    assert not await bus.renew(first, TTL)
    await bus.release(first)
    assert await bus.acquire("jobs", "three", TTL) is None


async def test_a_lease_that_ran_out_goes_to_another_with_a_higher_fence(bus):
    first = await bus.acquire("jobs", "one", 0.05)
    second = await until(lambda: bus.acquire("jobs", "two", TTL), lambda lease: lease is not None)
    assert second.fence > first.fence
    assert not await bus.renew(first, TTL)


async def test_the_same_holder_gets_its_lease_anew_and_the_former_is_lost(bus):
    first = await bus.acquire("jobs", "one", TTL)
    second = await bus.acquire("jobs", "one", TTL)
    assert second.fence > first.fence
    assert not await bus.renew(first, TTL)
    assert await bus.renew(second, TTL)


async def test_a_fence_is_higher_than_the_highest_that_the_caller_knows(bus):
    known = 4_000_000_000_000_000
    assert (await bus.acquire("jobs", "one", TTL, above=known)).fence > known


async def test_the_cache_keeps_bytes_until_they_are_forgotten(bus):
    assert await bus.recall("key") is None
    await bus.keep("key", b"\x00\xff", TTL)
    await bus.keep("other", b"", TTL)
    assert await bus.recall("key") == b"\x00\xff"
    assert await bus.recall("other") == b""
    await bus.forget("key")
    assert await bus.recall("key") is None


async def test_a_value_that_is_too_large_is_not_kept_nor_is_the_one_before(bus):
    await bus.keep("key", b"small", TTL)
    await bus.keep("key", bytes(MAX_VALUE + 1), TTL)
    assert await bus.recall("key") is None
    await bus.keep("key", bytes(MAX_VALUE), TTL)
    assert await bus.recall("key") == bytes(MAX_VALUE)


async def test_a_reader_may_ask_for_what_this_process_publishes_or_for_what_others_do(bus):
    a, b = uuid4(), uuid4()
    own, others = bus.subscribe(Change.NODE, source=Source.OWN), bus.subscribe(Change.NODE, source=Source.OTHERS)
    bus.publish(Change.NODE, [a])
    assert await news(own) == News(frozenset({a}))
    others.add([b])
    assert await news(others) == News(frozenset({b}))


async def test_a_cached_value_is_gone_after_its_life_time(bus):
    await bus.keep("key", b"value", 0.05)
    await until(lambda: bus.recall("key"), lambda value: value is None)


async def test_counting_tells_how_often_and_how_long_it_is_remembered(bus):
    assert await bus.peek("key") is None
    first = await bus.increment("key", TTL)
    second = await bus.increment("key", 10 * TTL)
    assert (first.count, second.count) == (1, 2)
    assert 0 < second.seconds_left <= first.seconds_left <= TTL
    assert (await bus.peek("key")).count == 2
    assert await bus.peek("another") is None


async def test_a_count_is_forgotten_when_its_time_is_over_or_when_it_is_reset(bus):
    await bus.increment("short", 0.05)
    await bus.increment("reset", TTL)
    await bus.reset("reset")
    assert (await bus.increment("reset", TTL)).count == 1
    await until(lambda: bus.peek("short"), lambda count: count is None)
    assert (await bus.increment("short", TTL)).count == 1


async def test_concurrent_counts_are_all_counted(bus):
    counts = await asyncio.gather(*(bus.increment("key", TTL) for _ in range(50)))
    assert sorted(count.count for count in counts) == list(range(1, 51))


async def test_keys_of_any_length_and_content_are_told_apart(bus):
    keys = ["x" * 100_000, "x" * 100_001, "a b\r\n\x00ü", "\ud800" * 200]
    for number, key in enumerate(keys, 1):
        for _ in range(number):
            await bus.increment(key, TTL)
        await bus.keep(key, str(number).encode(), TTL)
    assert [(await bus.peek(key)).count for key in keys] == [1, 2, 3, 4]
    assert [await bus.recall(key) for key in keys] == [b"1", b"2", b"3", b"4"]
