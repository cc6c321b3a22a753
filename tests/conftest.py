"""What every test runs under: how many examples the property tests try, and which databases a module is tested on.

A module that says `BOTH_DATABASES = True` runs every test once on SQLite and once on PostgreSQL. The summary says how
many passed on each; a run in which the numbers differ has failed, unless single tests were asked for.
"""

import os
from collections import Counter
from functools import partial

import pytest
from hypothesis import settings

from tests.support.databases import KINDS, open_database, session_databases

# `make fuzz` asks for many more. A deadline per example only measures what else runs on the machine.
settings.register_profile("pepeunit", max_examples=int(os.environ.get("PU_TEST_EXAMPLES", "100")), deadline=None)
settings.load_profile("pepeunit")

_KIND = "database_kind"
_COUNTS = pytest.StashKey[dict[str, Counter[str]]]()
_DEFINITION = pytest.StashKey[pytest.FixtureDef[str]]()


def _on_both(module):
    return getattr(module, "BOTH_DATABASES", False)


def pytest_configure(config):
    config.stash[_COUNTS] = {"chosen": Counter(), "passed": Counter()}


def pytest_unconfigure():
    session_databases.close()


def pytest_generate_tests(metafunc):
    if _on_both(metafunc.module):
        metafunc.parametrize(_KIND, KINDS, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def database_kind(request):
    """The database of the tests that run now."""
    kind = getattr(request, "param", KINDS[0])
    with session_databases.using(kind):
        yield kind


@pytest.fixture(autouse=True)
def _databases_of_one_test(database_kind):  # noqa: ARG001 - only the order counts
    with session_databases.scope():
        yield


@pytest.fixture
async def database(tmp_path):
    """An empty database with every table, of the current kind, for tests that have an event loop each."""
    async with open_database(tmp_path) as opened:
        yield opened


def pytest_fixture_setup(fixturedef, request):
    """Let what a module shares end before its database does, so that it is made anew for the other one."""
    if fixturedef.argname == _KIND:
        request.config.stash[_DEFINITION] = fixturedef
    elif fixturedef.scope == "module" and _on_both(request.module):
        request.config.stash[_DEFINITION].addfinalizer(partial(fixturedef.finish, request=request))


def _kind_of(item):
    return item.callspec.params.get(_KIND) if hasattr(item, "callspec") else None


def pytest_collection_finish(session):
    session.config.stash[_COUNTS]["chosen"].update(filter(None, map(_kind_of, session.items)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.when == "call" and report.passed and _kind_of(item):
        item.config.stash[_COUNTS]["passed"][_kind_of(item)] += 1
    return report


def _unequal(config):
    counts = config.stash[_COUNTS]
    sqlite, postgresql = (tuple(counts[name][kind] for name in ("chosen", "passed")) for kind in KINDS)
    return sqlite[0] == postgresql[0] and sqlite[1] != postgresql[1]


def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.OK and _unequal(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    passed = config.stash[_COUNTS]["passed"]
    if config.stash[_COUNTS]["chosen"]:
        line = f"both databases: {passed['sqlite']} on SQLite, {passed['postgresql']} on PostgreSQL"
        terminalreporter.write_line(line, red=_unequal(config))
