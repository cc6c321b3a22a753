"""Bring a database to the schema of this version.

Alembic is imported only when there is something to do: a warm start stays quick. An upgrade of a database with rows
backs it up first; a schema that is newer than this program is refused, because an older program would damage it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage.backup import back_up
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.dump import dump
from pepeunit_gateway.storage.engines import migration_engine
from pepeunit_gateway.storage.outages import DatabaseAwayError, is_busy
from pepeunit_gateway.storage.postgresql import check_server, shown, unreachable

__all__ = ["SCHEMA_REVISION", "upgrade"]

SCHEMA_REVISION = "0006"
"""The revision this program works with; a test holds it equal to Alembic's head."""

_KNOWN_REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")

_TAKE_LOCK = text(f"SELECT pg_advisory_xact_lock({0x50657075})")  # "Pepu"; acts have a lock of their own

log = structlog.get_logger(__name__)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _migrate(connection: Connection, revision: str = "head") -> None:
    # Alembic costs 100 ms of start-up; most starts find the schema as it should be
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[AsyncConnection]:
    """One transaction, and no other process upgrades this database meanwhile."""
    if database.is_sqlite:
        async with database.write() as connection:
            yield connection
        return
    engine = migration_engine(database.url)
    try:
        async with engine.begin() as connection:
            await connection.execute(_TAKE_LOCK)
            yield connection
    finally:
        await engine.dispose()


async def _keep_copy(database: Database, revision: str, folder: Path) -> None:
    name = f"{Path(database.url.database or 'pepeunit').name}.before-{SCHEMA_REVISION}"
    if database.is_sqlite:
        path = Path(database.url.database or "")
        copy = path.with_name(name)
        await asyncio.to_thread(back_up, path, copy)
    else:
        copy = folder / f"{name}.pgdump"
        await dump(database.url, copy)
    log.info("storage.backup.written", path=str(copy), revision=revision)


def _refuse_newer(database: Database, revision: str | None) -> None:
    if revision is not None and revision not in _KNOWN_REVISIONS:
        raise StartError(
            f"The database {shown(database.url)} has schema {revision}, which is newer than this program "
            f"({SCHEMA_REVISION}). Start the newer version of Pepeunit, or restore a backup."
        )


async def _look(database: Database) -> str | None:
    """Return the revision of a database that can be used."""
    async with database.read() as connection:
        if not database.is_sqlite:
            await check_server(connection)
        revision = await connection.run_sync(_revision)
    _refuse_newer(database, revision)
    return revision


async def _upgrade(database: Database, folder: Path) -> None:
    async with _alone(database) as connection:
        revision = await connection.run_sync(_revision)  # again: another process may have been quicker
        _refuse_newer(database, revision)
        if revision == SCHEMA_REVISION:
            return
        if revision is not None:
            await _keep_copy(database, revision, folder)
        await connection.run_sync(_migrate)
    log.info("storage.schema.ready", revision=SCHEMA_REVISION)


async def upgrade(database: Database, folder: Path) -> None:
    """Create or upgrade the tables; of several processes one does so while the others wait.

    Args:
        database: SQLite is copied to a file beside it before an upgrade.
        folder: where the copy of a PostgreSQL database goes.

    Raises:
        StartError: the database cannot be opened, used or backed up, or its schema is newer than this program.
    """
    try:
        if await _look(database) != SCHEMA_REVISION:
            await _upgrade(database, folder)
    except DatabaseAwayError as error:
        raise StartError(unreachable(database.url, error)) from error
    except DBAPIError as error:
        advice = "; others hold it, perhaps another upgrade: start again when that is done" if is_busy(error) else ""
        raise StartError(
            f"The database {shown(database.url)} cannot be opened or upgraded: {error.orig}{advice}"
        ) from error
