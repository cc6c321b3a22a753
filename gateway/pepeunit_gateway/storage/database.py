"""Connections. Writers take their lock at BEGIN, readers never wait for them.

SQLite runs in WAL mode: many readers beside one writer. The pragmas and why:
journal_mode=WAL        readers and the writer do not block each other
synchronous=FULL        what was committed survives a power cut; the broker is acknowledged only after that
foreign_keys=ON         SQLite leaves them off
busy_timeout=10000      the command line may write while the gateway runs
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

__all__ = ["Database"]

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=10000",
)
_READERS = 4


def _engine(url: URL, begin: str, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url, poolclass=AsyncAdaptedQueuePool, pool_size=pool_size, max_overflow=0, pool_timeout=30
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun by us, not by the driver's guess
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begun(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


class Database:
    """One database. `write()` is one transaction with the writer's lock, `read()` one consistent view."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self._writer = _engine(url, "BEGIN IMMEDIATE", 1)
        self._reader = _engine(url, "BEGIN", _READERS)

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
