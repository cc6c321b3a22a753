"""Connections to SQLite: pragmas that really hold, and files that others use or that are none."""

import asyncio
import sqlite3

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.outages import is_busy
from pepeunit_gateway.storage.tables import units
from pepeunit_gateway.storage.upgrade import upgrade
from tests.support.databases import open_database
from tests.support.telemetry import add_unit


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10000)]
)
async def test_every_connection_has_the_pragmas(database, pragma, value):
    for opened in (database.write, database.read):
        async with opened() as connection:
            assert (await connection.execute(text(f"PRAGMA {pragma}"))).scalar_one() == value


async def test_a_writer_that_waited_in_vain_for_another_process_is_told_apart_and_can_try_again(tmp_path):
    async with open_database(tmp_path, busy_timeout=0.05) as database:
        other = sqlite3.connect(database.url.database, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OperationalError, match="database is locked") as caught:
                await add_unit(database)
            assert is_busy(caught.value)
            async with database.read() as connection:  # readers wait for nobody
                assert (await connection.execute(select(func.count()).select_from(units))).scalar_one() == 0
            other.execute("ROLLBACK")
            await add_unit(database)
        finally:
            other.close()


async def test_a_new_file_that_others_write_at_this_moment_is_waited_for(tmp_path):
    path = tmp_path / "x.sqlite3"
    other = sqlite3.connect(path, isolation_level=None)  # in no WAL mode yet, as a new file is
    other.execute("CREATE TABLE x (y)")
    other.execute("BEGIN IMMEDIATE")
    database = Database(URL.create("sqlite+aiosqlite", database=str(path)))
    try:
        asyncio.get_running_loop().call_later(0.3, other.execute, "ROLLBACK")
        async with database.read() as connection:
            assert (await connection.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
    finally:
        await database.close()
        other.close()


async def test_a_file_that_is_no_database_is_a_clear_message(tmp_path):
    path = tmp_path / "x.sqlite3"
    path.write_bytes(b"this is a text, not a database\n" * 100)
    database = Database(URL.create("sqlite+aiosqlite", database=str(path)))
    try:
        with pytest.raises(StartError, match="cannot be opened"):
            await upgrade(database, tmp_path)
    finally:
        await database.close()
    assert path.read_bytes().startswith(b"this is a text")


async def test_an_upgrade_that_waits_in_vain_for_another_process_says_so(tmp_path):
    async with open_database(tmp_path, migrated=False, busy_timeout=0.05) as database:
        async with database.write() as connection:
            await connection.execute(text("SELECT 1"))
        other = sqlite3.connect(database.url.database, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StartError, match="others hold it, perhaps another upgrade"):
                await upgrade(database, tmp_path)
        finally:
            other.close()
