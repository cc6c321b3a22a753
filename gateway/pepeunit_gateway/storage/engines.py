"""How connections to SQLite and PostgreSQL are opened. Values never show in errors, which are logged.

SQLite runs in WAL mode: many readers beside one writer. The pragmas and why:
journal_mode=WAL        readers and the writer do not block each other
synchronous=FULL        what was committed survives a power cut; the broker is acknowledged only after that
foreign_keys=ON         SQLite leaves them off
busy_timeout            the command line may write while the gateway runs

PostgreSQL: readers see one snapshot (REPEATABLE READ, read only). A statement that waits for a lock for too long, and a
transaction that was left open, end with an error instead of holding up others.
"""

import asyncio
import contextlib
import math
import sqlite3
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool
from sqlalchemy.util import await_only

from pepeunit_gateway.storage.postgresql import connector, watch_connections
from pepeunit_gateway.storage.search import LOWER, lower

__all__ = ["POSTGRESQL", "SINGLE", "SQLITE", "migration_engine", "postgresql_engine", "sqlite_engine"]

SQLITE = "sqlite"
POSTGRESQL = "postgresql"

SINGLE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {SQLITE: {"begin_nothing": True}, POSTGRESQL: {"isolation_level": "AUTOCOMMIT", "postgresql_readonly": True}}
)
"""The options of a connection whose statements stand alone, by the kind of database."""

_WAL = "PRAGMA journal_mode=WAL"
_PRAGMAS = ("PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON")
_WAL_PAUSE = 0.05
_POOL_TIMEOUT = 30.0
_READ_TIMEOUT = 30.0
_WRITE_TIMEOUT = 60.0
_IDLE_IN_TRANSACTION = 60_000  # ms
_MIGRATION_LOCK_TIMEOUT = 600_000  # ms


def _pooled(url: URL, pool_size: int, **options: Any) -> AsyncEngine:
    """Return an engine whose connections come back with no transaction left, so that none has to be rolled back."""
    return create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT,
        hide_parameters=True,
        pool_reset_on_return=None,
        **options,
    )


def sqlite_engine(url: URL, *, begin: str, pool_size: int, busy_timeout: float) -> AsyncEngine:
    """Return an engine whose transactions start with the statement `begin`."""
    engine = _pooled(url, pool_size)

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun by us, not by the driver's guess
        with contextlib.closing(connection.cursor()) as cursor:
            _enter_wal_mode(cursor, busy_timeout)
            for pragma in (*_PRAGMAS, f"PRAGMA busy_timeout={round(busy_timeout * 1000)}"):
                cursor.execute(pragma)
        connection.create_function(LOWER, 1, lower, deterministic=True)

    @event.listens_for(engine.sync_engine, "begin")
    def _begun(connection: Any) -> None:
        if not connection.get_execution_options().get("begin_nothing"):
            connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "handle_error", _end_transaction)
    return engine


def _enter_wal_mode(cursor: Any, patience: float) -> None:
    """Switch to WAL mode, which stays with the file; wait `patience` seconds for others that do so at this moment.

    SQLite does not wait by itself here: of several that switch a new file at once all but one are refused.
    """
    tries = max(1, math.ceil(patience / _WAL_PAUSE))
    for left in reversed(range(tries)):
        try:
            cursor.execute(_WAL)
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            await_only(asyncio.sleep(_WAL_PAUSE))
        else:
            return


def _end_transaction(context: ExceptionContext) -> None:
    """End what SQLite would keep open: after a COMMIT that failed, and after a statement that was cancelled.

    A cancelled connection is closed, but what is closed while a statement has rows to give goes on living with its
    transaction, and its locks, until the garbage collector finds the statement.
    """
    connection, executed = context.connection, context.execution_context
    ends = context.statement is None or context.is_disconnect
    if not ends or connection is None or connection.closed or connection.invalidated:
        return
    try:
        # each is under way once it is called, also where this task is cancelled again while it waits for it
        try:
            if executed is not None and executed.cursor is not None:
                executed.cursor.close()
        finally:
            connection.connection.rollback()
    except sqlite3.Error:
        context.is_disconnect = True


def postgresql_engine(url: URL, *, pool_size: int, busy_timeout: float, read_only: bool) -> AsyncEngine:
    """Return an engine over asyncpg; `url` may have any PostgreSQL driver's name.

    Raises:
        StartError: the address has an option that is not known.
    """
    milliseconds = str(round(busy_timeout * 1000))
    server = {
        "application_name": "pepeunit",
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION),
        "jit": "off",  # compiling a plan costs more than our short statements
        "timezone": "UTC",
    }
    timeout = _READ_TIMEOUT if read_only else _WRITE_TIMEOUT
    connect = connector(url, command_timeout=timeout, server_settings=server)
    engine = _pooled(url.set(drivername="postgresql+asyncpg"), pool_size, async_creator=connect)
    watch_connections(engine.sync_engine)
    if read_only:
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return engine


def migration_engine(url: URL) -> AsyncEngine:
    """Return an engine over asyncpg for one long transaction, which waits ten minutes for locks and works for hours.

    Raises:
        StartError: the address has an option that is not known.
    """
    server = {
        "application_name": "pepeunit upgrade",
        "lock_timeout": str(_MIGRATION_LOCK_TIMEOUT),
        "idle_in_transaction_session_timeout": "0",
        "timezone": "UTC",
    }
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        poolclass=NullPool,
        hide_parameters=True,
        async_creator=connector(url, server_settings=server),
    )
    watch_connections(engine.sync_engine)
    return engine
