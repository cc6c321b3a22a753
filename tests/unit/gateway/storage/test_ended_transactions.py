"""However a transaction ends - refused at its commit, or cancelled at any step -, nothing of it holds the database."""

import asyncio
import gc
import itertools
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.own_tables import act_counter
from pepeunit_gateway.storage.queries import FixedQuery

BOTH_DATABASES = True

ACTS = FixedQuery(select(act_counter.c.acts))


@pytest.fixture(autouse=True)
def _no_help_of_the_garbage_collector():
    """What a cancelled transaction leaves behind may be freed by a collection, in a test at once, else after hours."""
    gc.disable()
    yield
    gc.enable()


@asynccontextmanager
async def impatient(database: Database):
    """Another process, as it were, that waits for nobody."""
    other = Database(database.url, busy_timeout=0.05)
    try:
        yield other
    finally:
        await other.close()


async def assert_free(*databases: Database) -> None:
    for database in databases:
        async with asyncio.timeout(20), database.act() as connection:
            await connection.execute(text("SELECT 1"))
        assert set(database.connections_in_use().values()) == {0.0}


async def test_a_commit_that_is_refused_ends_its_transaction(database):
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE parents (number INTEGER PRIMARY KEY)"))
        await connection.execute(
            text("CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)")
        )
    for opened in (database.write, database.act):
        with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
            async with opened() as connection:
                await connection.execute(text("INSERT INTO children VALUES (1)"))
        async with impatient(database) as other:
            await assert_free(database, other)
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM children"))).scalar_one() == 0


@types.coroutine
def cancelled_at(act: Coroutine[Any, Any, None], steps: tuple[int, ...]) -> Generator[Any, Any, int]:
    """Run `act`, and cancel its task when it waits for the time that is numbered so. Return how often it has waited."""
    resume: Callable[[], Any] = partial(act.send, None)
    for step in itertools.count():
        try:
            waits = resume()
        except StopIteration:
            return step
        if step in steps:
            asyncio.current_task().cancel()
        try:
            resume = partial(act.send, (yield waits))
        except asyncio.CancelledError as error:
            resume = partial(act.throw, error)
    raise AssertionError


async def _act(database: Database) -> None:
    async with database.act() as connection:
        await connection.execute(text("SELECT login FROM users"))
        await connection.execute(text("UPDATE act_counter SET acts = acts + 1"))
        await connection.execute(text("SELECT acts FROM act_counter"))


async def _write(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("SELECT acts FROM act_counter"))


async def _read(database: Database) -> None:
    async with database.read() as connection:
        await connection.execute(text("SELECT acts FROM act_counter"))


async def _fetch(database: Database) -> None:
    await database.fetch(ACTS)


@pytest.mark.parametrize("again", [(), (1,), (2,), (1, 2, 3)], ids=["once", "at once again", "later again", "often"])
@pytest.mark.parametrize("act", [_act, _write, _read, _fetch])
async def test_what_is_cancelled_at_any_step_holds_nothing(database, act, again):
    """A connection that is closed while a statement has rows to give would keep its transaction on SQLite."""
    async with impatient(database) as other:
        await assert_free(database, other)
        for step in itertools.count():
            steps = (step, *(step + later for later in again))
            task = asyncio.ensure_future(cancelled_at(act(database), steps))
            async with asyncio.timeout(20):
                await asyncio.wait({task})
            await assert_free(database, other)
            if not task.cancelled() and task.result() <= step:
                break
