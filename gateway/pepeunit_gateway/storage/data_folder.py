"""The data folder: who may write there, who uses it, and what is kept in it between starts.

Source: design.md rule 6 and "Settings of our own", decisions.md 19 and 23.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.addresses import fill_addresses
from pepeunit_gateway.storage.kept_secrets import fill_secrets

__all__ = ["database_url", "hold_folder", "make_folder", "prepare_folder"]

_LOCK = "gateway.lock"


def database_url(settings: Settings) -> URL:
    """Return the address of the database: PU_SQLALCHEMY_DATABASE_URL, or a file in the data folder."""
    given = settings.sqlalchemy_database_url.get_secret_value()
    if given.startswith("postgres"):
        return make_url(given).set(drivername="postgresql+asyncpg")
    path = make_url(given).database if given else str(settings.data_dir / "pepeunit.sqlite3")
    return URL.create("sqlite+aiosqlite", database=path)


def make_folder(settings: Settings) -> Path:
    """Make the data folder (mode 0700) if it is missing, and see that it can be written.

    Raises:
        StartError: it cannot.
    """
    folder = settings.data_dir.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, probe = tempfile.mkstemp(prefix=".probe-", dir=folder)
        os.close(descriptor)
        Path(probe).unlink()
    except OSError as error:
        raise StartError(
            f"The data folder {folder} cannot be written by user {_user_name()}: {error.strerror}. "
            f"Set PU_DATA_DIR to a folder of your own, or give this one to that user: chown -R {_user_name()} {folder}"
        ) from error
    return folder


def prepare_folder(settings: Settings) -> Settings:
    """Make the folder if it is missing and return the settings with secrets and addresses filled in.

    What was generated at the first use is read back at every later one; `keep_addresses` does so for addresses once
    the gateway listens.

    Raises:
        StartError: the folder cannot be made or written, or what is kept in it is damaged.
    """
    folder = make_folder(settings)
    filled = settings.model_copy(update={"data_dir": folder})
    try:
        return fill_addresses(fill_secrets(filled))
    except OSError as error:
        raise StartError(f"The data folder {folder} cannot be used: {error}. Check the files in it.") from error


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep a second gateway off the folder for the length of the block.

    Raises:
        StartError: another one runs.
    """
    with (folder / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StartError(
                f"Another gateway (process {lock.read().strip() or 'unknown'}) runs on the data folder {folder}. "
                "Stop it, or set PU_DATA_DIR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _user_name() -> str:
    return os.environ.get("USER") or str(os.geteuid())
