"""What every test runs under: how many examples the property tests try, and which databases a module is tested on.

A module that says `BOTH_DATABASES = True` runs every test once on SQLite and once on PostgreSQL. The summary says how
many passed on each; a run in which the numbers differ has failed, unless single tests were asked for. So has one in
which a test that was collected did not run, which only a fault in how workers share them could bring about.

Hashes of passwords cost next to nothing but in tests with the fixture `real_passwords`.
"""

import os
from functools import partial

import pytest
import structlog
from hypothesis import settings

from tests.support.counts import PARAMETER, Counts
from tests.support.databases import KINDS, open_database, session_databases
from tests.support.password_costs import cheap_passwords, costly_passwords
from tests.support.workers import Portions, rank

# `make fuzz` asks for many more. A deadline per example only measures what else runs on the machine.
settings.register_profile("pepeunit", max_examples=int(os.environ.get("PU_TEST_EXAMPLES", "100")), deadline=None)
settings.load_profile("pepeunit")
# structlog's own way prints every local variable of an exception's frames in colours, which takes seconds
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f", utc=True),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

_DEFINITION = pytest.StashKey[pytest.FixtureDef[str]]()


def _on_both(module):
    return getattr(module, "BOTH_DATABASES", False)


def pytest_configure(config):
    config.pluginmanager.register(Counts(config))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    session_databases.close()  # not later: a worker that has told its results may be killed


def pytest_generate_tests(metafunc):
    if _on_both(metafunc.module):
        metafunc.parametrize(PARAMETER, KINDS, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def database_kind(request):
    """The database of the tests that run now."""
    kind = getattr(request, "param", KINDS[0])
    with session_databases.using(kind), cheap_passwords():
        yield kind


@pytest.fixture(autouse=True)
def _databases_of_one_test(database_kind):  # noqa: ARG001 - only the order counts
    with session_databases.scope():
        yield


@pytest.fixture
def real_passwords():
    """Hashes at the program's own cost."""
    with costly_passwords():
        yield


@pytest.fixture
async def database(tmp_path):
    """An empty database with every table, of the current kind, for tests that have an event loop each."""
    async with open_database(tmp_path) as opened:
        yield opened


def pytest_fixture_setup(fixturedef, request):
    """Let what a module shares end before its database does, so that it is made anew for the other one."""
    if fixturedef.argname == PARAMETER:
        request.config.stash[_DEFINITION] = fixturedef
    elif fixturedef.scope == "module" and _on_both(request.module):
        request.config.stash[_DEFINITION].addfinalizer(partial(fixturedef.finish, request=request))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the folders with long modules first; their order is otherwise what it was."""
    items.sort(key=lambda item: rank(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Portions(config, log)
