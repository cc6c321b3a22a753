"""W52: a burst of requests waits its turn for the database's connections; none of it fails."""

import asyncio
from collections import Counter

import pytest
import pytest_asyncio

from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUESTS = 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


async def test_w52_a_burst_of_reads_is_answered(here):
    unit = await make_unit(here.alice, here.repo["uuid"], "burst-reads")
    paths = ["/units", f"/units/{unit['uuid']}", "/unit_nodes", "/repos", "/unit_nodes/edges"]
    replies = await asyncio.gather(*(here.alice.get(paths[n % len(paths)]) for n in range(REQUESTS)))
    assert Counter(reply.status for reply in replies) == {200: REQUESTS}


async def test_w52_a_burst_of_reads_and_writes_is_answered(here):
    unit = await make_unit(here.alice, here.repo["uuid"], "burst-writes")
    target = (await nodes_of(here.alice, unit["uuid"]))["set_fan/pepeunit"]["uuid"]
    setting = f"/unit_nodes/set_state_input/{target}"
    writes = [here.alice.patch(setting, {"state": str(number)}) for number in range(REQUESTS // 2)]
    reads = [here.alice.get("/units") for _ in range(REQUESTS // 2)]
    replies = await asyncio.gather(*(request for pair in zip(writes, reads, strict=True) for request in pair))
    assert Counter(reply.status for reply in replies) == {200: REQUESTS}
    last = (await here.alice.get(f"/unit_nodes/{target}")).body["state"]
    assert last in {str(number) for number in range(REQUESTS // 2)}


async def test_w52_a_burst_of_new_units_is_answered(here):
    body = {"repo_uuid": here.repo["uuid"], "visibility_level": "Public", "is_auto_update_from_repo_unit": True}
    replies = await asyncio.gather(*(here.alice.post("/units", {**body, "name": f"burst-{n}"}) for n in range(50)))
    assert Counter(reply.status for reply in replies) == {201: 50}
