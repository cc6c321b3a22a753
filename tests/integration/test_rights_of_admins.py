"""An Admin reads what is public of everything and acts on nothing of others (decisions.md 16)."""

import pytest

from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True


@pytest.fixture
async def stage(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        made = await make_unit(stage.alice, stage.repo["uuid"], "alices", visibility_level="Private")
        await stage.alice.patch(f"/repos/{stage.repo['uuid']}", {"visibility_level": "Private"})
        yield stage, made["uuid"]


async def test_an_admin_makes_no_unit_of_a_private_repo(stage):
    stage, _ = stage
    body = {
        "repo_uuid": stage.repo["uuid"],
        "visibility_level": "Private",
        "name": "curious",
        "is_auto_update_from_repo_unit": True,
    }
    assert (await stage.admin.get(f"/repos/{stage.repo['uuid']}")).status == 200
    assert (await stage.admin.post("/units", body)).status == 403


async def test_an_admin_links_no_private_output(stage):
    stage, unit = stage
    output = (await nodes_of(stage.alice, unit))["temperature/pepeunit"]["uuid"]
    target = (await nodes_of(stage.alice, unit))["set_fan/pepeunit"]["uuid"]
    body = {"node_output_uuid": output, "node_input_uuid": target}
    assert (await stage.admin.post("/unit_nodes/create_unit_node_edge", body)).status == 403


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/units/env/{unit}", None),
        ("PATCH", "/units/env/{unit}", {"env_json_string": "{}"}),
        ("DELETE", "/units/env/{unit}", None),
        ("GET", "/units/get_current_schema/{unit}", None),
        ("GET", "/units/firmware/tar/{unit}", None),
        ("GET", "/units/get_state_storage/{unit}", None),
        ("POST", "/units/set_state_storage/{unit}", {"state": "x"}),
        ("GET", "/units/log_list/?uuid={unit}", None),
        ("POST", "/units/send_command_to_input_base_topic/{unit}?command=Update", None),
        ("PATCH", "/units/{unit}", {"name": "renamed"}),
        ("PATCH", "/repos/{repo}", {"name": "renamed"}),
        ("PATCH", "/unit_nodes/{node}", {"max_connections": 3}),
        ("PATCH", "/unit_nodes/set_state_input/{node}", {"state": "x"}),
        ("GET", "/unit_nodes/get_data_pipe_data/?uuid={node}&type=LastValue", None),
    ],
)
async def test_an_admin_neither_reads_nor_changes_what_is_private_of_others(stage, method, path, body):
    stage, unit = stage
    node = (await nodes_of(stage.alice, unit))["set_fan/pepeunit"]["uuid"]
    names = {"unit": unit, "repo": stage.repo["uuid"], "registry": stage.registry["uuid"], "node": node}
    reply = await stage.admin.call(method, path.format(**names), json=body)
    assert reply.status == 403, reply.body


async def test_an_admin_deletes_what_is_another_s_and_the_trail_tells_it(stage):
    stage, unit = stage
    nodes = await nodes_of(stage.alice, unit)
    body = {
        "node_output_uuid": nodes["temperature/pepeunit"]["uuid"],
        "node_input_uuid": nodes["set_fan/pepeunit"]["uuid"],
    }
    edge = (await stage.alice.made("/unit_nodes/create_unit_node_edge", body))["uuid"]
    paths = [
        f"/unit_nodes/edges/{edge}",
        f"/units/{unit}",
        f"/repos/{stage.repo['uuid']}",
        f"/repository_registry/{stage.registry['uuid']}",
    ]
    for path in paths:
        assert (await stage.admin.delete(path)).status == 204
    trail = (await stage.admin.get("/audit", {"action": "DeletedByAdmin"})).body["events"]
    assert [(event["subject_type"], event["subject_uuid"]) for event in reversed(trail)] == [
        ("Edge", edge),
        ("Unit", unit),
        ("Repo", stage.repo["uuid"]),
        ("Repository", stage.registry["uuid"]),
    ]


async def test_what_people_delete_of_their_own_is_not_in_the_trail(stage):
    stage, unit = stage
    assert (await stage.alice.delete(f"/units/{unit}")).status == 204
    assert (await stage.admin.get("/audit", {"action": "DeletedByAdmin"})).body["count"] == 0
