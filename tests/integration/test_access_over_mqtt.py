"""What the registry decides counts at the broker at once: edges, deletions, visibility, tokens (W3, W5)."""

import pytest

from tests.support.field_unit import FieldUnit, eventually, open_client
from tests.support.mqtt import CONNACK, connect_packet
from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True


@pytest.fixture
async def stage(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        yield stage


async def pair(stage):
    """Two connected units of one owner."""
    made = [await make_unit(stage.alice, stage.repo["uuid"], name) for name in ("unit-1", "unit-2")]
    return [await FieldUnit.connect(stage.gateway, stage.alice, unit["uuid"]) for unit in made]


async def link(stage, first, second):
    output = (await nodes_of(stage.alice, first.api.uuid))["temperature/pepeunit"]["uuid"]
    target = (await nodes_of(stage.alice, second.api.uuid))["set_fan/pepeunit"]["uuid"]
    body = {"node_output_uuid": output, "node_input_uuid": target}
    return (await stage.alice.made("/unit_nodes/create_unit_node_edge", body))["uuid"]


async def test_w3_a_public_output_of_another_unit_is_heard_only_through_an_edge(stage):
    first, second = await pair(stage)
    topic = first.topic("output_topic", "temperature/pepeunit")
    assert await second.subscribe(topic) == [False]
    edge = await link(stage, first, second)

    async def heard():
        return await second.subscribe(topic)

    await eventually(heard, [True])
    await first.publish(topic, b"21.5")
    assert await second.next_message() == (topic, b"21.5")
    schema = (await second.api.get(f"/units/get_current_schema/{second.api.uuid}")).body
    assert schema["input_topic"]["set_fan/pepeunit"][1:] == [topic]
    assert (await stage.alice.delete(f"/unit_nodes/edges/{edge}")).status == 204
    await second.client.expect_end()  # a lost right to receive ends the session


async def test_a_unit_that_is_told_of_a_link_may_subscribe_to_it_at_once(stage):
    first, second = await pair(stage)
    command = second.topic("input_base_topic", "schema_update/pepeunit")
    topic = first.topic("output_topic", "temperature/pepeunit")
    assert await second.subscribe(command) == [True]
    await link(stage, first, second)
    assert (await second.next_message())[0] == command
    assert await second.subscribe(topic) == [True]


async def test_w3_nobody_publishes_into_another_units_topics(stage):
    first, second = await pair(stage)
    target = second.topic("input_topic", "set_fan/pepeunit")
    output = second.topic("output_topic", "temperature/pepeunit")
    assert await second.subscribe(target) == [True]
    for topic in (target, output, second.topic("output_base_topic", "state/pepeunit")):
        await first.publish(topic, b"forged")
    assert await second.hears_nothing()
    nodes = await nodes_of(stage.alice, second.api.uuid)
    assert nodes["temperature/pepeunit"]["state"] is None
    assert (await stage.alice.get(f"/units/{second.api.uuid}")).body["unit_state"] is None


async def test_an_input_takes_values_of_linked_units_only_when_it_is_rewritable(stage):
    first, second = await pair(stage)
    target = second.topic("input_topic", "set_fan/pepeunit")
    await link(stage, first, second)
    assert await second.subscribe(target) == [True]
    await first.publish(target, b"no")
    assert await second.hears_nothing()
    uuid = (await nodes_of(stage.alice, second.api.uuid))["set_fan/pepeunit"]["uuid"]
    assert (await stage.alice.patch(f"/unit_nodes/{uuid}", {"is_rewritable_input": True})).status == 200

    async def heard():
        await first.publish(target, b"yes")
        return not await second.hears_nothing()

    await eventually(heard, expected=True)


async def test_a_value_set_over_rest_reaches_the_unit(stage):
    first, _ = await pair(stage)
    target = first.topic("input_topic", "set_fan/pepeunit")
    assert await first.subscribe(target) == [True]
    uuid = (await nodes_of(stage.alice, first.api.uuid))["set_fan/pepeunit"]["uuid"]
    reply = await stage.alice.patch(f"/unit_nodes/set_state_input/{uuid}", {"state": "on"})
    assert (reply.status, reply.body["state"]) == (200, "on")
    assert await first.next_message() == (target, b"on")


def granted(unit, node):
    return {"agent_uuid": unit, "agent_type": "Unit", "resource_uuid": node, "resource_type": "UnitNode"}


async def test_w5_a_permission_on_an_output_lets_a_unit_receive_it_for_as_long_as_it_holds(stage):
    first, second = await pair(stage)
    topic = first.topic("output_topic", "temperature/pepeunit")
    node = (await nodes_of(stage.alice, first.api.uuid))["temperature/pepeunit"]["uuid"]
    assert await second.subscribe(topic) == [False]
    await stage.alice.made("/permission", granted(second.api.uuid, node))

    async def heard():
        return await second.subscribe(topic)

    await eventually(heard, [True], limit=1.0)
    await first.publish(topic, b"21.5")
    assert await second.next_message() == (topic, b"21.5")
    holder = {"agent_uuid": second.api.uuid, "resource_uuid": node}
    assert (await stage.alice.delete("/permission/x", params=holder)).status == 204
    await second.client.expect_end()  # a lost right to receive ends the session


async def test_w5_a_permission_on_an_input_counts_where_it_is_rewritable_and_ends_with_its_revocation(stage):
    first, second = await pair(stage)
    target = second.topic("input_topic", "set_fan/pepeunit")
    node = (await nodes_of(stage.alice, second.api.uuid))["set_fan/pepeunit"]["uuid"]
    assert (await stage.alice.patch(f"/unit_nodes/{node}", {"is_rewritable_input": True})).status == 200
    assert await second.subscribe(target) == [True]

    async def heard():
        await first.publish(target, b"on")
        return not await second.hears_nothing()

    assert await heard() is False
    await stage.alice.made("/permission", granted(first.api.uuid, node))
    await eventually(heard, expected=True, limit=1.0)
    holder = {"agent_uuid": first.api.uuid, "resource_uuid": node}
    assert (await stage.alice.delete("/permission/x", params=holder)).status == 204
    await eventually(heard, expected=False, limit=1.0)


async def test_w5_a_deleted_unit_is_cut_off_and_stays_out(stage):
    first, _ = await pair(stage)
    assert (await stage.alice.delete(f"/units/{first.api.uuid}")).status == 204
    await first.client.expect_end()
    client = await open_client(stage.gateway)
    await client.send(connect_packet(first.api.uuid, first.env["PU_AUTH_TOKEN"]))
    assert (await client.expect(CONNACK)).body == b"\x00\x04"


@pytest.mark.parametrize("kind", ["user", "foreign key", "nothing", "another unit's id"])
async def test_w4_only_a_units_own_token_connects(stage, kind):
    first, second = await pair(stage)
    token, client_id, code = {
        "user": (stage.alice.token, first.api.uuid, 4),
        "foreign key": (first.env["PU_AUTH_TOKEN"][:-4] + "AAAA", first.api.uuid, 4),
        "nothing": ("", first.api.uuid, 4),
        "another unit's id": (first.env["PU_AUTH_TOKEN"], second.api.uuid, 2),
    }[kind]
    client = await open_client(stage.gateway)
    await client.send(connect_packet(client_id, token))
    assert (await client.expect(CONNACK)).body == bytes([0, code])


async def test_a_client_of_the_field_with_a_random_id_connects(stage):
    first, _ = await pair(stage)
    client = await open_client(stage.gateway)
    await client.send(connect_packet("7d9f2c1e-0000-4000-8000-00000000beef", first.env["PU_AUTH_TOKEN"]))
    assert (await client.expect(CONNACK)).body == b"\x00\x00"
