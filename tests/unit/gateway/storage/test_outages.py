"""What failures mean on PostgreSQL: values that it never takes, or a server that is away for now."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.outages import DatabaseAwayError, blames_values, driver_failure, is_busy
from pepeunit_gateway.storage.telemetry import LogRow, StateRow, TelemetryBatch, TelemetryStore, WindowRow
from tests.support.databases import open_database, session_databases
from tests.support.telemetry import add_unit

NOW = datetime(2025, 6, 1, tzinfo=UTC)
NODE, UNIT = uuid4(), uuid4()
GOOD = WindowRow(NODE, "5", "Number", NOW, NOW, 1)
LINE = LogRow(uuid4(), "Info", UNIT, "text", NOW, NOW)


@pytest.fixture
async def database(tmp_path):
    with session_databases.using("postgresql"):
        async with open_database(tmp_path, busy_timeout=0.2) as opened:
            yield opened


@pytest.mark.parametrize(
    "batch",
    [
        TelemetryBatch(windows=[GOOD, GOOD._replace(state="a\0b")]),
        TelemetryBatch(windows=[GOOD, GOOD._replace(state="\ud800")]),
        TelemetryBatch(windows=[GOOD, GOOD._replace(size=2**31)]),
        TelemetryBatch(windows=[GOOD, GOOD._replace(state=5)]),
        TelemetryBatch(windows=[GOOD, GOOD._replace(state=None)]),
        TelemetryBatch(logs=[LINE, LINE]),
        TelemetryBatch(states=[StateRow(UNIT, "a\0b", None, NOW)]),
        TelemetryBatch(states=[StateRow(UNIT, "\ud800", None, NOW)]),
    ],
    ids=["nul", "half a pair", "too large", "no text", "none", "twice", "nul in a state", "half a pair in a state"],
)
async def test_a_row_that_can_never_be_stored_is_told_from_an_outage(database, batch):
    with pytest.raises(SQLAlchemyError) as caught:
        await TelemetryStore(database).write_batch(batch)
    assert blames_values(caught.value)
    assert not is_busy(caught.value)
    await add_unit(database)  # and the connection is as good as before


@pytest.mark.parametrize("statement", ["SELECT 1 FROM nowhere", "SELEKT", "SELECT 1/(SELECT 0)"])
async def test_a_wrong_statement_is_no_busy_database(database, statement):
    with pytest.raises(SQLAlchemyError) as caught:
        async with database.read() as connection:
            await connection.execute(text(statement))
    assert not is_busy(caught.value)


async def test_a_server_that_only_reads_for_now_is_busy(database):
    name = str(database.url.database)
    session_databases.server.query("postgres", f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    with pytest.raises(SQLAlchemyError) as caught:
        await add_unit(database)
    assert is_busy(caught.value)
    assert not blames_values(caught.value)


async def test_a_server_that_has_no_connection_left_is_busy(database):
    server = session_databases.server
    name = str(database.url.database)
    server.query("postgres", "CREATE ROLE crowd LOGIN PASSWORD 'crowd'")
    server.query("postgres", f'ALTER DATABASE "{name}" CONNECTION LIMIT 0')
    crowded = Database(database.url.set(username="crowd", password="crowd"))
    try:
        with pytest.raises(DatabaseAwayError, match="TooManyConnections") as caught:
            async with crowded.read():
                pass
        assert is_busy(caught.value)
        assert not blames_values(caught.value)
    finally:
        await crowded.close()
        server.query("postgres", "DROP ROLE crowd")


def test_silence_of_the_server_is_an_outage_whatever_it_interrupts():
    error = driver_failure("COPY window_entry", TimeoutError(), closed=False)
    assert is_busy(error)
    assert not blames_values(error)


def test_a_driver_that_fails_on_a_lost_connection_is_an_outage():
    error = driver_failure("COPY window_entry", ValueError("odd"), closed=True)
    assert is_busy(error)
    assert not blames_values(error)
