"""What a failure of the database means: it is busy or away for now, or it will never take these values."""

import sqlite3

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

__all__ = ["DatabaseAwayError", "blames_values", "driver_failure", "is_away", "is_busy"]

_PASSING_CLASSES = ("08", "40", "53", "57", "58")
"""PostgreSQL's classes of what passes: connection, rollback, resources, intervention of the operator, system."""

_AWAY_CLASSES = ("08", "57P")
"""Of these: no connection, or the operator stops the server."""

_PASSING = frozenset({"25006", "55P03", "55006", "25P03"})
"""Besides: a server that only reads for now, a lock not had in time, an object in use, a transaction left open."""

_OUTDATED = "InvalidCachedStatementError"
"""What the driver and SQLAlchemy call a statement that was prepared before a table was changed; then they forget it."""

_CONSTRAINT_CLASS = "23"
_VALUE_CLASSES = ("22", _CONSTRAINT_CLASS)
"""What is wrong with a value: its form, or a constraint."""


_UNSENDABLE = (ValueError, TypeError, OverflowError)
"""What PostgreSQL's driver says of a value that it cannot send."""


class DatabaseAwayError(SQLAlchemyError):
    """No connection to the server can be opened, or it did not answer in time."""


def is_busy(error: SQLAlchemyError) -> bool:
    """Tell whether others held the database for too long or it is away, so that a later try may succeed."""
    if isinstance(error, PoolTimeoutError | DatabaseAwayError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        # the low byte is the class; the rest tells kinds of it apart, e.g. SQLITE_BUSY_SNAPSHOT
        code = error.orig.sqlite_errorcode & 0xFF if isinstance(error.orig, sqlite3.OperationalError) else None
        return code == sqlite3.SQLITE_BUSY
    if type(error.orig).__name__ == _OUTDATED:
        return True
    state = _state(error)
    return state in _PASSING or state.startswith(_PASSING_CLASSES)


def is_away(error: SQLAlchemyError) -> bool:
    """Tell whether it is busy because the server cannot be reached, and not because of others who use it."""
    if isinstance(error, DatabaseAwayError):
        return True
    if not isinstance(error, DBAPIError) or isinstance(error.orig, sqlite3.Error):
        return False
    return error.connection_invalidated or _state(error).startswith(_AWAY_CLASSES)


def blames_values(error: SQLAlchemyError) -> bool:
    """Tell whether the values of the statement are at fault, so that it fails however often it is tried."""
    if isinstance(error, DataError | IntegrityError):
        return True
    if not isinstance(error, DBAPIError):
        return isinstance(error, StatementError)  # refused before it reached the driver
    if error.connection_invalidated or isinstance(error.orig, sqlite3.Error):
        return False
    if _state(error).startswith(_VALUE_CLASSES):
        return True
    cause = error.orig.__cause__ if error.orig is not None else None
    return isinstance(error.orig, _UNSENDABLE) or isinstance(cause, _UNSENDABLE)


def driver_failure(statement: str, error: Exception, *, closed: bool) -> SQLAlchemyError:
    """Return what SQLAlchemy would raise for an error of PostgreSQL's driver that it has not seen itself.

    Args:
        statement: names what was done, without values.
        error: of asyncpg; what it repeats of the row that was refused is removed.
        closed: whether the connection is lost.
    """
    if isinstance(error, OSError):
        return DatabaseAwayError(f"{type(error).__name__} during {statement}")
    if getattr(error, "detail", None):
        error.detail = None  # type: ignore[attr-defined]
    state = getattr(error, "sqlstate", None) or ""
    kind = IntegrityError if state.startswith(_CONSTRAINT_CLASS) else DBAPIError
    return kind(statement, None, error, hide_parameters=True, connection_invalidated=closed)


def _state(error: DBAPIError) -> str:
    """Return the SQLSTATE of PostgreSQL, five characters, or an empty text."""
    return getattr(error.orig, "sqlstate", None) or ""
