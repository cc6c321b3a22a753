"""Texts that a database cannot keep are refused before they reach it, alike on SQLite and PostgreSQL."""

import pytest
import pytest_asyncio

from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


async def test_nul_in_a_query_or_a_body_is_refused(here):
    unit = await make_unit(here.alice, here.repo["uuid"], "nul-unit")
    nodes = await nodes_of(here.alice, unit["uuid"])
    target = nodes["set_fan/pepeunit"]["uuid"]
    for path in ("/units", "/repos", "/unit_nodes", "/repository_registry", "/users"):
        reply = await here.admin.get(path, {"search_string": "a\0b"})
        assert (reply.status, reply.detail[0]["loc"]) == (422, ["query", "search_string"]), path
    pipe = {"uuid": target, "type": "LastValue", "search_string": "a\0b"}
    assert (await here.alice.get("/unit_nodes/get_data_pipe_data_list", pipe)).status == 422
    for path, body, field in (
        (f"/unit_nodes/set_state_input/{target}", {"state": "a\0b"}, "state"),
        (f"/repos/{here.repo['uuid']}", {"default_branch": "ma\0in"}, "default_branch"),
        (f"/units/{unit['uuid']}", {"repo_commit": "\0" * 40}, "repo_commit"),
    ):
        reply = await here.alice.patch(path, body)
        assert (reply.status, reply.detail[0]["loc"]) == (422, ["body", field]), path


async def test_half_a_surrogate_pair_is_no_json(here):
    unit = await make_unit(here.alice, here.repo["uuid"], "half-unit")
    target = (await nodes_of(here.alice, unit["uuid"]))["set_fan/pepeunit"]["uuid"]
    content = {"data": b'{"state": "\\ud800"}', "headers": {"Content-Type": "application/json"}}
    reply = await here.alice.call("PATCH", f"/unit_nodes/set_state_input/{target}", **content)
    assert (reply.status, reply.detail.split(": ")[1]) == (422, "9")
