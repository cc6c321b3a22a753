"""The writer against a real SQLite file that refuses rows, is full or is locked."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import SQLAlchemyError
from structlog.testing import capture_logs

from pepeunit_gateway.datapipe.counters import IngestCounters
from pepeunit_gateway.datapipe.writer import BatchWriter
from pepeunit_gateway.storage.tables import unit_logs, window_entry
from pepeunit_gateway.storage.telemetry import LogRow, TelemetryBatch, TelemetryStore, WindowRow
from tests.support.databases import open_database
from tests.support.telemetry import rows_of

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
UNIT = UUID(int=1)


class WatchedStore(TelemetryStore):
    """Tells how often a write failed."""

    def __init__(self, database):
        super().__init__(database)
        self.failed = asyncio.Semaphore(0)

    async def write_batch(self, batch):
        try:
            return await super().write_batch(batch)
        except SQLAlchemyError:
            self.failed.release()
            raise


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path) as opened:
        yield opened


@pytest.fixture
def store(database):
    return WatchedStore(database)


@pytest.fixture
def counters():
    return IngestCounters()


@pytest.fixture
def writer(store, counters):
    return BatchWriter(store, counters, random=Random(1), on_awaited=lambda _reports: None)


def line(text, uuid=None):
    return LogRow(uuid or uuid4(), "Info", UNIT, text, NOW, NOW + timedelta(days=1))


def value(state):
    return WindowRow(UUID(int=2), state, "Text", NOW, NOW + timedelta(days=1), 1)


@pytest.mark.parametrize("place", range(7))
@pytest.mark.parametrize("poison", ["\ud800", None], ids=["unencodable", "not-null"])
async def test_a_row_that_the_database_refuses_harms_no_other_b2(database, writer, counters, place, poison):
    texts = [str(n) for n in range(6)]
    rows = [line(text) for text in texts]
    rows.insert(place, line(poison))
    with capture_logs() as logs:
        await writer.write(TelemetryBatch(windows=[value("w")], logs=rows))
    assert sorted(row["text"] for row in await rows_of(database, unit_logs)) == texts
    assert [row["state"] for row in await rows_of(database, window_entry)] == ["w"]
    assert (counters.refused_rows, counters.rows) == (1, 7)
    assert [entry["event"] for entry in logs] == ["datapipe.row.refused"]


async def test_a_row_that_exists_already_harms_no_other(database, writer, counters):
    twice = line("twice")
    await writer.write(TelemetryBatch(logs=[twice]))
    await writer.write(TelemetryBatch(logs=[line("a"), twice, line("b")]))
    assert sorted(row["text"] for row in await rows_of(database, unit_logs)) == ["a", "b", "twice"]
    assert counters.refused_rows == 1


async def test_a_full_disk_is_waited_out_and_logged_once(database, store, writer, counters):
    async with database.write() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    rows = [value("x" * 3000) for _ in range(20)]
    with capture_logs() as logs:
        writing = asyncio.create_task(writer.write(TelemetryBatch(windows=rows)))
        async with asyncio.timeout(20):
            for _ in range(3):
                await store.failed.acquire()
        assert not writing.done()
        async with database.write() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count=1000000")
        async with asyncio.timeout(20):
            await writing
    assert len(await rows_of(database, window_entry)) == 20
    assert (counters.outages, counters.refused_rows) == (1, 0)
    assert [entry["event"] for entry in logs] == ["datapipe.database.unavailable", "datapipe.database.recovered"]
    assert "full" in logs[0]["reason"]
    assert "xxx" not in str(logs)


async def test_a_hurried_writer_does_not_pause_long(database, store, writer):
    async with database.write() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout=1")
    holder = sqlite3.connect(database.url.database, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(writer.write(TelemetryBatch(windows=[value("x")])))
        async with asyncio.timeout(20):
            for _ in range(3):
                await store.failed.acquire()
        writer.hurry()
        started = asyncio.get_running_loop().time()
        async with asyncio.timeout(20):
            for _ in range(8):
                await store.failed.acquire()
        assert asyncio.get_running_loop().time() - started < 3  # 8 growing pauses would take more than 10 s
        holder.execute("ROLLBACK")
        async with asyncio.timeout(20):
            await writing
    finally:
        holder.close()
    assert len(await rows_of(database, window_entry)) == 1
