"""Bring a database to the schema of this version.

Alembic is imported only when there is something to do: a warm start stays quick. An upgrade of a file with rows backs
it up first; a schema that is newer than this program is refused, because an older program would damage it.
"""

import asyncio
from pathlib import Path

import structlog
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage.backup import back_up
from pepeunit_gateway.storage.database import Database

__all__ = ["SCHEMA_REVISION", "upgrade"]

SCHEMA_REVISION = "0004"
"""The revision this program works with; a test holds it equal to Alembic's head."""

_KNOWN_REVISIONS = ("0001", "0002", "0003", "0004")

log = structlog.get_logger(__name__)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _migrate(connection: Connection) -> None:
    # Alembic costs 100 ms of start-up; most starts find the schema as it should be
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _keep_copy(database: Database, revision: str) -> None:
    path = Path(database.url.database or "")
    copy = path.with_name(f"{path.name}.before-{SCHEMA_REVISION}")
    await asyncio.to_thread(back_up, path, copy)
    log.info("storage.backup.written", path=str(copy), revision=revision)


async def upgrade(database: Database) -> None:
    """Create or upgrade the tables.

    Raises:
        StartError: the database cannot be opened or backed up, or its schema is newer than this program.
    """
    try:
        async with database.read() as connection:
            revision = await connection.run_sync(_revision)
    except DBAPIError as error:
        raise StartError(f"The database {database.url.database} cannot be opened: {error.orig}") from error
    if revision == SCHEMA_REVISION:
        return
    if revision is not None and revision not in _KNOWN_REVISIONS:
        raise StartError(
            f"The database {database.url.database} has schema {revision}, which is newer than this program "
            f"({SCHEMA_REVISION}). Start the newer version of Pepeunit, or restore a backup."
        )
    if revision is not None:
        await _keep_copy(database, revision)
    async with database.write() as connection:
        await connection.run_sync(_migrate)
    log.info("storage.schema.ready", revision=SCHEMA_REVISION)
