"""Backups: complete whatever state the file is in, and never half."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage.backup import back_up


@pytest.fixture
def live(tmp_path: Path):
    """A database in use whose rows are in its write-ahead log alone."""
    path = tmp_path / "pepeunit.sqlite3"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(1000)])
    yield path
    connection.close()


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM t").fetchone()[0]


def test_rows_that_are_only_in_the_write_ahead_log_are_in_the_copy(live, tmp_path):
    lone = tmp_path / "lone.sqlite3"
    shutil.copy(live, lone)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):  # so the file itself is no backup
        _rows(lone)
    copy = tmp_path / "copy"
    back_up(live, copy)
    assert _rows(copy) == 1000


def test_the_copy_is_one_file_that_nobody_else_may_read(live, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    back_up(live, folder / "copy")
    assert [path.name for path in folder.iterdir()] == ["copy"]
    assert (folder / "copy").stat().st_mode & 0o777 == 0o600
    assert _rows(folder / "copy") == 1000
    assert [path.name for path in folder.iterdir()] == ["copy"]


def test_what_a_writer_has_not_committed_is_not_in_the_copy(live, tmp_path):
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (-1)")
        back_up(live, tmp_path / "copy")
    assert _rows(tmp_path / "copy") == 1000


def test_an_older_copy_is_replaced(live, tmp_path):
    (tmp_path / "copy").write_text("the backup of an upgrade that failed")
    back_up(live, tmp_path / "copy")
    assert _rows(tmp_path / "copy") == 1000


def test_a_copy_that_cannot_be_written_is_a_message_and_leaves_nothing_behind(live, tmp_path):
    copy = tmp_path / "backups" / "copy"
    with pytest.raises(StartError, match=r"cannot be backed up to .*Nothing was changed; see to it that"):
        back_up(live, copy)
    copy.mkdir(parents=True)
    with pytest.raises(StartError, match="cannot be backed up"):
        back_up(live, copy)
    assert list(copy.parent.iterdir()) == [copy]


def test_a_source_that_is_missing_is_a_message_and_is_not_made(tmp_path):
    with pytest.raises(StartError, match="unable to open"):
        back_up(tmp_path / "source", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_damaged_is_a_message_and_the_older_copy_stays(tmp_path):
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(b"this is a text, not a database\n" * 100)
    copy.write_text("older")
    with pytest.raises(StartError, match="not a database"):
        back_up(source, copy)
    assert copy.read_text() == "older"
    assert {path.name for path in tmp_path.iterdir()} == {"source", "copy"}
