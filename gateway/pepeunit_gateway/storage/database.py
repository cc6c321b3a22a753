"""Connections. Writers take their lock at BEGIN, readers never wait for them.

SQLite runs in WAL mode: many readers beside one writer. The pragmas and why:
journal_mode=WAL        readers and the writer do not block each other
synchronous=FULL        what was committed survives a power cut; the broker is acknowledged only after that
foreign_keys=ON         SQLite leaves them off
busy_timeout            10 s unless given: the command line may write while the gateway runs

Values never show in errors, which are logged: password hashes and payloads are among them.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

__all__ = ["Database", "is_busy"]

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
)
_READERS = 4
_POOL_TIMEOUT = 30.0


def is_busy(error: SQLAlchemyError) -> bool:
    """Tell whether it was only others who held the database for too long, so that a later try may succeed."""
    if isinstance(error, PoolTimeoutError):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else None
    # the low byte is the class; the rest tells kinds of it apart, e.g. SQLITE_BUSY_SNAPSHOT
    return isinstance(cause, sqlite3.OperationalError) and cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _engine(url: URL, begin: str, pool_size: int, busy_timeout: float) -> AsyncEngine:
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT,
        hide_parameters=True,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun by us, not by the driver's guess
        cursor = connection.cursor()
        for pragma in (*_PRAGMAS, f"PRAGMA busy_timeout={round(busy_timeout * 1000)}"):
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begun(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


class Database:
    """One database. `write()` is one transaction with the writer's lock, `read()` one consistent view.

    Args:
        url: of SQLite.
        busy_timeout: seconds to wait for another process that holds the lock; then the statement fails (`is_busy`).
    """

    def __init__(self, url: URL, *, busy_timeout: float = 10.0) -> None:
        self.url = url
        self._writer = _engine(url, "BEGIN IMMEDIATE", 1, busy_timeout)
        self._reader = _engine(url, "BEGIN", _READERS, busy_timeout)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Commit at the end of the block, roll back if it raises. One writer at a time; wait at most 30 s."""
        async with self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Read in one snapshot."""
        async with self._reader.begin() as connection:
            yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._reader.dispose()
        await self._writer.dispose()
