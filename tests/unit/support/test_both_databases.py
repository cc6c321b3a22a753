"""Runs on two databases: what a module shares is made anew for each, and a run that is not the same on both fails."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

SHARED = """
import pytest, pytest_asyncio
from sqlalchemy import text
from tests.support.databases import address_for, open_database

BOTH_DATABASES = True

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    async with open_database(folder) as database:
        yield database, address_for(folder)

@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("number", range(3))
async def test_shared(here, number, database_kind):
    opened, address = here
    assert opened.dialect == database_kind
    assert address.startswith("postgresql://") == (database_kind == "postgresql")

async def test_own(database, database_kind):
    assert database.dialect == database_kind
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one() == 0
"""
UNLIKE = """
import pytest
BOTH_DATABASES = True

def test_unlike(database_kind):
    if database_kind == "postgresql":
        pytest.skip("not there")
"""
ALONE = """
def test_alone(database_kind):
    assert database_kind == "sqlite"
"""


def run(folder: Path, module: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_module.py").write_text(module)
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", *arguments]
    environment = {"PATH": "/usr/sbin:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder), **more}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )  # fmt: skip


@pytest.mark.parametrize("seed", ["1", "2"])
def test_every_test_runs_on_both_and_what_they_share_is_of_the_database_of_the_moment(tmp_path, seed):
    done = run(tmp_path, SHARED, f"--randomly-seed={seed}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "both databases: 4 on SQLite, 4 on PostgreSQL" in done.stdout


def test_a_run_that_passes_more_on_one_database_has_failed(tmp_path):
    done = run(tmp_path, UNLIKE)
    assert "both databases: 1 on SQLite, 0 on PostgreSQL" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED


def test_single_tests_of_one_database_may_be_asked_for(tmp_path):
    done = run(tmp_path, UNLIKE, "-k", "sqlite")
    assert done.returncode == 0, done.stdout + done.stderr


def test_other_modules_run_once_on_sqlite_and_say_nothing(tmp_path):
    done = run(tmp_path, ALONE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "both databases" not in done.stdout
