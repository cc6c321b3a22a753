"""Connections to SQLite: transactions that really are, pragmas that really hold."""

import asyncio
import sqlite3
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import Table, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.outages import is_busy
from pepeunit_gateway.storage.tables import (
    permissions,
    repos,
    repository_registry,
    units,
    units_nodes,
    units_nodes_edges,
    users,
)
from pepeunit_gateway.storage.upgrade import upgrade

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
async def database(tmp_path):
    database = Database(URL.create("sqlite+aiosqlite", database=str(tmp_path / "x.sqlite3")))
    await upgrade(database)
    yield database
    await database.close()


def user(login: str, **more: object) -> dict[str, object]:
    return {
        "uuid": uuid4(),
        "role": "User",
        "status": "Unverified",
        "login": login,
        "hashed_password": "x",
        "cipher_dynamic_salt": "",
        "grafana_org_name": uuid4(),
        "create_datetime": NOW,
        **more,
    }


async def count(database: Database) -> int:
    async with database.read() as connection:
        return (await connection.execute(select(func.count()).select_from(users))).scalar_one()


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10000)]
)
async def test_every_connection_has_the_pragmas(database, pragma, value):
    for opened in (database.write, database.read):
        async with opened() as connection:
            assert (await connection.execute(text(f"PRAGMA {pragma}"))).scalar_one() == value


async def test_a_transaction_that_fails_leaves_nothing(database):
    async def half() -> None:
        async with database.write() as connection:
            await connection.execute(users.insert(), [user("first"), user("second")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await half()
    assert await count(database) == 0


async def test_readers_see_the_last_commit_while_a_writer_works(database):
    async with database.write() as connection:
        await connection.execute(users.insert(), [user("first")])
        assert await count(database) == 0
    assert await count(database) == 1


async def test_writers_wait_for_each_other_instead_of_failing(database):
    async def insert(number: int) -> None:
        async with database.write() as connection:
            seen = (await connection.execute(select(func.count()).select_from(users))).scalar_one()
            await connection.execute(users.insert(), [user(f"user{number}", telegram_chat_id=str(seen))])

    async with asyncio.timeout(30):
        await asyncio.gather(*(insert(number) for number in range(20)))
    assert await count(database) == 20  # and every one saw another number, or telegram_chat_id had clashed


async def test_no_value_shows_in_the_error_of_a_statement_that_fails(database):
    """Errors are logged, and password hashes are among the values."""
    async with database.write() as connection:
        await connection.execute(
            text("CREATE TRIGGER t BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'the disk is odd'); END")
        )
    for rows in ([user("anybody", hashed_password="argon2-hash")], [user("a", hashed_password="argon2-hash")] * 3):
        with pytest.raises(DBAPIError, match="the disk is odd") as caught:
            async with database.write() as connection:
                await connection.execute(users.insert(), rows)
        assert "argon2-hash" not in str(caught.value) + repr(caught.value)
    naive = user("naive", hashed_password="argon2-hash", create_datetime=NOW.replace(tzinfo=None))
    with pytest.raises(StatementError, match="naive") as wrong:
        async with database.write() as connection:
            await connection.execute(users.insert(), [naive])
    assert "argon2-hash" not in str(wrong.value) + repr(wrong.value)


async def test_a_writer_that_waited_in_vain_for_another_process_is_told_apart_and_can_try_again(tmp_path):
    path = tmp_path / "x.sqlite3"
    database = Database(URL.create("sqlite+aiosqlite", database=str(path)), busy_timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    try:
        await upgrade(database)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked") as caught:
            async with database.write():
                pass
        assert is_busy(caught.value)
        assert await count(database) == 0  # readers wait for nobody
        other.execute("ROLLBACK")
        async with database.write() as connection:
            await connection.execute(users.insert(), [user("later")])
        assert await count(database) == 1
    finally:
        other.close()
        await database.close()


async def test_other_failures_are_not_taken_for_a_busy_database(database):
    with pytest.raises(OperationalError, match="no such table") as caught:
        async with database.read() as connection:
            await connection.execute(text("SELECT 1 FROM nowhere"))
    assert not is_busy(caught.value)
    assert is_busy(PoolTimeoutError("QueuePool limit"))


async def test_uniqueness_and_foreign_keys_are_the_databases_own(database):
    """W31: not a read followed by a write."""
    async with database.write() as connection:
        await connection.execute(users.insert(), [user("taken")])
    with pytest.raises(IntegrityError, match="UNIQUE"):
        async with database.write() as connection:
            await connection.execute(users.insert(), [user("taken")])
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        async with database.write() as connection:
            await connection.execute(
                repos.insert().values(
                    uuid=uuid4(),
                    name="repo",
                    create_datetime=NOW,
                    last_update_datetime=NOW,
                    repository_registry_uuid=uuid4(),
                )
            )


async def test_nodes_edges_and_permissions_are_unique_in_the_database(database):
    """W31: of each there can be only one, whoever writes; names of Repos and units likewise."""
    rows = _world()
    async with database.write() as connection:
        for table, row in rows:
            await connection.execute(table.insert().values(row))
    for table, row in rows:
        with pytest.raises(IntegrityError, match="UNIQUE"):
            async with database.write() as connection:
                await connection.execute(table.insert().values({**row, "uuid": uuid4()}))


def _world() -> list[tuple[Table, dict[str, object]]]:
    """One row of each table that must not hold its like twice, in the order of their references."""
    names = ("user", "registry", "repo", "unit", "output", "input")
    key = {name: uuid4() for name in names}
    times = {"create_datetime": NOW, "last_update_datetime": NOW}
    node = {**times, "topic_name": "x/pepeunit", "unit_uuid": key["unit"]}
    permission = {"agent_type": "Unit", "agent_unit_uuid": key["unit"]}
    return [
        (users, {**user("someone"), "uuid": key["user"]}),
        (
            repository_registry,
            {**times, "uuid": key["registry"], "platform": "Git", "repository_url": "https://x/y.git"},
        ),
        (repos, {**times, "uuid": key["repo"], "name": "repo", "repository_registry_uuid": key["registry"]}),
        (units, {**times, "uuid": key["unit"], "name": "unit", "repo_uuid": key["repo"]}),
        (units_nodes, {**node, "uuid": key["output"], "type": "Output"}),
        (units_nodes, {**node, "uuid": key["input"], "type": "Input"}),
        (
            units_nodes_edges,
            {"uuid": uuid4(), "node_output_uuid": key["output"], "node_input_uuid": key["input"]},
        ),
        (permissions, {**permission, "uuid": uuid4(), "resource_type": "Repo", "resource_repo_uuid": key["repo"]}),
        (permissions, {**permission, "uuid": uuid4(), "resource_type": "Unit", "resource_unit_uuid": key["unit"]}),
        (
            permissions,
            {**permission, "uuid": uuid4(), "resource_type": "UnitNode", "resource_unit_node_uuid": key["input"]},
        ),
        (
            permissions,
            {
                "uuid": uuid4(),
                "agent_type": "User",
                "agent_user_uuid": key["user"],
                "resource_type": "Repo",
                "resource_repo_uuid": key["repo"],
            },
        ),
    ]


async def test_times_come_back_aware_and_naive_ones_are_refused(database):
    async with database.write() as connection:
        await connection.execute(users.insert(), [user("timely")])
        assert (await connection.execute(select(users.c.create_datetime))).scalar_one() == NOW
        raw = (await connection.execute(text("SELECT create_datetime FROM users"))).scalar_one()
    assert raw == "2026-01-02 03:04:05.678901"
    with pytest.raises(StatementError, match="naive"):
        async with database.write() as connection:
            await connection.execute(users.insert(), [user("naive", create_datetime=NOW.replace(tzinfo=None))])
