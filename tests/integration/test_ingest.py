"""From messages to rows in real databases: nothing is lost, poisoned by others or acknowledged early."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

import pytest
from sqlalchemy.exc import SQLAlchemyError
from structlog.testing import capture_logs

from pepeunit_gateway.datapipe.ingest import Ingest, IngestConfig, IngestStoppedError
from pepeunit_gateway.storage.tables import unit_logs, units, units_nodes, window_entry
from pepeunit_gateway.storage.telemetry import TelemetryStore
from tests.support.databases import held, open_database
from tests.support.telemetry import add_node, add_unit, change_node, config, row_of, rows_of

BOTH_LOOPS = True
BOTH_DATABASES = True
DOMAIN = "example.org"
LIMIT = 30
KEEP_ALL = config().model_dump_json()
WINDOW = config(policy={"policy_type": "TimeWindow", "time_window_size": 3600}).model_dump_json()


class Clock:
    """A millisecond passes at every look."""

    def __init__(self):
        self.now = datetime(2025, 6, 1, 12, tzinfo=UTC)

    def __call__(self):
        self.now += timedelta(milliseconds=1)
        return self.now


class WatchedStore(TelemetryStore):
    """Tells of every write that failed."""

    def __init__(self, database):
        super().__init__(database)
        self.failed = asyncio.Event()

    async def write_batch(self, batch):
        try:
            return await super().write_batch(batch)
        except SQLAlchemyError:
            self.failed.set()
            raise


class Judge:
    """Notes which units were handed over."""

    def __init__(self):
        self.heard, self.called = [], asyncio.Event()

    async def __call__(self, unit, commit):
        self.heard.append((unit, commit))
        self.called.set()


@pytest.fixture
async def database(tmp_path):
    """One that fails after a moment where others hold it, instead of after ten seconds."""
    async with open_database(tmp_path, busy_timeout=0.02) as opened:
        yield opened


@pytest.fixture
def store(database):
    return WatchedStore(database)


@pytest.fixture
async def unit(database):
    return await add_unit(database)


@pytest.fixture
async def node(database, unit):
    return await add_node(database, unit, WINDOW)


@pytest.fixture
def judge():
    return Judge()


@pytest.fixture
def running(database, store, judge):
    @asynccontextmanager
    async def run(**settings):
        limits = IngestConfig(**{"domain": DOMAIN, "flush_interval": 0.01, **settings})
        ingest = Ingest(database, store, limits, clock=Clock(), on_state=judge, random=Random(1))
        await ingest.start()
        try:
            async with asyncio.timeout(LIMIT):
                yield ingest
        finally:
            await ingest.stop()

    return run


def value_topic(node):
    return f"{DOMAIN}/{node}/pepeunit"


def base_topic(unit, name):
    return f"{DOMAIN}/output_base_topic/{unit}/{name}/pepeunit"


async def test_values_states_and_logs_are_stored_when_on_message_returns(database, unit, node, running):
    last = await add_node(database, unit, KEEP_ALL)
    async with running() as ingest:
        await asyncio.gather(
            ingest.on_message(value_topic(node), b"1"),
            ingest.on_message(value_topic(node), b"2"),
            ingest.on_message(value_topic(last), b"old"),
            ingest.on_message(value_topic(last), b"new"),
            ingest.on_message(base_topic(unit, "state"), b'{"millis": 5, "pu_commit_version": "abc"}'),
            ingest.on_message(base_topic(unit, "log"), b'[{"level": "info", "text": "hello"}]'),
        )
        assert [row["state"] for row in await rows_of(database, window_entry)] == ["1", "2"]
        assert (await row_of(database, units_nodes, last))["state"] == "new"
        stored = await row_of(database, units, unit)
        assert json.loads(stored["unit_state_dict"])["millis"] == 5.0
        assert stored["current_commit_version"] == "abc"
        assert [row["text"] for row in await rows_of(database, unit_logs)] == ["hello"]
        assert (ingest.counters.received, ingest.counters.stored) == (6, 6)


async def test_what_is_for_nobody_returns_at_once_and_is_counted(database, unit, running):
    inactive = await add_node(database, unit, KEEP_ALL, active=False)
    async with running(flush_interval=60) as ingest:
        for topic in (
            value_topic(inactive),
            value_topic(uuid4()),
            f"{DOMAIN}/{inactive}",
            f"other/{inactive}/pepeunit",
            f"{DOMAIN}/input_base_topic/{unit}/update/pepeunit",
            base_topic(unit, "unknown"),
            f"{DOMAIN}/output_base_topic/nobody/state/pepeunit",
            "",
        ):
            await ingest.on_message(topic, b"1")
        assert (ingest.counters.unknown, ingest.counters.flushes) == (8, 0)


async def test_nothing_is_acknowledged_before_its_commit_b17(database, node, store, running):
    async def send(ingest, number):
        await ingest.on_message(value_topic(node), str(number).encode())
        return [row["state"] for row in await rows_of(database, window_entry)].count(str(number))

    async with running() as ingest:
        async with held(database):
            tasks = [asyncio.create_task(send(ingest, number)) for number in range(20)]
            await store.failed.wait()
            assert not any(task.done() for task in tasks)
        assert await asyncio.gather(*tasks) == [1] * 20


async def test_a_locked_database_loses_nothing_and_is_logged_once_b6_w60(database, unit, node, store, running):
    last = await add_node(database, unit, KEEP_ALL)
    with capture_logs() as logs:
        async with running(flush_size=50) as ingest:
            async with held(database):
                messages = [ingest.on_message(value_topic(node), str(n).encode()) for n in range(2000)]
                messages += [ingest.on_message(value_topic(last), str(n).encode()) for n in range(100)]
                waiting = asyncio.gather(*messages)
                await store.failed.wait()
                store.failed.clear()
                await store.failed.wait()
                assert not waiting.done()
            await waiting
            assert ingest.counters.stored == 2100
            assert ingest.counters.flushes < 60
    assert [row["state"] for row in await rows_of(database, window_entry)] == [str(n) for n in range(2000)]
    assert (await row_of(database, units_nodes, last))["state"] == "99"
    events = [entry["event"] for entry in logs if entry["event"].startswith("datapipe.database")]
    assert events == ["datapipe.database.unavailable", "datapipe.database.recovered"]


POISON = [
    ("value", b"\xff\xfe"),
    ("value", b"a\0b"),
    ("value", b"x" * 300_000),
    ("state", b"{"),
    ("state", b"\xff"),
    ("state", b"[1]"),
    ("state", b"[" * 100_000),
    ("log", b'{"level": "Info", "text": "\xff"}'),
    ("log", b'{"level": "Info", "text": "\\ud800"}'),
    ("log", b'{"level": "Info", "text": "a\\u0000b"}'),
    ("log", b"x" * 300_000),
]


@pytest.mark.parametrize("poison", POISON, ids=lambda value: f"{value[0]}-{value[1][:24]!r}")
async def test_a_poison_message_in_the_middle_of_a_batch_harms_no_other_b2(database, unit, node, running, poison):
    kind, payload = poison
    last = await add_node(database, unit, KEEP_ALL)
    victim = await add_node(database, unit, KEEP_ALL)
    topic = value_topic(victim) if kind == "value" else base_topic(unit, kind)
    with capture_logs() as logs:
        async with running(flush_size=7, flush_interval=60) as ingest:
            await asyncio.gather(
                *(ingest.on_message(value_topic(node), str(n).encode()) for n in range(3)),
                ingest.on_message(topic, payload),
                ingest.on_message(topic, payload),
                ingest.on_message(value_topic(last), b"good"),
                ingest.on_message(base_topic(unit, "state"), b'{"freq": 1}'),
                *(ingest.on_message(value_topic(node), str(n).encode()) for n in range(3, 5)),
            )
            assert (ingest.counters.bad, ingest.counters.stored) == (2, 7)
    assert [row["state"] for row in await rows_of(database, window_entry)] == ["0", "1", "2", "3", "4"]
    assert (await row_of(database, units_nodes, last))["state"] == "good"
    assert (await row_of(database, units_nodes, victim))["state"] is None
    assert [entry["unit"] for entry in logs if entry["event"] == "datapipe.message.bad"] == [str(unit)]


async def test_a_bad_log_item_is_left_out_alone_w26(database, unit, running):
    bad = [{"level": "Loud", "text": "x"}, 7, {"level": "Info", "text": "\ud800"}, {"level": "Info", "text": "a\0b"}]
    items = [{"level": "Info", "text": "one"}, *bad, {"level": "error", "text": "two"}]
    async with running() as ingest:
        await ingest.on_message(base_topic(unit, "log"), json.dumps(items).encode())
        assert (ingest.counters.bad, ingest.counters.bad_log_items) == (0, 4)
        assert ingest.counters.refused_rows == 0
    assert [(row["level"], row["text"]) for row in await rows_of(database, unit_logs)] == [
        ("Info", "one"),
        ("Error", "two"),
    ]
    assert (await row_of(database, units, unit))["last_update_datetime"].year == 2025


@pytest.mark.parametrize("poison", ["\ud800", "a\0b", [["\udfff"]], 10**400])
async def test_a_state_keeps_what_a_database_can_hold_of_it(database, unit, running, poison):
    names = ("pu_commit_version", "ifconfig", "statvfs", "millis", "unknown", "pois\ud800n")
    state = {"freq": 1, **dict.fromkeys(names, poison)}
    async with running() as ingest:
        await ingest.on_message(base_topic(unit, "state"), json.dumps(state).encode())
        assert (ingest.counters.bad, ingest.counters.refused_rows) == (0, 0)
    row = await row_of(database, units, unit)
    assert row["current_commit_version"] is None
    assert json.loads(row["unit_state_dict"]) == {
        "ifconfig": [], "statvfs": [], "millis": None, "mem_free": None, "mem_alloc": None, "freq": 1.0,
        "pu_commit_version": None,
    }  # fmt: skip


async def test_states_that_come_quickly_are_all_accepted_w25(database, unit, running):
    async with running() as ingest:
        for freq in (1, 2, 3):
            await ingest.on_message(base_topic(unit, "state"), json.dumps({"freq": freq}).encode())
            stored = json.loads((await row_of(database, units, unit))["unit_state_dict"])
            assert stored["freq"] == freq


async def test_of_a_units_states_in_one_batch_the_newest_wins(database, unit, running):
    async with running(flush_size=3, flush_interval=60) as ingest:
        await asyncio.gather(
            ingest.on_message(base_topic(unit, "state"), b'{"freq": 1, "pu_commit_version": "a"}'),
            ingest.on_message(base_topic(unit, "state"), b'{"freq": 2, "pu_commit_version": "b"}'),
            ingest.on_message(base_topic(unit, "state"), b'{"freq": 3}'),
        )
    stored = await row_of(database, units, unit)
    assert (json.loads(stored["unit_state_dict"])["freq"], stored["current_commit_version"]) == (3.0, "b")


async def test_a_unit_that_was_asked_to_update_is_handed_over_after_the_commit(database, unit, judge, running):
    asked = await add_unit(database, firmware_update_status="RequestSent")
    async with running() as ingest:
        await ingest.on_message(base_topic(unit, "state"), b"{}")
        await ingest.on_message(base_topic(asked, "state"), b'{"pu_commit_version": "abc"}')
        await judge.called.wait()
    assert judge.heard == [(asked, "abc")]


async def test_a_full_batch_does_not_wait_for_the_interval(node, running):
    async with running(flush_size=10, flush_interval=60) as ingest:
        await asyncio.gather(*(ingest.on_message(value_topic(node), b"x") for _ in range(10)))
        assert ingest.counters.flushes == 1


async def test_more_distinct_nodes_than_a_batch_holds_do_not_block_b1_w58(database, unit, running):
    nodes = [await add_node(database, unit, KEEP_ALL) for _ in range(30)]
    async with running(flush_size=10, flush_interval=60) as ingest:
        await asyncio.gather(*(ingest.on_message(value_topic(node), b"x") for node in nodes))
    assert {row["state"] for row in await rows_of(database, units_nodes)} == {"x"}


async def test_stop_writes_what_waits_and_lets_everyone_return_w60_b7(database, node, running):
    async with running(flush_size=10_000, flush_interval=60) as ingest:
        tasks = [asyncio.create_task(ingest.on_message(value_topic(node), b"x")) for _ in range(500)]
        await asyncio.sleep(0)  # let every task reach its wait
        await ingest.stop()
        await asyncio.gather(*tasks)
        with pytest.raises(IngestStoppedError):
            await ingest.on_message(value_topic(node), b"late")
    assert len(await rows_of(database, window_entry)) == 500


async def test_stop_takes_in_messages_that_waited_for_room(database, node, running):
    async with running(flush_size=2, flush_interval=60) as ingest:
        tasks = [asyncio.create_task(ingest.on_message(value_topic(node), b"x")) for _ in range(99)]
        await asyncio.sleep(0)
        await ingest.stop()
        await asyncio.gather(*tasks)
    assert len(await rows_of(database, window_entry)) == 99


async def test_stop_without_a_database_leaves_messages_unacknowledged(database, node, store, running):
    async with running(flush_size=2, stop_grace=0.2) as ingest, held(database):
        tasks = [asyncio.create_task(ingest.on_message(value_topic(node), b"x")) for _ in range(40)]
        await store.failed.wait()
        await ingest.stop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} == {IngestStoppedError}


async def test_a_caller_that_gives_up_disturbs_no_other(database, node, running):
    async with running(flush_size=10_000, flush_interval=60) as ingest:
        tasks = [asyncio.create_task(ingest.on_message(value_topic(node), b"x")) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await ingest.stop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), asyncio.CancelledError, type(None)]
    assert len(await rows_of(database, window_entry)) == 3


async def test_a_changed_configuration_counts_from_the_refresh(database, node, running):
    async with running() as ingest:
        await ingest.on_message(value_topic(node), b"kept")
        await change_node(database, node, is_data_pipe_active=False)
        await ingest.refresh([node])
        await ingest.on_message(value_topic(node), b"unread")
        assert ingest.counters.unknown == 1
    assert [row["state"] for row in await rows_of(database, window_entry)] == ["kept"]


async def test_changes_that_no_one_announced_are_found_by_the_reload(database, unit, running):
    async with running(sync_interval=0.01) as ingest:
        node = await add_node(database, unit, WINDOW)
        while ingest.counters.stored == 0:  # bounded by the limit of `running`
            await asyncio.sleep(0)  # let the reload run: a message for nobody returns without a pause
            await ingest.on_message(value_topic(node), b"x")
    assert await rows_of(database, window_entry)


async def test_filtered_messages_are_counted_by_reason(database, unit, running):
    number = config(filters={"type_input_value": "Number", "max_rate": 60}).model_dump_json()
    node = await add_node(database, unit, number)
    async with running() as ingest:
        for payload in (b"x", b"1", b"2", b"3"):
            await ingest.on_message(value_topic(node), payload)
        assert dict(ingest.counters.dropped) == {"not_a_number": 1, "rate": 2}
    assert (await row_of(database, units_nodes, node))["state"] == "1"


async def test_an_early_message_is_not_logged_b20(database, unit, running):
    past = config(period={"type": "ToDate", "end": "2020-01-01"}).model_dump_json()
    node = await add_node(database, unit, past)
    async with running() as ingest:
        with capture_logs() as logs:
            for _ in range(100):
                await ingest.on_message(value_topic(node), b"x")
        assert (ingest.counters.dropped["period"], logs) == (100, [])
