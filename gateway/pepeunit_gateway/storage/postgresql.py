"""Connections to PostgreSQL: what an address may say, and failures told alike whatever part of them they come from."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import event, text
from sqlalchemy.engine import URL, Engine
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage.outages import DatabaseAwayError
from pepeunit_gateway.storage.search import COLLATION

__all__ = ["check_server", "connector", "dump_environment", "shown", "unreachable", "watch_connections"]

_CONNECT_TIMEOUT = 10.0
_OLDEST = 13
_NO_DATABASE = "3D000"
_NO_LOGIN = "28"
_ABILITIES = text(
    "SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding, "
    "EXISTS (SELECT FROM pg_collation WHERE collname = :collation) AS has_collation"
)

_OPTIONS = frozenset(
    {"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "ssl_min_protocol_version",
     "ssl_max_protocol_version", "target_session_attrs", "options", "connect_timeout"}
)  # fmt: skip


def shown(url: URL) -> str:
    """Return the address without its password, or the name of the SQLite file, for a message."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)


def _options(url: URL) -> dict[str, str]:
    """Return what stands behind `?`, of a repeated key the last.

    Raises:
        StartError: it says something that would have no effect.
    """
    options = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise StartError(
            f"PU_SQLALCHEMY_DATABASE_URL: {', '.join(unknown)} is not known; behind the ? may stand "
            f"{', '.join(sorted(_OPTIONS))}"
        )
    return options


def _seconds(options: dict[str, str]) -> float:
    text = options.get("connect_timeout", "")
    if text and not (text.isdecimal() and text.isascii() and 0 < int(text) <= 600):  # noqa: PLR2004 - ten minutes
        raise StartError("PU_SQLALCHEMY_DATABASE_URL: connect_timeout is a number of seconds, 1 to 600")
    return float(text) if text else _CONNECT_TIMEOUT


def connector(url: URL, **settings: Any) -> Callable[[], Awaitable[Any]]:
    """Return what opens one connection of asyncpg.

    Args:
        url: its options behind `?` are those of libpq, TLS among them.
        settings: further arguments of `asyncpg.connect`.

    Raises:
        StartError: an option is not known.
    """
    options = _options(url)
    timeout = _seconds(options)
    options.pop("connect_timeout", None)
    plain = url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)
    dsn = f"{plain}?{urlencode(options)}" if options else plain

    async def connect() -> Any:
        # only where PostgreSQL is used: it costs a start 50 ms and the process 5 MB
        from asyncpg import connect as open_connection
        from asyncpg.exceptions import InterfaceError, PostgresError

        try:
            return await open_connection(dsn, timeout=timeout, **settings)  # type: ignore[no-untyped-call]
        except (OSError, ValueError, PostgresError, InterfaceError) as error:
            # no word of the address: its password is in it
            raise DatabaseAwayError(f"{type(error).__name__}: {error}".rstrip(": ")) from error

    return connect


def watch_connections(engine: Engine) -> None:
    """Replace connections that the server has closed before anybody gets one; keep values out of errors.

    Silence of the server is told from other faults.
    """

    @event.listens_for(engine, "checkout")
    def _checked_out(connection: Any, _record: object, _proxy: object) -> None:
        if connection.driver_connection.is_closed():
            raise DisconnectionError

    @event.listens_for(engine, "handle_error")
    def _failed(context: ExceptionContext) -> None:
        error = context.original_exception
        # asyncpg tells of a statement that took too long, and of a connection that broke meanwhile, by errors of Python
        if isinstance(error, OSError):
            raise DatabaseAwayError(f"{type(error).__name__} while the server was asked")
        cause: Any = error.__cause__
        if cause is not None and getattr(cause, "detail", None):
            cause.detail = None  # it repeats the row that was refused, password hashes among its values


def unreachable(url: URL, error: DatabaseAwayError) -> str:
    """Return what a person is told who starts a gateway on a server to which no connection can be opened."""
    state = str(getattr(error.__cause__, "sqlstate", None) or "")
    name = shown(url)
    if state == _NO_DATABASE:
        return (
            f"PostgreSQL answers, but has no database for {name}: {error.__cause__}. Create it, see "
            "docs/postgresql.md, or correct PU_SQLALCHEMY_DATABASE_URL; then start again."
        )
    if state.startswith(_NO_LOGIN):
        return (
            f"PostgreSQL answers, but does not let the gateway in at {name}: {error.__cause__}. Correct user and "
            "password in PU_SQLALCHEMY_DATABASE_URL, or make the user, see docs/postgresql.md; then start again."
        )
    return (
        f"The database {name} does not answer: {error}. Start PostgreSQL, or correct PU_SQLALCHEMY_DATABASE_URL, then "
        "start again."
    )


async def check_server(connection: AsyncConnection) -> None:
    """Refuse a server or database on which the gateway would not do what it says.

    Raises:
        StartError: says what to do.
    """
    row = (await connection.execute(_ABILITIES, {"collation": COLLATION})).one()
    if row.version < _OLDEST * 10_000:
        raise StartError(f"PostgreSQL is {row.version // 10_000}; this program needs {_OLDEST} or newer")
    if row.encoding != "UTF8":
        raise StartError(
            f"The database keeps texts as {row.encoding}; make one that keeps any: "
            "CREATE DATABASE pepeunit ENCODING 'UTF8' TEMPLATE template0"
        )
    if not row.has_collation:
        raise StartError(
            "This PostgreSQL was built without ICU, which search in texts needs; use one as Debian or postgresql.org "
            "build it"
        )


def dump_environment(url: URL) -> dict[str, str]:
    """Return the variables that tell PostgreSQL's own programs where the database is and how to log in.

    Raises:
        StartError: an option is not known.
    """
    options = _options(url)
    given = {
        "PGHOST": url.host or options.get("host"),
        "PGPORT": str(url.port) if url.port else options.get("port"),
        "PGUSER": url.username,
        "PGPASSWORD": None if url.password is None else str(url.password),
        "PGDATABASE": url.database,
        "PGSSLMODE": options.get("sslmode"),
        "PGSSLROOTCERT": options.get("sslrootcert"),
        "PGSSLCERT": options.get("sslcert"),
        "PGSSLKEY": options.get("sslkey"),
        "PGSSLCRL": options.get("sslcrl"),
        "PGSSLMINPROTOCOLVERSION": options.get("ssl_min_protocol_version"),
        "PGSSLMAXPROTOCOLVERSION": options.get("ssl_max_protocol_version"),
        "PGTARGETSESSIONATTRS": options.get("target_session_attrs"),
        "PGOPTIONS": options.get("options"),
        "PGCONNECT_TIMEOUT": str(round(_seconds(options))),
    }
    return {name: value for name, value in given.items() if value}
