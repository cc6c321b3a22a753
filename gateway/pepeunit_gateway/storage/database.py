"""One database behind one door: SQLite or PostgreSQL (design.md, rules 3 and 5).

On both databases an act of the registry runs alone: SQLite has one writer anyway, PostgreSQL takes one advisory lock
for the length of the transaction. So a rule that was checked in an act still holds when it commits, in every replica.
Telemetry is written beside it, without that lock.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Dialect, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import QueuePool

from pepeunit_gateway.storage.engines import POSTGRESQL, SINGLE, SQLITE, postgresql_engine, sqlite_engine
from pepeunit_gateway.storage.outages import DatabaseAwayError
from pepeunit_gateway.storage.own_tables import act_counter
from pepeunit_gateway.storage.queries import FixedQuery

__all__ = ["Database"]

_READERS = 4
_ACTS = 0x50657065  # the number of our advisory lock: "Pepe"
_TAKE_ACTS = text(f"SELECT pg_advisory_xact_lock({_ACTS})")
_COUNT_ACT = act_counter.update().values(acts=act_counter.c.acts + 1)


class Database:
    """One database.

    `write()` is one transaction, `act()` one that runs alone, `read()` one consistent view; `look()` is for reads of a
    single statement, `fetch()` and `records()` for those that requests make most.

    Args:
        url: of SQLite (`sqlite+aiosqlite`) or PostgreSQL.
        busy_timeout: seconds to wait for another process that holds a lock; then the statement fails as busy.
        pool_size: connections to PostgreSQL for readers, and half as many, at least two, for writers.
    """

    def __init__(self, url: URL, *, busy_timeout: float = 10.0, pool_size: int = 8) -> None:
        self.url = url
        self.dialect = url.get_backend_name()
        self._driver_errors: tuple[type[Exception], ...] = (sqlite3.Error,)
        if self.is_sqlite:
            self._writer = sqlite_engine(url, begin="BEGIN IMMEDIATE", pool_size=1, busy_timeout=busy_timeout)
            self._reader = sqlite_engine(url, begin="BEGIN", pool_size=_READERS, busy_timeout=busy_timeout)
        elif self.dialect == POSTGRESQL:
            writers = max(2, pool_size // 2)
            self._writer = postgresql_engine(url, pool_size=writers, busy_timeout=busy_timeout, read_only=False)
            self._reader = postgresql_engine(url, pool_size=pool_size, busy_timeout=busy_timeout, read_only=True)
            from asyncpg.exceptions import InterfaceError, PostgresError  # the engine has it by now

            self._driver_errors = (PostgresError, InterfaceError, OSError)
        else:
            raise ValueError(f"{self.dialect} is neither {SQLITE} nor {POSTGRESQL}")

    @property
    def is_sqlite(self) -> bool:
        return self.dialect == SQLITE

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Commit at the end of the block, roll back if it raises. On SQLite one writer at a time; wait at most 30 s."""
        async with self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def act(self) -> AsyncIterator[AsyncConnection]:
        """As `write`, and no other act runs meanwhile, in this process or another."""
        async with self._writer.begin() as connection:
            if not self.is_sqlite:
                await connection.execute(_TAKE_ACTS)
            await connection.execute(_COUNT_ACT)
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Read in one snapshot."""
        async with self._reader.begin() as connection:
            yield connection

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncConnection]:
        """Read without a transaction around it: every statement sees what was committed when it began."""
        async with self._reader.connect() as connection:
            yield await connection.execution_options(**SINGLE[self.dialect])

    async def fetch(self, query: FixedQuery, **values: Any) -> Sequence[Sequence[Any]]:
        """Run one statement and return its rows, as the driver gives them.

        Raises:
            SQLAlchemyError: as from every other way to read.
        """
        return await self._ask(query, values, lambda rows, _: list(rows))

    async def records(self, query: FixedQuery, **values: Any) -> Sequence[Any]:
        """Run one statement and return its rows as SQLAlchemy would: values by their names, UUIDs, truth and times.

        Raises:
            SQLAlchemyError: as from every other way to read.
        """
        return await self._ask(query, values, lambda rows, dialect: query.records(dialect, rows))

    async def _ask(
        self,
        query: FixedQuery,
        values: Mapping[str, Any],
        make: Callable[[Iterable[Sequence[Any]], Dialect], list[Any]],
    ) -> Sequence[Any]:
        async with self._reader.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            statement, arguments = query.render(connection.dialect, values)
            try:
                if self.is_sqlite:
                    return make(await driver.execute_fetchall(statement, arguments), connection.dialect)
                return make(await driver.fetch(statement, *arguments), connection.dialect)
            except TimeoutError as error:  # of PostgreSQL alone; to ask again would take as long once more
                await connection.invalidate(error)
                raise DatabaseAwayError("TimeoutError while the server was asked") from error
            except self._driver_errors:
                # once more on the long way: it knows a broken connection, and what its errors are called
                rows: Sequence[Sequence[Any]] = (await connection.execute(query.statement, values)).all()
                return rows

    def connections_in_use(self) -> dict[str, float]:
        """Return how many connections are lent out, by what they are for."""
        return {name: pool.checkedout() for name, pool in self._pools().items()}

    def connections_limit(self) -> dict[str, float]:
        """Return how many connections there may be, by what they are for."""
        return {name: pool.size() for name, pool in self._pools().items()}

    def _pools(self) -> dict[str, QueuePool]:
        engines = {"read": self._reader, "write": self._writer}
        return {name: engine.pool for name, engine in engines.items() if isinstance(engine.pool, QueuePool)}

    async def close(self) -> None:
        """Close every connection."""
        await self._reader.dispose()
        await self._writer.dispose()
