"""What failures mean on PostgreSQL: values that it never takes, or a server that is away for now."""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import String, cast, event, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.storage import engines
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.outages import DatabaseAwayError, blames_values, driver_failure, is_busy
from pepeunit_gateway.storage.queries import FixedQuery
from pepeunit_gateway.storage.tables import users
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


SLEEPS = FixedQuery(select(func.length(cast(func.pg_sleep(60), String))))
ROLE = FixedQuery(select(users.c.role))


async def _sleep(opened: AbstractAsyncContextManager[AsyncConnection]) -> None:
    async with opened as connection:
        await connection.execute(SLEEPS.statement)


WAYS = {
    "fetch": lambda database: database.fetch(SLEEPS),
    "look": lambda database: _sleep(database.look()),
    "read": lambda database: _sleep(database.read()),
    "write": lambda database: _sleep(database.write()),
}


@pytest.fixture
async def impatient(tmp_path, monkeypatch):
    """A database that gives a statement a third of a second."""
    monkeypatch.setattr(engines, "_READ_TIMEOUT", 0.3)
    monkeypatch.setattr(engines, "_WRITE_TIMEOUT", 0.3)
    with session_databases.using("postgresql"):
        async with open_database(tmp_path) as opened:
            yield opened


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_is_silent_is_asked_once_and_its_connection_is_not_used_again(impatient, way):
    asked, dropped = [], []
    engine = (impatient._writer if way == "write" else impatient._reader).sync_engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    event.listen(engine, "invalidate", lambda *_: dropped.append(1))
    with pytest.raises(DatabaseAwayError, match="TimeoutError") as caught:
        await WAYS[way](impatient)
    assert is_busy(caught.value)
    assert (len(asked), len(dropped)) == (0 if way == "fetch" else 1, 1)
    assert set(impatient.connections_in_use().values()) == {0}


async def test_statements_from_before_a_change_of_a_table_are_busy_once(database):
    """Another gateway, of a newer version, has migrated it meanwhile."""
    for opened in (database.look, database.read, database.write):
        async with opened() as connection:
            await connection.execute(select(users))
    await database.fetch(ROLE)
    name = str(database.url.database)
    session_databases.server.query(name, "ALTER TABLE users ALTER COLUMN role TYPE varchar(60)")
    for opened in (database.read, database.write):
        with pytest.raises(SQLAlchemyError, match="cached statement plan") as caught:
            async with opened() as connection:
                await connection.execute(select(users))
        assert is_busy(caught.value)
        assert not blames_values(caught.value)
    for opened in (database.look, database.read, database.write):
        async with opened() as connection:
            assert (await connection.execute(select(users))).all() == []
    assert await database.fetch(ROLE) == []


def test_silence_of_the_server_is_an_outage_whatever_it_interrupts():
    error = driver_failure("COPY window_entry", TimeoutError(), closed=False)
    assert is_busy(error)
    assert not blames_values(error)


def test_a_driver_that_fails_on_a_lost_connection_is_an_outage():
    error = driver_failure("COPY window_entry", ValueError("odd"), closed=True)
    assert is_busy(error)
    assert not blames_values(error)
