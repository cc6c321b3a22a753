"""The number of SQL statements of a request does not depend on the number of rows: 3 of everything, then 60 more."""

import pytest
import pytest_asyncio

from pepeunit_gateway.api.server import TABLES
from tests.support.crowd import Crowd
from tests.support.crowd_reads import READS
from tests.support.crowd_writes import WRITES
from tests.support.rest_world import world
from tests.support.statement_counts import RequestStatements, counting

BOTH_DATABASES = True

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEW, MANY = 3, 60
NOT_COUNTED = {
    "GET /users/generate_verification_link/": "there is no messenger's bot: always 405",
    "PATCH /repository_registry/backend_sync_registry": "nobody may: always 403",
}
CALLS = {**{f"GET {path}": calls for path, calls in READS.items()}, **WRITES}


async def _measure(crowd: Crowd, counted: RequestStatements) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, call in ((f"{route} #{n}", call) for route, calls in CALLS.items() for n, call in enumerate(calls)):
        reply = await call(crowd)
        good = reply.status < 300 or (reply.status == 422 and "get_credentials" in name)
        assert good, (name, reply.status, reply.body)
        found[name] = counted.of(reply)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counts(tmp_path_factory):
    """What each request ran with few rows, and with many."""
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as here:
        crowd = Crowd(here)
        await crowd.start()
        with counting() as counted:
            await crowd.grow(FEW)
            few = await _measure(crowd, counted)
            await crowd.grow(MANY)
            many = await _measure(crowd, counted)
    return few, many


async def test_every_declared_route_is_counted_or_has_a_reason_not_to_be():
    declared = [endpoint.route for table in TABLES for endpoint in table.endpoints]
    assert {f"{route.method} {route.path}" for route in declared} == set(CALLS) | set(NOT_COUNTED)
    assert not set(CALLS) & set(NOT_COUNTED)


async def test_no_request_runs_more_statements_because_there_are_more_rows(counts):
    """W46, W47, W48."""
    few, many = counts
    grown = {name: RequestStatements.more(few[name], many[name]) for name in few if len(few[name]) != len(many[name])}
    assert grown == {}


async def test_what_is_counted_runs_statements(counts):
    """Else a route would pass because its requests are not found."""
    silent = {name for name, ran in counts[1].items() if not ran}
    assert silent == {"POST /units/auth #0"}  # it is told by the token alone


async def test_a_list_runs_at_most_four_statements(counts):
    """Who asks, how many there are, the page, and what belongs to its rows."""
    many = counts[1]
    lists = (
        "/users",
        "/repos",
        "/units",
        "/unit_nodes",
        "/repository_registry",
        "/unit_nodes/edges",
        "/permission",
        "/audit",
    )
    asked = {name: len(ran) for name, ran in many.items() for path in lists if name.startswith(f"GET {path} #")}
    assert asked
    assert max(asked.values()) <= 4, asked
