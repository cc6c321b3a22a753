"""A copy of an SQLite database that is complete while others use it, what its write-ahead log holds included."""

import sqlite3
from contextlib import closing
from pathlib import Path

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage.whole_file import written_whole

__all__ = ["back_up"]

_LOCK_TIMEOUT = 10.0


def back_up(source: Path, copy: Path) -> None:
    """Write `source` as it is at one moment to `copy`: one file, mode 0600, there completely or not at all.

    An older `copy` is replaced. Blocks for as long as the disk needs.

    Raises:
        StartError: it cannot be read or written; nothing was changed.
    """
    try:
        with written_whole(copy) as target:
            _copy(source, target)
    except (OSError, sqlite3.Error) as error:
        raise StartError(
            f"The database {source} cannot be backed up to {copy} before its upgrade: {error}. "
            f"Nothing was changed; see to it that {copy.parent} is writable and the disk has room for a second copy, "
            "then start again."
        ) from error


def _copy(source: Path, target: Path) -> None:
    existing = f"{source.absolute().as_uri()}?mode=rw"  # a source that is missing is not made
    with (
        closing(sqlite3.connect(existing, timeout=_LOCK_TIMEOUT, uri=True)) as old,
        closing(sqlite3.connect(target, timeout=_LOCK_TIMEOUT)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # the mode is copied too; a copy has no log beside it
