"""Make the k-th SQL statement of an act fail: before it runs, or after. What was there before must be there then."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine

from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.own_tables import job_runs, metadata

__all__ = ["InjectedError", "StatementCounter", "fail_write", "snapshot"]

_IGNORED = ("BEGIN", "PRAGMA", "COMMIT", "ROLLBACK")


class InjectedError(Exception):
    """The fault that a sweep brings in."""


class StatementCounter:
    """How many statements ran in write transactions."""

    def __init__(self) -> None:
        self.count = 0


def _writer(database: Database) -> AsyncEngine:
    return database._writer


@contextmanager
def _listening(database: Database, name: str, listener: Any) -> Iterator[None]:
    engine = _writer(database).sync_engine
    event.listen(engine, name, listener)
    try:
        yield
    finally:
        event.remove(engine, name, listener)


@contextmanager
def fail_write(database: Database, number: int, *, after: bool) -> Iterator[StatementCounter]:
    """Raise InjectedError at the `number`-th statement (from 1) of write transactions: before or after it ran."""
    counter = StatementCounter()

    def ran(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(_IGNORED):
            return
        counter.count += 1
        if counter.count == number:
            raise InjectedError(statement)

    with _listening(database, "after_cursor_execute" if after else "before_cursor_execute", ran):
        yield counter


async def snapshot(database: Database, without: Mapping[str, str] = MappingProxyType({})) -> dict[str, list[Any]]:
    """Return every row of every table, sorted; of a table named in `without` all but that column.

    What jobs did meanwhile is left out: it is no part of any act.
    """
    found = {}
    async with database.read() as connection:
        for table in metadata.sorted_tables:
            if table is job_runs:
                continue
            columns = [column for column in table.c if column.name != without.get(table.name)]
            rows = (await connection.execute(select(*columns))).all()
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found
