"""The database that tests run on at the moment: SQLite, or PostgreSQL in the cluster of this test session.

A test module that says `BOTH_DATABASES = True` runs every test once per database (tests/conftest.py). What opens a
database there asks this module for it: `open_database` in a unit test, `address_for` for a gateway or a process.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import URL

from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.own_tables import metadata
from pepeunit_gateway.storage.upgrade import upgrade
from tests.support.postgres import PostgresServer

__all__ = ["KINDS", "Databases", "address_for", "held", "open_database", "session_databases"]

KINDS = ("sqlite", "postgresql")
_TEMPLATE = "template_pepeunit"


class Databases:
    """The databases of one test session. The cluster is started at its first use, by the thread that uses it."""

    def __init__(self) -> None:
        self.kind = KINDS[0]
        self._stack = contextlib.ExitStack()
        self._urls: dict[Path, URL] = {}

    @cached_property
    def server(self) -> PostgresServer:
        """The cluster, whatever the current kind."""
        server = self._stack.enter_context(PostgresServer())
        _migrate(server.create_database(_TEMPLATE))
        return server

    @cached_property
    def _file(self) -> Path:
        """A migrated SQLite file to copy."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pepeunit-sqlite-")))
        _migrate(_sqlite(folder / "template"))
        return folder / "template"

    def close(self) -> None:
        """Stop the cluster; the next use starts another one."""
        self._stack.close()
        for name in ("server", "_file"):
            self.__dict__.pop(name, None)

    @contextmanager
    def using(self, kind: str) -> Iterator[None]:
        """Let `kind` be the current database for the length of the block."""
        before, self.kind = self.kind, kind
        try:
            with self.scope():
                yield
        finally:
            self.kind = before

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Drop at the end of the block what was made for folders within it."""
        before = set(self._urls)
        try:
            yield
        finally:
            for folder in set(self._urls) - before:
                url = self._urls.pop(folder)
                if self.server.running and url.database:
                    self.server.drop_database(url.database)

    def url_for(self, folder: Path, *, migrated: bool = True) -> URL:
        """Return the address of the folder's database, made at the first call; at later ones it is the same.

        Args:
            folder: exists.
            migrated: whether a new one has every table, or none.
        """
        folder = folder.absolute()
        if self.kind == "sqlite":
            path = folder / "pepeunit.sqlite3"
            if migrated and not path.exists():
                shutil.copyfile(self._file, path)
            return _sqlite(path)
        if folder not in self._urls:
            self._urls[folder] = self.server.create_database(template=_TEMPLATE if migrated else None)
        return self._urls[folder]


session_databases = Databases()


def address_for(folder: Path) -> str:
    """Return what PU_SQLALCHEMY_DATABASE_URL says for a gateway on this data folder; empty for a file in it."""
    if session_databases.kind == "sqlite":
        return ""
    return session_databases.url_for(folder).render_as_string(hide_password=False)


@asynccontextmanager
async def open_database(folder: Path, *, migrated: bool = True, **settings: Any) -> AsyncIterator[Database]:
    """Open the folder's database of the current kind, with every table in it or none; `settings` as of Database."""
    database = Database(session_databases.url_for(folder, migrated=migrated), **settings)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def held(database: Database) -> AsyncIterator[None]:
    """Let another connection hold the database, so that nobody can write for the length of the block."""
    other = Database(database.url)
    try:
        async with other.write() as connection:
            if not database.is_sqlite:
                names = ", ".join(table.name for table in metadata.sorted_tables)
                await connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
            yield
    finally:
        await other.close()


def _sqlite(path: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(path))


async def _upgrade(url: URL) -> None:
    database = Database(url)
    try:
        await upgrade(database, Path())  # nothing to back up
    finally:
        await database.close()


def _migrate(url: URL) -> None:
    """Upgrade a database in a loop of its own: the caller may be inside one that runs."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _upgrade(url)).result()
