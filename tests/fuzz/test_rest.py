"""Everything that the OpenAPI document says, tried out: no 5xx, no status, type or body that it does not name.

As nobody, as a user, as an Admin and as a unit; those with a token on PostgreSQL too. `make fuzz` tries much more
(PU_TEST_EXAMPLES).
"""

import asyncio
import os
import socket

import pytest

from tests.support.databases import KINDS, session_databases
from tests.support.rest_fuzz import Fuzzer, closed_network
from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

RUNS = [("nobody", "sqlite"), *((name, kind) for name in ("user", "admin", "unit") for kind in KINDS)]
WANTED = {
    "nobody": {200, 401, 404, 422},
    "user": {200, 201, 204, 403, 404, 422},
    "admin": {200, 201, 204, 403, 404, 422},
    "unit": {200, 403, 404, 422},
}
# the jobs of the gateway, which runs in the same process, spread their intervals by chance
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

EXAMPLES = int(os.environ.get("PU_TEST_EXAMPLES", "100"))


async def _agent(stage, name):
    """The agent, what it does not delete, and what else it knows from the beginning."""
    units = [await make_unit(stage.alice, stage.repo["uuid"], f"lamp-{number}") for number in range(4)]
    nodes = await nodes_of(stage.alice, units[0]["uuid"])
    kept = {
        "units": [units[0]["uuid"]],
        "unit_nodes": [node["uuid"] for node in nodes.values()],
        "repos": [stage.repo["uuid"]],
        "repository_registry": [stage.registry["uuid"]],
        "users": [stage.alice.uuid],
    }
    known = {"units": [unit["uuid"] for unit in units[1:]], "users": [stage.bob.uuid]}
    agents = {"nobody": stage.nobody, "user": stage.alice, "admin": stage.admin}
    return agents.get(name) or await stage.gateway.unit(stage.alice, units[0]["uuid"]), kept, known


def _fuzzer(stage, document, agent, kept, known):
    fuzzer = Fuzzer(document, stage.gateway.origin + stage.gateway.given.api_prefix, agent.token, agent.uuid)
    for uuids, add in ((kept, fuzzer.known.keep), (known, fuzzer.known.add)):
        for folder, found in uuids.items():
            for uuid in found:
                add(folder, uuid)
    return fuzzer


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "kind"), RUNS)
async def test_the_gateway_keeps_to_its_document(tmp_path, name, kind):
    with closed_network(), session_databases.using(kind):
        async with world(tmp_path) as stage:
            agent, kept, known = await _agent(stage, name)
            document = (await stage.nobody.get("/openapi.json")).body
            fuzzer = _fuzzer(stage, document, agent, kept, known)
            await asyncio.to_thread(fuzzer.each, max(2, EXAMPLES // 50))
            await asyncio.to_thread(fuzzer.sequences, 2 * EXAMPLES)
            assert (await agent.get("/units")).status == 200, "the agent lost its token on the way"
    assert not fuzzer.failures, "\n\n".join(fuzzer.failures.values())
    assert {status for _, status in fuzzer.statuses} >= WANTED[name]
    tried = {operation for operation, _ in fuzzer.statuses}
    assert len(tried) == sum(len(methods) for methods in document["paths"].values())


@pytest.mark.parametrize(
    "host", ["git.example.org", "localhost.example", "192.0.2.1", "8.8.8.8", "2001:db8::1", "", None]
)
def test_nothing_but_loopback_is_resolved_meanwhile(host):
    with closed_network():
        with pytest.raises(socket.gaierror, match="the network is closed"):
            socket.getaddrinfo(host, 443)
        assert socket.getaddrinfo("127.0.0.1", 443)


async def test_what_the_document_does_not_say_is_found(tmp_path):
    """Otherwise a run without failures would mean nothing."""
    with closed_network():
        async with world(tmp_path) as stage:
            document = (await stage.nobody.get("/openapi.json")).body
            operation = document["paths"]["/repos/{uuid}"]["get"]
            del operation["responses"]["404"]
            document["paths"] = {"/repos/{uuid}": {"get": operation}}
            operation["responses"]["200"].pop("links")
            fuzzer = _fuzzer(stage, document, stage.nobody, {}, {})
            await asyncio.to_thread(fuzzer.each, 10)
    assert list(fuzzer.failures) == ["GET /repos/{uuid} 404"]
    assert "Undocumented" in fuzzer.failures["GET /repos/{uuid} 404"]
