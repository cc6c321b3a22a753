"""Transactions that really are, and what the database keeps by itself."""

import asyncio
import traceback
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import Table, func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
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

BOTH_DATABASES = True

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


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


async def test_acts_wait_for_each_other_instead_of_failing(database):
    async def insert(number: int) -> None:
        async with database.act() as connection:
            seen = (await connection.execute(select(func.count()).select_from(users))).scalar_one()
            await connection.execute(users.insert(), [user(f"user{number}", telegram_chat_id=str(seen))])

    async with asyncio.timeout(30):
        await asyncio.gather(*(insert(number) for number in range(20)))
    assert await count(database) == 20  # and every one saw another number, or telegram_chat_id had clashed


async def test_no_value_shows_in_the_error_of_a_statement_that_fails(database):
    """Errors are logged, and password hashes are among the values."""
    nobody = user("nobody", hashed_password="argon2-hash", status=None)
    twin = user("twin", hashed_password="argon2-hash")
    naive = user("naive", hashed_password="argon2-hash", create_datetime=NOW.replace(tzinfo=None))
    too_large = user("large", hashed_password="argon2-hash", token_generation=2**70)
    for rows in ([nobody], [nobody] * 3, [twin, twin], [naive], [too_large]):
        with pytest.raises((StatementError, OverflowError)) as caught:
            async with database.write() as connection:
                await connection.execute(users.insert(), rows)
        logged = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert "argon2-hash" not in logged


async def test_other_failures_are_not_taken_for_a_busy_database(database):
    with pytest.raises(DBAPIError, match="nowhere") as caught:
        async with database.read() as connection:
            await connection.execute(text("SELECT 1 FROM nowhere"))
    assert not is_busy(caught.value)
    assert is_busy(PoolTimeoutError("QueuePool limit"))


async def test_uniqueness_and_foreign_keys_are_the_databases_own(database):
    """W31: not a read followed by a write."""
    async with database.write() as connection:
        await connection.execute(users.insert(), [user("taken")])
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        async with database.write() as connection:
            await connection.execute(users.insert(), [user("taken")])
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
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
        with pytest.raises(IntegrityError, match=r"(?i)unique"):
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
        raw = (await connection.execute(text("SELECT CAST(create_datetime AS VARCHAR(40)) FROM users"))).scalar_one()
    assert raw == "2026-01-02 03:04:05.678901"
    with pytest.raises(StatementError, match="naive"):
        async with database.write() as connection:
            await connection.execute(users.insert(), [user("naive", create_datetime=NOW.replace(tzinfo=None))])


async def test_a_transaction_that_is_cancelled_anywhere_holds_nothing(database):
    """Whoever gets its connection next finds no transaction, and its locks are gone."""

    async def insert(name: str) -> None:
        async with database.act() as connection:
            await connection.execute(users.insert(), [user(name)])
            await connection.execute(select(users))

    for steps in range(40):
        task = asyncio.create_task(insert(f"cancelled{steps}"))
        await asyncio.wait({task}, timeout=steps * 0.0005)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    before = await count(database)
    async with asyncio.timeout(30):
        await asyncio.gather(*(insert(f"later{number}") for number in range(10)))
    assert await count(database) == before + 10
