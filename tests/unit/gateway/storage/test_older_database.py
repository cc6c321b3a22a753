"""An older database with rows in every table: it is backed up, upgraded, and nothing of it is lost."""

import asyncio
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Boolean, Column, Connection, Float, Integer, Table, Uuid, func, inspect, select
from sqlalchemy.engine import URL

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage import upgrade as module
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.own_tables import metadata
from pepeunit_gateway.storage.times import UtcDateTime
from pepeunit_gateway.storage.upgrade import SCHEMA_REVISION, upgrade
from tests.support.databases import open_database, session_databases

BOTH_DATABASES = True
pytestmark = [
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index"),
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index"),
]

FIRST = "0001"
MOMENT = datetime(2024, 2, 29, 12, 30, 0, 123456, tzinfo=UTC)
_SAMPLES: dict[type, Any] = {Boolean: True, Integer: 7, Float: 1.5, UtcDateTime: MOMENT}

Rows = dict[str, list[tuple[Any, ...]]]


def _value(column: Column[Any], made: dict[str, UUID]) -> Any:
    for key in column.foreign_keys:
        return made[key.column.table.name]
    if isinstance(column.type, Uuid):
        return uuid4()
    for kind, value in _SAMPLES.items():
        if isinstance(column.type, kind):
            return value
    return f"{column.name} «ä» {uuid4().hex}"


def _names(connection: Connection) -> dict[str, list[str]]:
    """The columns that every table has, by its name."""
    inspector = inspect(connection)
    tables = [name for name in inspector.get_table_names() if name in metadata.tables]
    return {name: [column["name"] for column in inspector.get_columns(name)] for name in tables}


def _fill(connection: Connection) -> None:
    """Put two rows into each table: one with everything, one with only what it must have."""
    names = _names(connection)
    for number in (1, 2):
        made: dict[str, UUID] = {}
        for table in (table for table in metadata.sorted_tables if table.name in names):
            columns = [table.c[name] for name in names[table.name]]
            row = {c.name: _value(c, made) for c in columns if number == 1 or not c.nullable}
            if "id" in row:
                row["id"] = number
            connection.execute(table.insert().values(row))
            if "uuid" in row:
                made[table.name] = row["uuid"]


def _rows(connection: Connection, names: dict[str, list[str]]) -> Rows:
    def of(table: Table) -> list[tuple[Any, ...]]:
        query = select(*(table.c[name] for name in names[table.name]))
        return sorted((tuple(row) for row in connection.execute(query)), key=repr)

    return {name: of(metadata.tables[name]) for name in names}


@pytest.fixture
async def older(tmp_path):
    """A database as the first version left it, and what is in it."""
    async with open_database(tmp_path, migrated=False) as database:
        async with database.write() as connection:
            await connection.run_sync(module._migrate, FIRST)
            await connection.run_sync(_fill)
        async with database.read() as connection:
            names = await connection.run_sync(_names)
            rows = await connection.run_sync(_rows, names)
        assert len(rows) > 14
        assert {len(found) for found in rows.values()} == {2}
        yield database, names, rows


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return compare_metadata(context, metadata)


async def test_every_row_survives_and_the_tables_are_those_of_the_program(older, tmp_path):
    database, names, rows = older
    await upgrade(database, tmp_path)
    async with database.read() as connection:
        assert await connection.run_sync(_rows, names) == rows
        assert await connection.run_sync(_differences) == []
        assert await connection.run_sync(module._revision) == SCHEMA_REVISION


async def _revision_of(url: URL) -> tuple[str | None, int]:
    database = Database(url)
    try:
        async with database.read() as connection:
            count = (await connection.execute(select(func.count()).select_from(metadata.tables["users"]))).scalar_one()
            return await connection.run_sync(module._revision), count
    finally:
        await database.close()


def _restore(copy: Path, url: URL) -> None:
    address = url.render_as_string(hide_password=False)
    command = ["pg_restore", "--exit-on-error", "--no-owner", "--dbname", address, copy]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


async def test_the_backup_holds_what_was_there_before(older, tmp_path):
    database, *_ = older
    await upgrade(database, tmp_path)
    (copy,) = tmp_path.glob("*.before-*")
    assert copy.stat().st_mode & 0o777 == 0o600
    if database.is_sqlite:
        url = URL.create("sqlite+aiosqlite", database=str(copy))
    else:
        url = session_databases.server.create_database()
        await asyncio.to_thread(_restore, copy, url)
    assert await _revision_of(url) == (FIRST, 2)


async def test_without_a_backup_there_is_no_upgrade(older, tmp_path):
    database, *_ = older
    name = f"{database.url.database if not database.is_sqlite else 'pepeunit.sqlite3'}.before-{SCHEMA_REVISION}"
    blocking = tmp_path / (name if database.is_sqlite else f"{name}.pgdump")
    blocking.mkdir()
    with pytest.raises(StartError, match=r"cannot be backed up to .*Nothing was\s+changed; see to it that"):
        await upgrade(database, tmp_path)
    assert list(blocking.parent.glob(".*-*")) == [], "nothing half written is left"
    async with database.read() as connection:
        assert await connection.run_sync(module._revision) == FIRST


async def test_an_upgrade_that_fails_changes_nothing(older, tmp_path, monkeypatch):
    database, names, rows = older
    real = module._migrate

    def broken(connection: Connection) -> None:
        real(connection)
        raise RuntimeError("the power fails")

    monkeypatch.setattr(module, "_migrate", broken)
    with pytest.raises(RuntimeError, match="the power fails"):
        await upgrade(database, tmp_path)
    async with database.read() as connection:
        assert await connection.run_sync(module._revision) == FIRST
        assert await connection.run_sync(_names) == names
        assert await connection.run_sync(_rows, names) == rows
