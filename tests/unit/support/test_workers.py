"""Runs that several workers share: what stays together, what counts, and that nothing that goes wrong is lost."""

import re
import tempfile
from pathlib import Path, PurePath

import pytest

from tests.support.workers import portion, rank
from tests.unit.support.test_both_databases import SHARED, UNLIKE, run

SHARE = ("-n", "2", "--dist", "loadfile")
MANY = """
import pytest

@pytest.mark.parametrize("number", range(6))
def test_many(number):
    assert number != {bad}
"""
FAULTS = """
import os, threading

def test_dies():
    os._exit(1)

def test_hangs():
    threading.Event().wait()

def test_passes():
    pass
"""
DIES_LATE = """
import os

def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        os._exit(1)
"""
LOSES = """
from tests.support.workers import Portions

def _assign_work_unit(self, node, real=Portions._assign_work_unit):
    for tests in self.workqueue.values():
        tests.popitem()
    real(self, node)

Portions._assign_work_unit = _assign_work_unit
"""


@pytest.mark.parametrize(
    ("nodeid", "name"),
    [
        ("tests/a/test_a.py::test_a", "tests/a/test_a.py"),
        ("tests/a/test_a.py::TestA::test_a[x::y]", "tests/a/test_a.py"),
        ("tests/a/test_a.py::test_a[sqlite]", "tests/a/test_a.py::sqlite"),
        ("tests/a/test_a.py::test_a[1-postgresql-x]", "tests/a/test_a.py::postgresql"),
        ("tests/a/test_a.py::test_a[mysqlite]", "tests/a/test_a.py"),
    ],
)
def test_a_module_stays_on_one_worker_once_per_database(nodeid, name):
    assert portion(nodeid) == name


def test_folders_with_long_modules_come_first():
    paths = [
        "tests/unit/a/test_a.py",
        "tests/integration/test_a.py",
        "tests/fuzz/test_a.py",
        "tests/property/test_a.py",
    ]
    assert sorted(paths, key=lambda path: rank(PurePath(path))) == [paths[2], paths[1], paths[0], paths[3]]


@pytest.fixture
def temporary():
    """A folder for the servers of a run; its name is short, because there are sockets in it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        yield Path(folder)


def test_what_workers_pass_on_each_database_is_counted_together_and_they_leave_no_server(tmp_path, temporary):
    done = run(tmp_path, SHARED, *SHARE, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "both databases: 4 on SQLite, 4 on PostgreSQL" in done.stdout
    assert list(temporary.glob("pepeunit-postgresql-*")) == []


def test_workers_that_pass_more_on_one_database_have_failed(tmp_path):
    done = run(tmp_path, UNLIKE, *SHARE)
    assert "both databases: 1 on SQLite, 0 on PostgreSQL" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


def test_the_seed_is_told_and_makes_one_order_with_workers_and_without(tmp_path):
    runs = [
        run(tmp_path, MANY.format(bad=3), *more, "-vv", "--randomly-seed=7") for more in (SHARE, ("-p", "no:xdist"))
    ]
    orders = [
        re.findall(r"(?m)test_many\[(\d)\].* \[ *\d+%\]|\[ *\d+%\].*test_many\[(\d)\]", done.stdout) for done in runs
    ]
    assert [len(order) for order in orders] == [6, 6]
    assert ["".join(found) for found in orders[0]] == ["".join(found) for found in orders[1]]
    for done in runs:
        assert "Using --randomly-seed=7" in done.stdout
        assert "assert 3 != 3" in done.stdout
        assert re.search(r"1 failed, 5 passed in [0-9.]+s", done.stdout)


def test_a_worker_that_dies_and_a_test_that_hangs_fail_once_and_the_others_run(tmp_path):
    done = run(tmp_path, FAULTS, *SHARE, "-o", "timeout=1")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "crashed while running 'test_module.py::test_dies'" in done.stdout
    assert "Timeout" in done.stdout
    assert re.search(r"2 failed, 1 passed in [0-9.]+s", done.stdout)


@pytest.mark.parametrize(
    ("conftest", "said"),
    [(LOSES, "collected and not run: 1"), (DIES_LATE, "workers that did not end by themselves: ")],
    ids=["lost", "late"],
)
def test_a_run_that_lost_a_test_or_a_worker_has_failed(tmp_path, conftest, said):
    (tmp_path / "conftest.py").write_text(conftest)
    done = run(tmp_path, MANY.format(bad=None), *SHARE, "--max-worker-restart=0")
    assert said in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
