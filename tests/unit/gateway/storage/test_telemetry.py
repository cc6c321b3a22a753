"""The telemetry store against real databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import IntegrityError

from pepeunit_gateway.storage import telemetry
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.tables import aggregation_entry, n_last_entry, unit_logs, units, units_nodes, window_entry
from pepeunit_gateway.storage.telemetry import (
    Awaited,
    Expired,
    LastValueRow,
    LogRow,
    StateRow,
    TelemetryBatch,
    TelemetryStore,
    WindowFilter,
    WindowRow,
)
from tests.support.telemetry import BORN, add_node, add_unit, row_of, rows_of

BOTH_DATABASES = True

NOW = datetime(2025, 6, 1, 12, 0, 0, 123_456, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(database):
    return TelemetryStore(database)


def window(node, state, created=NOW, keep_for=HOUR):
    return WindowRow(node, state, "Text", created, created + keep_for, len(state.encode()))


def line(unit, text, created=NOW, level="Info", *, keep_for=HOUR):
    return LogRow(uuid4(), level, unit, text, created, created + keep_for)


async def test_a_batch_writes_every_table(database, store):
    unit, quiet = await add_unit(database), await add_unit(database)
    node = await add_node(database, unit)
    batch = TelemetryBatch(
        last_values=[LastValueRow(node, "5", NOW)],
        windows=[window(node, "a"), window(node, "тест")],
        states=[StateRow(unit, '{"freq": 1.0}', "abc", NOW)],
        logs=[line(quiet, "hello")],
        seen=[(quiet, NOW)],
    )
    assert len(batch) == 6
    await store.write_batch(batch)

    stored = await row_of(database, units_nodes, node)
    assert (stored["state"], stored["last_update_datetime"]) == ("5", NOW)
    assert [(row["state"], row["size"]) for row in await rows_of(database, window_entry)] == [("a", 1), ("тест", 8)]
    state = await row_of(database, units, unit)
    assert (state["unit_state_dict"], state["current_commit_version"]) == ('{"freq": 1.0}', "abc")
    assert (await row_of(database, units, quiet))["last_update_datetime"] == NOW
    assert [row["text"] for row in await rows_of(database, unit_logs)] == ["hello"]


async def test_a_batch_is_written_whole_or_not_at_all(database, store):
    unit = await add_unit(database)
    node = await add_node(database, unit)
    twice = line(unit, "x")
    with pytest.raises(IntegrityError):
        await store.write_batch(TelemetryBatch(windows=[window(node, "a")], logs=[twice, twice]))
    assert await rows_of(database, window_entry) == []


async def test_a_state_without_a_commit_keeps_the_stored_version(database, store):
    unit = await add_unit(database, current_commit_version="abc")
    await store.write_batch(TelemetryBatch(states=[StateRow(unit, "{}", None, NOW)]))
    assert (await row_of(database, units, unit))["current_commit_version"] == "abc"


async def test_units_whose_update_was_asked_for_are_named_with_their_version(database, store):
    asked = await add_unit(database, firmware_update_status="RequestSent", current_commit_version="old")
    silent = await add_unit(database, firmware_update_status="RequestSent")
    done = await add_unit(database, firmware_update_status="Success")
    batch = TelemetryBatch(states=[StateRow(asked, "{}", None, NOW), StateRow(done, "{}", "new", NOW)])
    assert await store.write_batch(batch) == [Awaited(asked, "old")]
    batch = TelemetryBatch(states=[StateRow(silent, "{}", "new", NOW)])
    assert await store.write_batch(batch) == [Awaited(silent, "new")]


def test_halves_hold_every_row_once_and_in_order():
    ids = [UUID(int=n) for n in range(7)]
    batch = TelemetryBatch(
        last_values=[LastValueRow(ids[0], "0", NOW)],
        windows=[window(ids[1], "1"), window(ids[2], "2")],
        logs=[line(ids[3], "3"), line(ids[4], "4"), line(ids[5], "5")],
        seen=[(ids[6], NOW)],
    )
    first, second = batch.halves()
    assert (len(first), len(second)) == (3, 4)
    assert [len(first.last_values), len(first.windows), len(second.logs), len(second.seen)] == [1, 2, 3, 1]


async def test_a_last_value_is_read_even_when_there_was_none_yet_w36(database, store):
    node = await add_node(database, await add_unit(database))
    assert await store.read_last_value(node) == LastValueRow(node, None, BORN)
    await store.write_batch(TelemetryBatch(last_values=[LastValueRow(node, "", NOW)]))
    assert await store.read_last_value(node) == LastValueRow(node, "", NOW)
    assert await store.read_last_value(uuid4()) is None


@pytest.fixture
async def filled(store):
    """A node with the values 0..9, one per minute; the first three have expired at NOW."""
    node = uuid4()
    rows = [
        window(node, f"v{n}", NOW - timedelta(minutes=9 - n), timedelta(minutes=9 - n) if n < 3 else HOUR)
        for n in range(10)
    ]
    await store.write_batch(TelemetryBatch(windows=[*rows, window(uuid4(), "v5")]))
    return node


@pytest.mark.parametrize(
    ("wanted", "count", "states"),
    [
        ({}, 7, ["v9", "v8", "v7", "v6", "v5", "v4", "v3"]),
        ({"ascending": True}, 7, ["v3", "v4", "v5", "v6", "v7", "v8", "v9"]),
        ({"limit": 2}, 7, ["v9", "v8"]),
        ({"limit": 2, "offset": 6}, 7, ["v3"]),
        ({"offset": 99}, 7, []),
        ({"search": "V5"}, 1, ["v5"]),
        ({"search": "%"}, 0, []),
        ({"search": "_5"}, 0, []),
        ({"start": NOW - timedelta(minutes=1)}, 2, ["v9", "v8"]),
        ({"end": NOW - timedelta(minutes=5)}, 2, ["v4", "v3"]),
        ({"start": NOW - timedelta(minutes=2), "end": NOW - timedelta(minutes=2)}, 1, ["v7"]),
    ],
)
async def test_a_window_is_read_by_page_and_filter_and_without_expired_rows(store, filled, wanted, count, states):
    found, rows = await store.read_window(filled, WindowFilter(**wanted), NOW)
    assert (found, [row.state for row in rows]) == (count, states)


@pytest.mark.parametrize("wanted", [{}, {"limit": 2}, {"search": "v"}], ids=["no limit", "limit", "search"])
async def test_w47_a_page_of_a_window_reads_no_more_rows_than_it_shows(store, filled, wanted):
    """W47: the database counts, and every other look has a limit, whether the caller gave one or not."""
    seen = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await store.read_window(filled, WindowFilter(**wanted), NOW)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    looks = [statement for statement in seen if "window_entry" in statement]
    assert looks
    assert all("count(" in statement or "LIMIT" in statement for statement in looks)


async def test_rows_of_one_moment_are_read_in_the_order_of_arrival(store):
    node = uuid4()
    await store.write_batch(TelemetryBatch(windows=[window(node, str(n)) for n in range(50)]))
    _, rows = await store.read_window(node, WindowFilter(ascending=True), NOW)
    assert [row.state for row in rows] == [str(n) for n in range(50)]


async def test_logs_are_read_by_level_and_page(store):
    unit = uuid4()
    rows = [
        line(unit, "old", NOW - HOUR, keep_for=HOUR),
        line(unit, "one", NOW - timedelta(minutes=2), "Debug"),
        line(unit, "two", NOW - timedelta(minutes=1), "Error"),
        line(unit, "three", NOW, "Error"),
        line(uuid4(), "other"),
    ]
    await store.write_batch(TelemetryBatch(logs=rows))
    count, found = await store.read_logs(unit, [], offset=0, limit=2, ascending=False, now=NOW)
    assert (count, [row.text for row in found]) == (3, ["three", "two"])
    count, found = await store.read_logs(unit, ["Error"], offset=0, limit=9, ascending=True, now=NOW)
    assert (count, found) == (2, [rows[2], rows[3]])


async def test_w54_expired_rows_are_deleted_in_bounded_steps(database, store, monkeypatch):
    """W54: each step is a transaction of its own, so that the ingest waits for none of them for long."""
    monkeypatch.setattr(telemetry, "_DELETE_ROWS", 2)
    steps = []

    def note(_c: object, cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM window_entry"):
            steps.append(cursor.rowcount)

    node, unit = uuid4(), uuid4()
    windows = [window(node, str(n), NOW - HOUR) for n in range(5)] + [window(node, "new")]
    await store.write_batch(TelemetryBatch(windows=windows, logs=[line(unit, "a", NOW - HOUR), line(unit, "b")]))
    event.listen(Engine, "after_cursor_execute", note)
    try:
        assert await store.expire(NOW) == Expired(windows=5, logs=1)
    finally:
        event.remove(Engine, "after_cursor_execute", note)
    assert steps == [2, 2, 1]
    assert [row["state"] for row in await rows_of(database, window_entry)] == ["new"]
    assert await store.expire(NOW) == Expired(0, 0)


async def test_replicas_that_expire_rows_at_once_share_the_work(database, store, monkeypatch):
    monkeypatch.setattr(telemetry, "_DELETE_ROWS", 50)
    await store.write_batch(TelemetryBatch(windows=[window(uuid4(), "x", NOW - HOUR) for _ in range(1000)]))
    other = Database(database.url)
    try:
        done = await asyncio.gather(*(TelemetryStore(one).expire(NOW) for one in (database, other) for _ in range(2)))
    finally:
        await other.close()
    left = await store.expire(NOW)
    assert sum(expired.windows for expired in (*done, left)) == 1000
    assert await rows_of(database, window_entry) == []


async def test_the_rows_of_nodes_are_deleted_whatever_their_policy(database, store):
    """W35, W54."""
    node, second, other = uuid4(), uuid4(), uuid4()
    await store.write_batch(TelemetryBatch(windows=[window(n, "x") for n in (node, second, other)]))
    async with database.write() as connection:
        base = {"unit_node_uuid": node, "create_datetime": NOW}
        last = {**base, "state": "1", "state_type": "Text", "max_count": 1, "size": 1}
        await connection.execute(n_last_entry.insert(), [last])
        sums = {"state": 1.0, "aggregation_type": "Sum", "time_window_size": 60}
        await connection.execute(
            aggregation_entry.insert(), [{**base, **sums, "start_window_datetime": NOW, "end_window_datetime": NOW}]
        )
    assert await store.delete_nodes(node, second) == 4
    assert [row["unit_node_uuid"] for row in await rows_of(database, window_entry)] == [other]
    assert await rows_of(database, n_last_entry) == await rows_of(database, aggregation_entry) == []


async def test_the_logs_of_one_unit_are_deleted(store):
    unit, other = uuid4(), uuid4()
    await store.write_batch(TelemetryBatch(logs=[line(unit, "a"), line(other, "b")]))
    assert await store.delete_unit_logs(unit) == 1
    assert (await store.read_logs(other, [], offset=0, limit=9, ascending=True, now=NOW))[0] == 1


async def test_replicas_that_write_the_same_rows_at_once_never_wait_for_each_other_in_a_circle(database, store):
    units_ = [await add_unit(database) for _ in range(12)]
    nodes = [await add_node(database, unit) for unit in units_]
    other = Database(database.url)
    try:
        async with asyncio.timeout(60):
            for _ in range(10):
                await asyncio.gather(
                    store.write_batch(_report(units_[:6], units_[6:], nodes)),
                    TelemetryStore(other).write_batch(_report(units_[:5:-1], units_[5::-1], nodes[::-1])),
                )
    finally:
        await other.close()
    assert (await row_of(database, units, units_[0]))["last_update_datetime"] == NOW


def _report(states, seen, nodes):
    return TelemetryBatch(
        last_values=[LastValueRow(node, "1", NOW) for node in nodes],
        states=[StateRow(unit, "{}", None, NOW) for unit in states],
        seen=[(unit, NOW) for unit in seen],
    )


async def test_the_store_binds_every_value_w9(database, store):
    """What clients say reaches the database as values beside the statements, never inside them."""
    text, statements = "x') OR 1=1; DROP TABLE units --", []
    unit = await add_unit(database)
    node = await add_node(database, unit)

    def ran(_connection, _cursor, statement, *_):
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", ran)
    try:
        await store.write_batch(
            TelemetryBatch(
                last_values=[LastValueRow(node, text, NOW)],
                windows=[window(node, text), window(node, "other")],
                states=[StateRow(unit, text, text[:40], NOW)],
                logs=[line(unit, text, level=text), line(unit, "other")],
            )
        )
        count, found = await store.read_window(node, WindowFilter(search=text), NOW)
        assert (count, [row.state for row in found]) == (1, [text])
        count, lines = await store.read_logs(unit, [text], offset=0, limit=10, ascending=True, now=NOW)
        assert (count, [row.text for row in lines]) == (1, [text])
    finally:
        event.remove(Engine, "before_cursor_execute", ran)
    assert await store.read_last_value(node) == LastValueRow(node, text, NOW)
    assert (await row_of(database, units, unit))["unit_state_dict"] == text
    assert len(statements) > 6
    assert not [statement for statement in statements if "DROP TABLE" in statement]
