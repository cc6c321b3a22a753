"""The bus on a Redis that is killed, restarted with and without its data, frozen, trimmed or emptied."""

import asyncio
import contextlib
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.port import BusAwayError
from pepeunit_gateway.bus.redis import RedisBus
from pepeunit_gateway.bus.redis_link import RedisLink
from pepeunit_gateway.bus.subscription import News, Source
from pepeunit_gateway.errors import SettingsError
from tests.support.certificates import Authority
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.redis import RedisServer

TTL = 60.0
STREAM = "pepeunit:changes"


@contextlib.asynccontextmanager
async def running(*urls):
    async with contextlib.AsyncExitStack() as stack:
        buses = [RedisBus(url) for url in urls]
        for bus in buses:
            await bus.start()
            stack.push_async_callback(bus.stop)
        yield buses


@pytest.fixture(params=[True, False], ids=["kept", "emptied"])
def server(tmp_path, request):
    with RedisServer(tmp_path / "redis", persistent=request.param) as server:
        yield server


@pytest.fixture
def empty_server(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


async def news(subscription):
    async with asyncio.timeout(20):
        return await anext(subscription)


async def seen(subscription, uuids):
    """Wait until all of them were seen, or everything is to be looked at."""
    missing = set(uuids)
    while missing:
        found = await news(subscription)
        if found.everything:
            return
        missing -= found.uuids


async def away(bus):
    """Wait until the bus knows that Redis is away."""
    async with asyncio.timeout(20):
        while bus.connected:
            await bus.recall("anything")


async def back(bus):
    async with asyncio.timeout(20):
        await bus._link.up.wait()


async def test_what_one_publishes_the_other_sees_within_a_second(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        subscriptions = [one.subscribe(Change.ACCESS), two.subscribe(Change.ACCESS)]
        others = two.subscribe(Change.ACCESS, source=Source.OWN)
        a, b = uuid4(), uuid4()
        async with asyncio.timeout(1):
            one.publish(Change.ACCESS, [a])
            assert [await anext(reader) for reader in subscriptions] == [News(frozenset({a}))] * 2
            two.publish(Change.ACCESS, [b])
            assert [await anext(reader) for reader in (*subscriptions, others)] == [News(frozenset({b}))] * 3


async def test_a_subscriber_sees_nothing_from_before_its_bus_started(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        reader = two.subscribe(Change.NODE)
        one.publish(Change.NODE, [uuid4()])
        await news(reader)
        async with running(empty_server.url) as (late,):
            reader, a = late.subscribe(Change.NODE), uuid4()
            one.publish(Change.NODE, [a])
            assert await news(reader) == News(frozenset({a}))


async def test_a_lease_is_held_by_one_process_and_a_cache_and_counts_are_shared(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        lease = await one.acquire("jobs", "one", TTL)
        assert await two.acquire("jobs", "two", TTL) is None
        await one.release(lease)
        assert (await two.acquire("jobs", "two", TTL)).fence > lease.fence
        await one.keep("key", b"value", TTL)
        assert await two.recall("key") == b"value"
        await one.increment("key", TTL)
        assert (await two.increment("key", TTL)).count == 2


async def test_while_redis_is_away_the_bus_answers_from_this_process(server):
    async with running(server.url) as (bus,):
        lease = await bus.acquire("jobs", "one", TTL)
        await bus.keep("key", b"value", TTL)
        server.kill()
        assert await bus.recall("key") is None
        assert await bus.acquire("others", "one", TTL) is None
        assert not await bus.renew(lease, TTL)
        await bus.release(lease)
        await bus.keep("key", b"value", TTL)
        await bus.forget("key")
        assert (await bus.increment("count", TTL)).count == 1
        assert (await bus.increment("count", TTL)).count == 2
        assert (await bus.peek("count")).count == 2
        await bus.reset("count")
        assert await bus.peek("count") is None
        with pytest.raises(BusAwayError):
            await bus.append("stream", {"a": "b"}, max_entries=10)
        reader, a = bus.subscribe(Change.ACCESS), uuid4()
        bus.publish(Change.ACCESS, [a])
        assert await news(reader) == News(frozenset({a}))


async def test_what_was_published_while_redis_was_away_arrives_when_it_is_back(server):
    async with running(server.url, server.url) as (one, two):
        reader, a, many = two.subscribe(Change.UNIT_REMOVED), uuid4(), {uuid4() for _ in range(1000)}
        one.publish(Change.UNIT_REMOVED, [a])
        assert await news(reader) == News(frozenset({a}))
        server.kill()
        await away(one)
        await away(two)
        one.publish(Change.UNIT_REMOVED, many)
        server.start()
        await seen(reader, many)


async def test_everyone_is_told_to_look_at_everything_after_redis_was_away(server):
    async with running(server.url, server.url) as buses:
        readers = [bus.subscribe(change) for bus in buses for change in Change]
        server.kill()
        for bus in buses:
            await away(bus)
        server.start()
        for reader in readers:
            assert (await news(reader)).everything


async def test_a_redis_that_hangs_holds_nobody_up_and_is_found_again(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        reader, a = two.subscribe(Change.ACCESS), uuid4()
        empty_server.freeze()
        async with asyncio.timeout(10):  # the first call waits for a second, the others not at all
            assert await one.recall("key") is None
            for number in range(1, 101):
                assert (await one.increment("key", TTL)).count == number
        await away(two)
        one.publish(Change.ACCESS, [a])
        empty_server.thaw()
        while not (await news(reader)).everything:  # what was under way when it hung may come first
            pass
        await back(one)
        assert (await one.peek("key")).count == 100


async def test_counts_and_deletions_made_while_redis_was_away_are_made_up_for(server):
    async with running(server.url, server.url) as (one, two):
        await one.keep("gone", b"old", TTL)
        await one.keep("replaced", b"old", TTL)
        for _ in range(3):
            await one.increment("reset", TTL)
            await one.increment("counted", TTL)
        before = 3 if server.persistent else 0
        server.kill()
        await one.forget("gone")
        await one.keep("replaced", b"new", TTL)
        await one.reset("reset")
        for _ in range(2):
            await one.increment("counted", TTL)
        server.start()
        await back(one)
        await back(two)
        assert await two.recall("gone") is None
        assert await two.recall("replaced") is None
        assert await two.peek("reset") is None
        assert (await two.peek("counted")).count == before + 2


async def test_fences_grow_also_after_redis_lost_its_data(empty_server):
    async with running(empty_server.url) as (bus,):
        first = await bus.acquire("jobs", "one", TTL)
        empty_server.kill()
        empty_server.start()
        await away(bus)
        await back(bus)
        second = await bus.acquire("jobs", "two", TTL)
        third = await bus.acquire("jobs", "two", TTL, above=second.fence + 10**12)  # its clock was put back
        assert first.fence < second.fence < third.fence - 10**12


async def test_who_stands_where_the_stream_was_trimmed_looks_at_everything(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        reader = two.subscribe(Change.NODE)
        one.publish(Change.NODE, [uuid4()])
        await news(reader)
        empty_server.command(f"XADD {STREAM} MAXLEN = 1 * o x k future u {'0' * 16}")
        assert (await news(reader)).everything
        a = uuid4()
        one.publish(Change.NODE, [a])
        assert await news(reader) == News(frozenset({a}))


async def test_a_stream_that_was_deleted_or_begins_anew_with_lower_ids_is_noticed(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        reader = two.subscribe(Change.NODE)
        one.publish(Change.NODE, [uuid4()])
        await news(reader)
        empty_server.command(f"DEL {STREAM}")
        empty_server.command(f"XADD {STREAM} 1-1 o x k node u {'0' * 16}")
        assert (await news(reader)).everything
        empty_server.flush()
        a = uuid4()
        one.publish(Change.NODE, [a])
        await seen(reader, {a})


async def test_an_entry_of_a_newer_gateway_is_passed_over_and_a_broken_one_means_everything(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        node, access, a = two.subscribe(Change.NODE), two.subscribe(Change.ACCESS), uuid4()
        empty_server.command(f"XADD {STREAM} * o x k of-a-newer-gateway u {'0' * 16}")
        one.publish(Change.NODE, [a])
        assert await news(node) == News(frozenset({a}))
        empty_server.command(f"XADD {STREAM} * o x k node u short")
        assert (await news(node)).everything
        assert (await news(access)).everything


async def test_a_gateway_that_starts_without_redis_joins_when_it_comes(empty_server):
    empty_server.kill()
    async with running(empty_server.url, empty_server.url) as (one, two):
        assert not one.connected
        reader, a = two.subscribe(Change.ACCESS), uuid4()
        one.publish(Change.ACCESS, [a])
        empty_server.start()
        assert (await news(reader)).everything
        await back(one)
        b = uuid4()
        one.publish(Change.ACCESS, [b])
        await seen(reader, {b})


async def test_a_stop_sends_what_waits_and_never_waits_long(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        reader, a = two.subscribe(Change.ACCESS), uuid4()
        one.publish(Change.ACCESS, [a])
        await one.stop()
        assert await news(reader) == News(frozenset({a}))
        empty_server.freeze()
        two.publish(Change.ACCESS, [a])
        async with asyncio.timeout(10):
            await two.stop()


async def test_a_full_redis_refuses_and_nobody_notices_but_the_log(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        reader, a = two.subscribe(Change.ACCESS), uuid4()
        with capture_logs() as logs:
            empty_server.command("CONFIG SET maxmemory 1")
            await one.keep("key", b"value", TTL)
            assert (await one.increment("key", TTL)).count == 1
            one.publish(Change.ACCESS, [a])
            empty_server.command("CONFIG SET maxmemory 0")
            await seen(reader, {a})
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["bus.refused"]


@pytest.mark.parametrize(
    ("serves_reads", "command"),
    [
        ("yes", ("SET", "key", "value")),
        ("yes", ("EVAL", "return redis.call('SET', KEYS[1], 1)", 1, "key")),
        ("no", ("GET", "key")),
    ],
    ids=["READONLY", "READONLY in a script", "MASTERDOWN"],
)
async def test_an_answer_that_it_cannot_serve_for_now_means_that_redis_is_away(empty_server, serves_reads, command):
    link = RedisLink(empty_server.url)
    try:
        await link.probe("PING")
        link.found()
        empty_server.command(f"CONFIG SET replica-serve-stale-data {serves_reads}")
        empty_server.command(f"REPLICAOF 127.0.0.1 {free_port()}")
        with pytest.raises(BusAwayError):
            await link.call(*command)
        assert not link.up.is_set()
    finally:
        await link.close()


async def test_a_redis_that_became_a_replica_is_away_until_it_takes_writes_again(empty_server):
    async with running(empty_server.url, empty_server.url) as (one, two):
        reader, a = two.subscribe(Change.ACCESS), uuid4()
        with capture_logs() as logs:
            empty_server.command(f"REPLICAOF 127.0.0.1 {free_port()}")
            async with asyncio.timeout(20):
                while one.connected or two.connected:
                    await asyncio.gather(one.forget("key"), two.forget("key"))
            one.publish(Change.ACCESS, [a])
            assert await one.recall("key") is None
            empty_server.command("REPLICAOF NO ONE")
            await seen(reader, {a})
            await back(one)
            assert (await one.increment("key", TTL)).count == 1
        assert {line["event"] for line in logs if line["log_level"] == "warning"} == {"bus.away"}


async def test_the_password_of_the_url_is_in_no_log_and_no_error(tmp_path):
    with RedisServer(tmp_path / "redis", options=("--requirepass", "a-good-one")) as server, capture_logs() as logs:
        good = server.url.replace("redis://", "redis://:a-good-one@")
        bad = server.url.replace("redis://", "redis://:a-bad-one@")
        async with running(good, bad) as (one, two):
            assert one.connected
            assert not two.connected
            server.kill()
            await away(one)
    assert {line["event"] for line in logs} >= {"bus.away"}
    assert "a-good-one" not in str(logs)
    assert "a-bad-one" not in str(logs)


@pytest.mark.parametrize(
    "url",
    [
        "http://u:secret@host/",
        "redis://u:secret@host:port/",
        "redis://u:secret@host/?protocol=x",
        "redis://:secret@h/?no=1",
    ],
)
def test_a_url_that_cannot_be_used_is_a_setting_that_is_wrong(url):
    with pytest.raises(SettingsError, match="PU_REDIS_URL") as raised:
        RedisBus(url)
    assert "secret" not in str(raised.value)


async def test_the_bus_speaks_tls_to_a_server_whose_certificate_it_knows(tmp_path):
    authority, port = Authority(), free_port()
    authority.files(tmp_path / "cert", tmp_path / "key", "127.0.0.1")
    (tmp_path / "ca").write_text(authority.pem)
    options = ("--tls-port", str(port), "--tls-auth-clients", "no", "--tls-ca-cert-file", str(tmp_path / "ca"))
    options += ("--tls-cert-file", str(tmp_path / "cert"), "--tls-key-file", str(tmp_path / "key"))
    with RedisServer(tmp_path / "redis", options=options):
        url = f"rediss://127.0.0.1:{port}/1"
        async with running(f"{url}?ssl_ca_certs={tmp_path}/ca", url) as (known, unknown):
            assert known.connected
            assert not unknown.connected
            assert (await known.increment("key", TTL)).count == 1


async def test_what_waits_is_bounded_and_too_much_of_it_becomes_everything(empty_server):
    """W55."""
    async with running(empty_server.url, empty_server.url) as (one, two):
        other = "kept by somebody else"
        await two.keep(other, b"old", TTL)
        empty_server.freeze()
        await away(one)
        one.publish(Change.NODE, (UUID(int=number) for number in range(100_001)))
        for number in range(10_001):
            await one.forget(str(number))
        empty_server.thaw()
        await back(one)
        await until(lambda: stream_length(empty_server), lambda length: length == 1)
        assert await two.recall(other) is None
    async with Redis.from_url(empty_server.url) as client:
        entries = await client.xrange(STREAM)
    assert [(fields[b"k"], fields[b"u"]) for _, fields in entries] == [(b"node", b"")]


async def stream_length(server):
    return int(server.command(f"XLEN {STREAM}").removeprefix(":"))
