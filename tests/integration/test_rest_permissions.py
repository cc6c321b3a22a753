"""Permissions over HTTP: granting, listing and revoking (W2, W31). Who may is in test_access_table.py."""

import asyncio

import pytest
import pytest_asyncio

from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit, nodes_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH_DATABASES = True


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


async def _unit(here, name, owner=None, **more):
    owner = owner or here.alice
    made = await make_unit(owner, here.repo["uuid"], name, **more)
    return made["uuid"], await nodes_of(owner, made["uuid"])


def _grant(agent, resource, agent_type="User", resource_type="Unit"):
    return {
        "agent_uuid": agent,
        "agent_type": agent_type,
        "resource_uuid": resource,
        "resource_type": resource_type,
    }


async def _revoke(caller, agent, resource):
    return await caller.delete("/permission/x", params={"agent_uuid": agent, "resource_uuid": resource})


async def _listed(caller, **params):
    reply = await caller.get("/permission", params)
    assert reply.status == 200, reply.body
    return reply.body["permissions"]


async def test_w2_a_grant_opens_a_private_unit_and_its_end_closes_it(here):
    unit, _ = await _unit(here, "grant-unit", visibility_level="Private")
    path = f"/units/{unit}"
    assert (await here.bob.get(path)).status == 403
    made = await here.alice.made("/permission", _grant(here.bob.uuid, unit))
    assert made == {"uuid": made["uuid"], **_grant(here.bob.uuid, unit)}
    assert (await here.bob.get(path)).status == 200
    assert [row["uuid"] for row in (await here.bob.get("/units", {"uuids": unit})).body["units"]] == [unit]
    assert (await _revoke(here.alice, here.bob.uuid, unit)).status == 204
    assert (await here.bob.get(path)).status == 403
    assert (await _revoke(here.alice, here.bob.uuid, unit)).status == 404


async def test_w2_nobody_grants_themselves_what_is_not_theirs(here):
    unit, nodes = await _unit(here, "w2-unit", visibility_level="Private")
    node = nodes["raw_in"]["uuid"]
    for caller in (here.bob, here.admin):
        for resource, kind in ((unit, "Unit"), (node, "UnitNode"), (here.repo["uuid"], "Repo")):
            refused = await caller.post("/permission", _grant(caller.uuid, resource, resource_type=kind))
            assert (refused.status, refused.detail.split(": ")[1]) == (403, "1")
    assert (await here.bob.get(f"/units/{unit}")).status == 403
    assert (await _revoke(here.bob, here.alice.uuid, unit)).status == 403
    query = {"resource_uuid": unit, "resource_type": "Unit"}
    assert (await here.bob.get("/permission/get_resource_agents", query)).status == 403


async def test_w31_of_two_equal_grants_at_once_one_is_made(here):
    unit, _ = await _unit(here, "w31-unit")
    body = _grant(here.bob.uuid, unit)
    replies = await asyncio.gather(*(here.alice.post("/permission", body) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409, 409]
    refused = next(reply for reply in replies if reply.status == 409)
    assert refused.detail.startswith("409: 4: Permission Validation Error: ")


async def test_who_holds_what_is_listed_for_the_creator_and_for_admins(here):
    unit, _ = await _unit(here, "listed-unit", visibility_level="Private")
    other, _ = await _unit(here, "listed-other")
    await here.alice.made("/permission", _grant(here.bob.uuid, unit))
    await here.alice.made("/permission", _grant(other, unit, "Unit"))
    query = {"resource_uuid": unit, "resource_type": "Unit"}
    holders = {(here.alice.uuid, "User"), (here.bob.uuid, "User"), (unit, "Unit"), (other, "Unit")}
    for caller in (here.alice, here.admin):
        body = (await caller.get("/permission/get_resource_agents", query)).body
        assert {(row["agent_uuid"], row["agent_type"]) for row in body["permissions"]} == holders
        assert body["count"] == 4
    users = (await here.alice.get("/permission/get_resource_agents", {**query, "agent_type": "User"})).body
    assert {row["agent_uuid"] for row in users["permissions"]} == {here.alice.uuid, here.bob.uuid}
    page = (await here.alice.get("/permission/get_resource_agents", {**query, "offset": 1, "limit": 2})).body
    assert (page["count"], len(page["permissions"])) == (4, 2)
    wrong = await here.alice.get("/permission/get_resource_agents", {**query, "resource_type": "Repo"})
    assert wrong.status == 404


async def test_a_user_lists_what_they_hold_and_what_is_held_of_theirs(here):
    mine, _ = await _unit(here, "own-list")
    bobs, _ = await _unit(here, "own-list-bobs", owner=here.bob)
    granted = await here.alice.made("/permission", _grant(here.bob.uuid, mine))
    assert await _listed(here.alice, resource_uuid=mine, agent_uuid=here.bob.uuid) == [granted]
    assert await _listed(here.bob, resource_uuid=mine) == [granted], "only the row that names them"
    assert await _listed(here.alice, resource_uuid=bobs) == [], "not theirs and not named in it"
    assert len(await _listed(here.admin, resource_uuid=bobs)) == 2
    assert {row["resource_type"] for row in await _listed(here.bob, resource_type="Unit")} == {"Unit"}
    assert {row["agent_type"] for row in await _listed(here.alice, agent_type="Unit", limit=500)} == {"Unit"}


async def test_what_comes_with_an_entity_cannot_be_revoked(here):
    unit, nodes = await _unit(here, "kept-unit")
    node = nodes["raw_in"]["uuid"]
    cases = [
        (unit, unit),
        (here.alice.uuid, unit),
        (here.alice.uuid, here.repo["uuid"]),
        (here.alice.uuid, node),
        (unit, here.repo["uuid"]),
        (unit, node),
    ]
    for caller in (here.alice, here.admin):
        for holder, resource in cases:
            refused = await _revoke(caller, holder, resource)
            assert refused.status == 422, (holder, resource)
            assert refused.detail.startswith("422: 4: Permission Validation Error: ")


async def test_what_was_granted_is_dropped_by_its_holder_and_revoked_by_an_admin(here):
    unit, nodes = await _unit(here, "drop-unit", visibility_level="Private")
    for caller in (here.bob, here.admin):
        for resource, kind in ((unit, "Unit"), (nodes["raw_in"]["uuid"], "UnitNode"), (here.repo["uuid"], "Repo")):
            await here.alice.made("/permission", _grant(here.bob.uuid, resource, resource_type=kind))
            assert (await _revoke(caller, here.bob.uuid, resource)).status == 204
    assert (await here.bob.get(f"/units/{unit}")).status == 403


async def test_who_may_not_revoke_is_not_told_what_there_is(here):
    unit, _ = await _unit(here, "probe-unit")
    other, _ = await _unit(here, "probe-other")
    await here.alice.made("/permission", _grant(other, unit, "Unit"))
    existing, missing = await _revoke(here.bob, other, unit), await _revoke(here.bob, MISSING, unit)
    assert (existing.status, existing.detail) == (missing.status, missing.detail)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"agent_uuid": MISSING}, 404),
        ({"agent_uuid": MISSING, "agent_type": "Unit"}, 404),
        ({"agent_type": "Unit"}, 404),
        ({"resource_uuid": MISSING}, 404),
        ({"resource_type": "Repo"}, 404),
        ({"agent_type": "Repo"}, 422),
        ({"resource_type": "User"}, 422),
    ],
)
async def test_both_ends_of_a_permission_must_exist(here, change, status):
    units = (await here.alice.get("/units", {"search_string": "ends-unit"})).body["units"]
    unit = units[0]["uuid"] if units else (await _unit(here, "ends-unit"))[0]
    reply = await here.alice.post("/permission", {**_grant(here.bob.uuid, unit), **change})
    assert reply.status == status, reply.body


async def test_an_edge_made_with_a_permission_stays_until_a_creator_deletes_it(here):
    _, mine = await _unit(here, "edge-perm")
    _, theirs = await _unit(here, "edge-perm-bobs", owner=here.bob)
    node = mine["raw_in"]["uuid"]
    await here.alice.made("/permission", _grant(here.bob.uuid, node, resource_type="UnitNode"))
    body = {"node_output_uuid": theirs["raw_out"]["uuid"], "node_input_uuid": node}
    edge = await here.bob.made("/unit_nodes/create_unit_node_edge", body)
    assert (await _revoke(here.alice, here.bob.uuid, node)).status == 204
    listed = (await here.alice.get("/unit_nodes/edges", {"unit_node_uuid": node})).body
    assert listed == {"count": 1, "unit_node_edges": [edge]}
    body["node_output_uuid"] = theirs["temperature/pepeunit"]["uuid"]
    assert (await here.bob.post("/unit_nodes/create_unit_node_edge", body)).status == 403, "no further one"
    assert (await here.alice.delete(f"/unit_nodes/edges/{edge['uuid']}")).status == 204


async def test_w29_an_edge_opens_a_private_node_to_the_unit_at_its_other_end_for_as_long_as_it_is_there(here):
    """W29: nothing of an edge stays behind; W8: values are read by who receives them, not by who sends."""
    sender, outputs = await _unit(here, "edge-private", visibility_level="Private")
    receiver, inputs = await _unit(here, "edge-listens", visibility_level="Private")
    output, target = outputs["temperature/pepeunit"]["uuid"], inputs["set_fan/pepeunit"]["uuid"]
    hears, speaks = await here.gateway.unit(here.alice, receiver), await here.gateway.unit(here.alice, sender)
    asked = [
        (hears, f"/unit_nodes/{output}", 200),
        (hears, f"/unit_nodes/get_data_pipe_data/?uuid={output}&type=LastValue", 200),
        (speaks, f"/unit_nodes/{target}", 200),
        (speaks, f"/unit_nodes/get_data_pipe_data/?uuid={target}&type=LastValue", 403),
        (hears, f"/units/{sender}", 403),
    ]
    body = {"node_output_uuid": output, "node_input_uuid": target}
    edge = await here.alice.made("/unit_nodes/create_unit_node_edge", body)
    other = await here.alice.made(
        "/unit_nodes/create_unit_node_edge", {**body, "node_input_uuid": inputs["raw_in"]["uuid"]}
    )
    assert (await here.alice.delete(f"/unit_nodes/edges/{other['uuid']}")).status == 204
    assert [(await unit.get(path)).status for unit, path, _ in asked] == [status for _, _, status in asked]
    assert (await here.alice.delete(f"/unit_nodes/edges/{edge['uuid']}")).status == 204
    assert {(await unit.get(path)).status for unit, path, _ in asked} == {403}


async def test_grants_and_revocations_are_on_record(here):
    unit, _ = await _unit(here, "audited-unit")
    await here.alice.made("/permission", _grant(here.bob.uuid, unit))
    await here.alice.post("/permission", _grant(here.bob.uuid, unit))  # refused: 409
    await _revoke(here.bob, here.bob.uuid, unit)
    events = (await here.admin.get("/audit", {"subject_uuid": unit})).body["events"]
    told = [(event["action"], event["actor_uuid"], event["subject_name"], event["details"]) for event in events]
    details = {"agent_type": "User", "agent_uuid": here.bob.uuid, "agent_name": "bobby"}
    assert told == [
        ("PermissionRevoked", here.bob.uuid, "audited-unit", details),
        ("PermissionGranted", here.alice.uuid, "audited-unit", details),
    ]
    assert {event["subject_type"] for event in events} == {"Unit"}


async def test_permissions_go_with_what_they_open(here):
    unit, _ = await _unit(here, "gone-unit")
    await here.alice.made("/permission", _grant(here.bob.uuid, unit))
    assert (await here.alice.delete(f"/units/{unit}")).status == 204
    assert await _listed(here.admin, resource_uuid=unit) == []
    assert await _listed(here.admin, agent_uuid=unit) == []
