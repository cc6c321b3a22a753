"""Data pipes over HTTP, on a real gateway with its broker."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest
import pytest_asyncio
import yaml
from aiohttp import FormData

from pepeunit_gateway.storage.telemetry import TelemetryBatch, WindowFilter, WindowRow
from tests.support.field_unit import FieldUnit, eventually
from tests.support.mqtt import CONNACK, RawClient, connect_packet, publish_packet
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

NODE = "temperature/pepeunit"
SECTIONS = {
    "active_period": {"type": "Permanent"},
    "filters": {"type_input_value": "Number", "max_rate": 0, "max_size": 0, "last_unique_check": False},
    "processing_policy": {"policy_type": "TimeWindow", "time_window_size": 3600},
}
numbers = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


async def new_node(here, name=NODE, **more):
    unit = await make_unit(here.alice, here.repo["uuid"], f"pipe-unit-{next(numbers)}", **more)
    return unit["uuid"], (await nodes_of(here.alice, unit["uuid"]))[name]


def upload(content):
    form = FormData()
    form.add_field(
        "data", content if isinstance(content, bytes) else yaml.safe_dump(content).encode(), filename="c.yaml"
    )
    return form


async def send(caller, node, content):
    return await caller.call("POST", f"/unit_nodes/set_data_pipe_config?uuid={node['uuid']}", data=upload(content))


async def check(caller, content):
    return await caller.call("POST", "/unit_nodes/check_data_pipe_config", data=upload(content))


async def values(caller, node, kind="TimeWindow", **filters):
    return await caller.get("/unit_nodes/get_data_pipe_data/", {"uuid": node["uuid"], "type": kind, **filters})


async def store(here, node, *states, age=timedelta(0), keep_for=timedelta(hours=1)):
    """Put rows of a TimeWindow node into the store."""
    created = datetime.now(UTC) - age
    rows = [WindowRow(UUID(node["uuid"]), s, "Text", created, created + keep_for, len(s)) for s in states]
    await here.gateway.registry.context.telemetry.write_batch(TelemetryBatch(windows=rows))


async def test_a_configuration_is_checked_for_anybody(here):
    for caller in (here.nobody, here.alice):
        assert (await check(caller, SECTIONS)).body == []
    wrong = {**SECTIONS, "filters": {**SECTIONS["filters"], "max_rate": -1}, "processing_policy": {}}
    assert (await check(here.nobody, wrong)).body == [
        {"stage": "Filters", "message": "Input should be greater than or equal to 0"},
        {"stage": "ProcessingPolicy", "message": "Field required"},
    ]


@pytest.mark.parametrize("content", [b"3", b"[1]", b"{", b"", b"\xff", b"[" * 9000])
async def test_a_document_that_is_none_is_422(here, content):
    _, node = await new_node(here)
    for reply in (await check(here.nobody, content), await send(here.alice, node, content)):
        assert (reply.status, reply.detail.startswith("422: 8: DataPipe Validation Error: ")) == (422, True)


async def test_a_configuration_is_set_shown_and_exported_b21(here):
    _, node = await new_node(here)
    path = f"/unit_nodes/{node['uuid']}"
    assert (await send(here.alice, node, SECTIONS)).status == 204
    shown = (await here.alice.get(path)).body
    assert (shown["data_pipe_status"], shown["data_pipe_error"]) == ("Active", None)
    exported = await here.alice.get(f"/unit_nodes/get_data_pipe_config/{node['uuid']}")
    assert (exported.status, yaml.safe_load(exported.body)) == (200, SECTIONS)
    assert (await here.alice.patch(path, {"is_data_pipe_active": False})).body["data_pipe_status"] == "Inactive"
    for reply in (
        await send(here.alice, node, SECTIONS),
        await here.alice.get(f"/unit_nodes/get_data_pipe_config/{node['uuid']}"),
    ):
        assert reply.detail == "422: 8: DataPipe Validation Error: Data pipe is not active"


async def test_a_wrong_configuration_changes_nothing(here):
    _, node = await new_node(here)
    before = (await here.alice.get(f"/unit_nodes/{node['uuid']}")).body
    reply = await send(here.alice, node, {**SECTIONS, "filters": {}})
    assert reply.detail == "422: 8: DataPipe Validation Error: 3 validation errors for DataPipeConfig"
    for policy in (
        {"policy_type": "NRecords", "n_records_count": 3},
        {"policy_type": "Aggregation", "time_window_size": 60, "aggregation_functions": "Avg"},
    ):
        reply = await send(here.alice, node, {**SECTIONS, "processing_policy": policy})
        assert (reply.status, "comes with a later version" in reply.detail) == (422, True)
    assert (await here.alice.get(f"/unit_nodes/{node['uuid']}")).body == before


async def test_rows_of_a_window_carry_its_columns(here):
    _, node = await new_node(here)
    await store(here, node, "1", "2")
    reply = await values(here.alice, node, order_by_create_date="asc")
    assert (reply.status, reply.body["count"]) == (200, 2)
    row = reply.body["pipe_data"][0]
    assert set(row) == {"unit_node_uuid", "state", "state_type", "create_datetime", "expiration_datetime", "size"}
    assert (row["unit_node_uuid"], row["state"], row["size"]) == (node["uuid"], "1", 1)


async def test_what_a_unit_publishes_goes_through_the_pipe_that_was_set(here):
    uuid, node = await new_node(here)
    await send(here.alice, node, {**SECTIONS, "transformations": {"multiplication_ratio": 2, "round_decimal_point": 1}})
    token = (await here.gateway.unit(here.alice, uuid)).token
    topic = f"{here.gateway.settings.domain}/{node['uuid']}/pepeunit"
    client = await RawClient.open(here.gateway.settings.mqtt_port)
    try:
        async with asyncio.timeout(20):
            await client.send(connect_packet(uuid, token))
            await client.expect(CONNACK)
            for number in count(1):  # until the ingest has heard of the new configuration
                bad = publish_packet(topic, b"x", qos=1, mid=2 * number)
                await client.send(bad, publish_packet(topic, b"10.55", qos=1, mid=2 * number + 1))
                found = (await values(here.alice, node)).body
                if found["count"]:
                    break
    finally:
        await client.close()
    assert {(row["state"], row["state_type"]) for row in found["pipe_data"]} == {("21.1", "Number")}


async def test_expired_rows_are_never_read(here):
    _, node = await new_node(here)
    await store(here, node, "old", age=timedelta(hours=2))
    await store(here, node, "new")
    reply = await values(here.alice, node)
    assert (reply.body["count"], [row["state"] for row in reply.body["pipe_data"]]) == (1, ["new"])


async def test_w38_rows_are_filtered_and_paged(here):
    """W38."""
    _, node = await new_node(here)
    for minutes, state in ((50, "a1"), (30, "b2"), (10, "a3")):
        await store(here, node, state, age=timedelta(minutes=minutes))
    bound = (datetime.now(UTC) - timedelta(minutes=20)).isoformat()
    for filters, expected in (
        ({}, ["a3", "b2", "a1"]),
        ({"order_by_create_date": "asc"}, ["a1", "b2", "a3"]),
        ({"search_string": "A"}, ["a3", "a1"]),
        ({"relative_time": "40m"}, ["a3", "b2"]),
        ({"start_create_datetime": bound}, ["a3"]),
        ({"end_create_datetime": bound}, ["b2", "a1"]),
        ({"limit": 1, "offset": 1}, ["b2"]),
        ({"limit": 0}, ["a3", "b2", "a1"]),
    ):
        reply = await values(here.alice, node, **filters)
        assert [row["state"] for row in reply.body["pipe_data"]] == expected, filters
    assert (await values(here.alice, node, limit=501)).status == 422
    wrong = await values(here.alice, node, relative_time="5w")
    assert (wrong.status, "a number and one of" in wrong.detail) == (422, True)


@pytest.mark.parametrize("filters", [{}, {"limit": 0}, {"limit": 100}], ids=["absent", "zero", "hundred"])
async def test_w47_a_page_without_a_limit_has_a_hundred_rows(here, filters):
    """W47: no limit meant every row that there was."""
    _, node = await new_node(here)
    await store(here, node, *map(str, range(120)))
    reply = await values(here.alice, node, **filters)
    assert (reply.body["count"], len(reply.body["pipe_data"])) == (120, 100)


async def test_the_last_value_is_read_even_before_there_is_one_w36(here):
    _, node = await new_node(here)
    reply = await values(here.alice, node, "LastValue")
    (row,) = reply.body["pipe_data"]
    assert (reply.body["count"], set(row)) == (1, {"unit_node_uuid", "state", "last_update_datetime"})
    assert row["state"] is None


@pytest.mark.parametrize("kind", ["NRecords", "Aggregation"])
async def test_policies_of_later_versions_are_422(here, kind):
    _, node = await new_node(here)
    reply = await values(here.alice, node, kind)
    assert reply.detail.startswith("422: 8: DataPipe Validation Error: the policy")
    assert (await values(here.alice, node, "Sometimes")).status == 422


# Cells written by hand from decisions.md 2 and 16: caller -> statuses of set, export, read, delete.
ACCESS = {
    "creator": (204, 200, 200, 204),
    "admin": (403, 403, 403, 403),
    "other user": (403, 403, 403, 403),
    "nobody": (401, 401, 401, 401),
    "own unit": (403, 403, 200, 403),
    "unit with an edge": (403, 403, 200, 403),
    "unit that feeds it": (403, 403, 403, 403),
    "other unit": (403, 403, 403, 403),
}


@pytest.mark.parametrize(("caller", "statuses"), ACCESS.items(), ids=str)
async def test_everybody_reaches_what_is_theirs(here, caller, statuses):
    """W8."""
    name = "set_fan/pepeunit" if caller == "unit that feeds it" else NODE
    uuid, node = await new_node(here, name, visibility_level="Private")
    other, others = await new_node(here, "set_fan/pepeunit" if name == NODE else NODE)
    if caller in {"unit with an edge", "unit that feeds it"}:
        output, target = (node, others) if caller == "unit with an edge" else (others, node)
        edge = {"node_output_uuid": output["uuid"], "node_input_uuid": target["uuid"]}
        await here.alice.made("/unit_nodes/create_unit_node_edge", edge)
    await here.alice.patch(f"/unit_nodes/{node['uuid']}", {"is_data_pipe_active": True})
    assert (await send(here.alice, node, SECTIONS)).status == 204
    who = {"creator": here.alice, "admin": here.admin, "other user": here.bob, "nobody": here.nobody}.get(caller)
    if who is None:
        who = await here.gateway.unit(here.alice, uuid if caller == "own unit" else other)
    found = (
        (await send(who, node, SECTIONS)).status,
        (await who.get(f"/unit_nodes/get_data_pipe_config/{node['uuid']}")).status,
        (await values(who, node)).status,
        (await who.delete(f"/unit_nodes/delete_data_pipe_data/{node['uuid']}")).status,
    )
    assert found == statuses


async def test_deleting_takes_the_rows_of_this_node_only(here):
    _, node = await new_node(here)
    _, other = await new_node(here)
    await store(here, node, "x")
    await store(here, other, "y")
    assert (await here.alice.delete(f"/unit_nodes/delete_data_pipe_data/{node['uuid']}")).status == 204
    assert [(await values(here.alice, each)).body["count"] for each in (node, other)] == [0, 1]


async def test_w35_a_new_unit_is_stored_at_once_and_no_row_outlives_it(here):
    """W35: the pipe heard of new nodes at its next look, a minute later, and rows of deleted ones stayed."""
    uuid, node = await new_node(here)
    unit = await FieldUnit.connect(here.gateway, here.alice, uuid)
    await unit.publish(unit.topic("output_topic", NODE), b"21.5")

    async def state():
        return (await here.alice.get(f"/unit_nodes/{node['uuid']}")).body["state"]

    await eventually(state, "21.5")
    await store(here, node, "x", "y")
    assert (await here.alice.delete(f"/units/{uuid}")).status == 204

    async def left():
        telemetry = here.gateway.registry.context.telemetry
        return (await telemetry.read_window(UUID(node["uuid"]), WindowFilter(), datetime.now(UTC)))[0]

    await eventually(left, 0)


async def test_an_unknown_node_is_404(here):
    node = {"uuid": MISSING}
    assert (await send(here.alice, node, SECTIONS)).status == 404
    assert (await values(here.alice, node)).status == 404
    assert (await here.alice.get(f"/unit_nodes/get_data_pipe_config/{MISSING}")).status == 404
    assert (await here.alice.delete(f"/unit_nodes/delete_data_pipe_data/{MISSING}")).status == 404
