"""Unit nodes and edges over HTTP, on a real gateway with its broker."""

import pytest
import pytest_asyncio

from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_repo, make_unit, nodes_of, sample_tree

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


async def _unit(here, name, owner=None, **more):
    owner = owner or here.alice
    made = await make_unit(owner, here.repo["uuid"], name, **more)
    return made["uuid"], await nodes_of(owner, made["uuid"])


def _edge(output, target):
    return {"node_output_uuid": output["uuid"], "node_input_uuid": target["uuid"]}


async def test_w1_setting_an_input_changes_nothing_but_its_state(here):
    """W1."""
    _, nodes = await _unit(here, "w1-unit", visibility_level="Private")
    path = f"/unit_nodes/{nodes['set_fan/pepeunit']['uuid']}"
    change = {"is_rewritable_input": True, "max_connections": 3, "is_data_pipe_active": True}
    before = (await here.alice.patch(path, change)).body
    assert (before["visibility_level"], before["max_connections"]) == ("Private", 3)
    reply = await here.alice.patch(path.replace("/unit_nodes/", "/unit_nodes/set_state_input/"), {"state": "21.5"})
    assert reply.status == 200
    after = (await here.alice.get(path)).body
    assert after["state"] == reply.body["state"] == "21.5"
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"state", "last_update_datetime"}
    assert (await here.bob.get(path)).status == 403


async def test_only_inputs_are_set_and_only_by_those_who_may(here):
    uuid, nodes = await _unit(here, "set-unit")
    _, others = await _unit(here, "set-other")
    own, stranger = nodes["set_fan/pepeunit"], await here.gateway.unit(here.alice, others["raw_in"]["unit_uuid"])
    path = f"/unit_nodes/set_state_input/{own['uuid']}"
    output = await here.alice.patch(f"/unit_nodes/set_state_input/{nodes['raw_out']['uuid']}", {"state": "1"})
    assert (output.status, output.detail.startswith("422: 8: UnitNode Validation Error: ")) == (422, True)
    for caller, status in ((here.bob, 403), (here.admin, 403), (stranger, 403), (here.nobody, 401)):
        assert (await caller.patch(path, {"state": "1"})).status == status
    assert (await here.alice.patch(path, {"state": 5})).detail[0]["loc"] == ["body", "state"]
    assert (await here.alice.patch(path, {})).status == 200
    limit = here.gateway.settings.max_payload_bytes
    assert (await here.alice.patch(path, {"state": "я" * limit})).status == 422
    assert (await here.alice.get(f"/units/{uuid}")).status == 200


async def test_whoever_has_no_token_is_refused_a_private_entity_and_never_gets_500(here, tmp_path):
    """W16."""
    sample_tree(here.git, tmp_path / "work", "w16")
    registry, repo = await make_repo(here.alice, here.git.url("w16"), "w16-repo", visibility_level="Private")
    unit = await make_unit(here.alice, repo["uuid"], "w16-unit", visibility_level="Private")
    node = (await nodes_of(here.alice, unit["uuid"]))["raw_out"]
    private = [f"/repos/{repo['uuid']}", f"/repos/versions/{repo['uuid']}", f"/units/{unit['uuid']}"]
    for path in [*private, f"/unit_nodes/{node['uuid']}"]:
        assert (await here.nobody.get(path)).status == 401, path
        assert (await here.bob.get(path)).status == 403, path
        assert (await here.alice.get(path)).status == 200, path
    for path, key in (("/repos", "repos"), ("/units", "units"), ("/unit_nodes", "unit_nodes")):
        listed = (await here.nobody.get(path, {"limit": 500})).body[key]
        assert {unit["uuid"], repo["uuid"], node["uuid"]}.isdisjoint(row["uuid"] for row in listed), path
    assert (await here.nobody.get(f"/repository_registry/{registry['uuid']}")).status == 200


@pytest.mark.parametrize("level", ["Internal"])
async def test_internal_entities_are_for_everybody_with_a_token(here, level):
    unit = await make_unit(here.alice, here.repo["uuid"], "internal-unit", visibility_level=level)
    other = await make_unit(here.bob, here.repo["uuid"], "internal-seer")
    seer = await here.gateway.unit(here.bob, other["uuid"])
    path = f"/units/{unit['uuid']}"
    for caller, status in ((here.bob, 200), (seer, 200), (here.nobody, 401)):
        assert (await caller.get(path)).status == status


async def test_unknown_uuids_are_404_everywhere(here):
    """W16."""
    for path in ("/units", "/unit_nodes"):
        assert (await here.nobody.get(f"{path}/{MISSING}")).status == 404, path
        assert (await here.alice.delete(f"/unit_nodes/edges/{MISSING}")).status == 404
    assert (await here.alice.patch(f"/unit_nodes/{MISSING}", {"max_connections": 2})).status == 404
    assert (await here.alice.patch(f"/unit_nodes/set_state_input/{MISSING}", {"state": "1"})).status == 404
    assert (await here.alice.patch(f"/units/{MISSING}", {"name": "fine-name"})).status == 404
    assert (await here.alice.delete(f"/units/{MISSING}")).status == 404
    assert (await here.alice.patch(f"/units/env/{MISSING}", {"env_json_string": "{}"})).status == 404
    assert (await here.alice.delete(f"/units/env/{MISSING}")).status == 404
    assert (await here.alice.post(f"/units/set_state_storage/{MISSING}", {"state": ""})).status == 404
    command = f"/units/send_command_to_input_base_topic/{MISSING}?command=Update"
    assert (await here.alice.call("POST", command)).status == 404
    edge = {"node_output_uuid": MISSING, "node_input_uuid": MISSING}
    assert (await here.alice.post("/unit_nodes/create_unit_node_edge", edge)).status == 404


async def test_node_changes_keep_to_the_rules(here):
    _, nodes = await _unit(here, "rules-unit", visibility_level="Internal")
    for name, change, code in (
        ("raw_out", {"is_rewritable_input": True}, "8"),
        ("raw_out", {"is_data_pipe_active": True}, "8"),
        ("raw_out", {"visibility_level": "Public"}, "2"),
    ):
        reply = await here.alice.patch(f"/unit_nodes/{nodes[name]['uuid']}", change)
        assert (reply.status, reply.detail.split(": ")[1]) == (422, code), change
    for change in ({"max_connections": 0}, {"max_connections": 2**31}, {"max_connections": "3"}):
        reply = await here.alice.patch(f"/unit_nodes/{nodes['raw_out']['uuid']}", change)
        assert (reply.status, reply.detail[0]["loc"]) == (422, ["body", "max_connections"]), change
    path = f"/unit_nodes/{nodes['raw_in']['uuid']}"
    for caller, status in ((here.bob, 403), (here.admin, 403), (here.nobody, 401)):
        assert (await caller.patch(path, {"max_connections": 2})).status == status
    assert (await here.alice.patch(path, {"visibility_level": "Private"})).body["visibility_level"] == "Private"


async def test_an_edge_appears_in_lists_and_schema_and_goes_again(here):
    sender, outputs = await _unit(here, "edge-sender")
    receiver, inputs = await _unit(here, "edge-receiver")
    output, target = outputs["temperature/pepeunit"], inputs["set_fan/pepeunit"]
    edge = await here.alice.made("/unit_nodes/create_unit_node_edge", _edge(output, target))
    assert edge == {"uuid": edge["uuid"], **_edge(output, target)}
    again = await here.alice.post("/unit_nodes/create_unit_node_edge", _edge(output, target))
    assert (again.status, again.detail.startswith("409: 8: ")) == (409, True)
    listed = await here.nobody.get("/unit_nodes/edges", {"unit_node_uuid": target["uuid"]})
    assert listed.body == {"count": 1, "unit_node_edges": [edge]}
    fed = await here.alice.get("/unit_nodes", {"output_uuid": output["uuid"]})
    assert [node["uuid"] for node in fed.body["unit_nodes"]] == [target["uuid"]]
    params = {"is_include_output_unit_nodes": "true", "unit_node_input_uuid": target["uuid"]}
    feeding = (await here.alice.get("/units", params)).body["units"]
    assert [(unit["uuid"], unit["unit_nodes"][0]["uuid"]) for unit in feeding] == [(sender, output["uuid"])]
    schema = (await here.alice.get(f"/units/get_current_schema/{receiver}")).body
    topic = f"{here.gateway.settings.domain}/{output['uuid']}/pepeunit"
    assert schema["input_topic"]["set_fan/pepeunit"][1:] == [topic]
    path = f"/unit_nodes/edges/{edge['uuid']}"
    assert (await here.bob.delete(path)).status == 403
    assert (await here.nobody.delete(path)).status == 401
    assert (await here.alice.delete(path)).status == 204
    schema = (await here.alice.get(f"/units/get_current_schema/{receiver}")).body
    assert len(schema["input_topic"]["set_fan/pepeunit"]) == 1


async def test_edges_keep_to_the_rules(here):
    _, mine = await _unit(here, "edge-mine")
    _, others = await _unit(here, "edge-bobs", owner=here.bob)
    url = "/unit_nodes/create_unit_node_edge"
    assert (await here.alice.post(url, _edge(mine["raw_in"], mine["raw_out"]))).status == 422
    assert (await here.alice.post(url, _edge(mine["raw_out"], others["raw_in"]))).status == 403
    assert (await here.nobody.post(url, _edge(mine["raw_out"], mine["raw_in"]))).status == 401
    assert (await here.alice.patch(f"/unit_nodes/{mine['raw_in']['uuid']}", {"max_connections": 1})).status == 200
    first = await here.alice.made(url, _edge(others["raw_out"], mine["raw_in"]))
    full = await here.alice.post(url, _edge(mine["raw_out"], mine["raw_in"]))
    assert (full.status, "max_connections" in full.detail) == (422, True)
    assert (await here.bob.delete(f"/unit_nodes/edges/{first['uuid']}")).status == 204, "the Output's creator may"
    private = f"/unit_nodes/{others['temperature/pepeunit']['uuid']}"
    assert (await here.bob.patch(private, {"visibility_level": "Private"})).status == 200
    hidden = await here.alice.post(url, _edge(others["temperature/pepeunit"], mine["raw_in"]))
    assert hidden.status == 403
