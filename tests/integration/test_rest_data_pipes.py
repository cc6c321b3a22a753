"""Data pipes over HTTP: configuration and stored values."""

from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import FormData

from pepeunit_gateway.storage.telemetry import LastValueRow, TelemetryBatch, WindowRow
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

WINDOW = b"""\
active_period: {type: Permanent}
filters: {type_input_value: Number, max_rate: 0, max_size: 100}
processing_policy: {policy_type: TimeWindow, time_window_size: 3600}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


async def _node(here, name, owner=None, topic="temperature/pepeunit"):
    owner = owner or here.alice
    unit = await make_unit(owner, here.repo["uuid"], name)
    return (await nodes_of(owner, unit["uuid"]))[topic]


async def _upload(api, path, content, **params):
    form = FormData()
    form.add_field("data", content, filename="pipe.yml")
    return await api.call("POST", f"/unit_nodes/{path}", data=form, params=params)


async def _store(here, node, values):
    """Write values as the ingest does, a minute apart, the newest now."""
    now = here.gateway.registry.context.clock()
    rows = []
    for age, value in enumerate(reversed(values)):
        time = now - timedelta(minutes=age)
        rows.append(WindowRow(_uuid(node), value, "Number", time, now + timedelta(hours=1), len(value)))
    last = LastValueRow(_uuid(node), values[-1], now)
    store = here.gateway.registry.context.telemetry
    await store.write_batch(TelemetryBatch(windows=rows[::-1], last_values=[last]))


def _uuid(node):
    return UUID(node["uuid"])


async def test_a_configuration_is_checked_for_anybody(here):
    assert (await _upload(here.nobody, "check_data_pipe_config", WINDOW)).body == []
    wrong = WINDOW.replace(b"3600", b"7").replace(b"max_rate: 0", b"max_rate: -1")
    reply = await _upload(here.nobody, "check_data_pipe_config", wrong)
    assert reply.status == 200
    assert {problem["stage"] for problem in reply.body} == {"Filters", "ProcessingPolicy"}
    assert all(set(problem) == {"stage", "message"} for problem in reply.body)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"just text", b"a: [", b"\xff\xfe", b"a: 2024-99-99"])
async def test_what_is_no_mapping_is_refused(here, content):
    for api, path, params in (
        (here.nobody, "check_data_pipe_config", {}),
        (here.alice, "set_data_pipe_config", {"uuid": (await _known(here))["uuid"]}),
    ):
        reply = await _upload(api, path, content, **params)
        assert reply.status == 422
        assert reply.detail.startswith("422: 8: DataPipe Validation Error: ")


async def test_a_yaml_bomb_is_refused_by_both_routes_before_it_goes_off(here):
    """A chain of merge keys: 2**40 pairs, if anybody built them."""
    lines = [
        b"active_period: &a0 {type: Permanent}",
        *(b"x%d: &a%d {<<: [*a%d, *a%d]}" % (n, n, n - 1, n - 1) for n in range(1, 41)),
    ]
    for api, path, params in (
        (here.nobody, "check_data_pipe_config", {}),
        (here.alice, "set_data_pipe_config", {"uuid": (await _known(here))["uuid"]}),
    ):
        reply = await _upload(api, path, b"\n".join(lines), **params)
        assert reply.status == 422
        assert reply.detail == (
            "422: 8: DataPipe Validation Error: the configuration cannot be read as YAML: "
            "write out what the anchor (&) or alias (*) stands for in line 1; correct it and send it again"
        )


async def test_a_configuration_is_read_before_the_transaction_that_stores_it_begins(here):
    """While another writer works, a wrong configuration is refused at once: it waits for no lock and holds none."""
    node = await _known(here)
    async with here.gateway.registry.context.database.write():
        reply = await _upload(here.alice, "set_data_pipe_config", b"a: 1", uuid=node["uuid"])
        assert (reply.status, reply.detail[:9]) == (422, "422: 8: D")


async def _known(here):
    listed = (await here.alice.get("/unit_nodes", {"search_string": "temperature/pepeunit"})).body["unit_nodes"]
    return listed[0] if listed else await _node(here, "known-unit")


async def test_a_configuration_is_set_by_the_creator_and_read_back_as_yaml(here):
    node = await _node(here, "config-unit")
    for caller, status in ((here.bob, 403), (here.admin, 403), (here.nobody, 401)):
        assert (await _upload(caller, "set_data_pipe_config", WINDOW, uuid=node["uuid"])).status == status
    assert (await _upload(here.alice, "set_data_pipe_config", WINDOW, uuid=MISSING)).status == 404
    assert (await _upload(here.alice, "set_data_pipe_config", WINDOW)).detail[0]["loc"] == ["query", "uuid"]
    assert (await _upload(here.alice, "set_data_pipe_config", WINDOW, uuid=node["uuid"])).status == 204
    reply = await here.alice.get(f"/unit_nodes/get_data_pipe_config/{node['uuid']}")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert b"policy_type: TimeWindow" in reply.body
    assert b"null" not in reply.body
    assert (await _upload(here.alice, "check_data_pipe_config", reply.body)).body == []
    assert (await here.nobody.get(f"/unit_nodes/get_data_pipe_config/{node['uuid']}")).status == 401
    assert (await here.alice.get(f"/unit_nodes/get_data_pipe_config/{MISSING}")).status == 404


async def test_an_inactive_pipe_takes_and_shows_no_configuration(here):
    node = await _node(here, "inactive-unit", topic="raw_out")
    refused = await _upload(here.alice, "set_data_pipe_config", WINDOW, uuid=node["uuid"])
    assert (refused.status, refused.detail) == (422, "422: 8: DataPipe Validation Error: Data pipe is not active")
    assert (await here.alice.get(f"/unit_nodes/get_data_pipe_config/{node['uuid']}")).status == 422


async def test_stored_values_are_listed_both_ways_and_deleted(here):
    """W36: LastValue can be read too."""
    node = await _node(here, "values-unit")
    await _store(here, node, ["1", "2", "3"])
    for path in ("/unit_nodes/get_data_pipe_data/", "/unit_nodes/get_data_pipe_data"):
        reply = await here.alice.get(path, {"uuid": node["uuid"], "type": "TimeWindow"})
        assert reply.status == 200, reply.body
        assert (reply.body["count"], [row["state"] for row in reply.body["pipe_data"]]) == (3, ["3", "2", "1"])
    first = reply.body["pipe_data"][0]
    assert set(first) == {
        "unit_node_uuid", "state", "state_type", "create_datetime", "expiration_datetime", "size",
    }  # fmt: skip
    assert first["create_datetime"].endswith("Z")
    params = {"uuid": node["uuid"], "type": "TimeWindow", "order_by_create_date": "asc", "offset": 1, "limit": 1}
    page = (await here.alice.get(path, params)).body
    assert (page["count"], [row["state"] for row in page["pipe_data"]]) == (3, ["2"])
    recent = {"uuid": node["uuid"], "type": "TimeWindow", "relative_time": "90s"}
    assert [row["state"] for row in (await here.alice.get(path, recent)).body["pipe_data"]] == ["3", "2"]
    last = (await here.alice.get(path, {"uuid": node["uuid"], "type": "LastValue"})).body
    assert last["count"] == 1
    assert set(last["pipe_data"][0]) == {"unit_node_uuid", "state", "last_update_datetime"}
    assert last["pipe_data"][0]["state"] == "3"
    deleting = f"/unit_nodes/delete_data_pipe_data/{node['uuid']}"
    for caller, status in ((here.bob, 403), (here.admin, 403), (here.nobody, 401), (here.alice, 204)):
        assert (await caller.delete(deleting)).status == status
    assert (await here.alice.get(path, {"uuid": node["uuid"], "type": "TimeWindow"})).body["count"] == 0
    assert (await here.alice.delete(f"/unit_nodes/delete_data_pipe_data/{MISSING}")).status == 404


async def test_a_null_last_value_is_listed(here):
    """W36."""
    node = await _node(here, "null-unit")
    reply = await here.alice.get("/unit_nodes/get_data_pipe_data/", {"uuid": node["uuid"], "type": "LastValue"})
    assert reply.status == 200
    assert [row["state"] for row in reply.body["pipe_data"]] == [None]


async def test_values_are_read_by_the_creator_the_unit_and_units_that_receive_them(here):
    """W8."""
    node = await _node(here, "w8-unit")
    receiver_input = await _node(here, "w8-receiver", topic="set_fan/pepeunit")
    own = await here.gateway.unit(here.alice, node["unit_uuid"])
    receiver = await here.gateway.unit(here.alice, receiver_input["unit_uuid"])
    path, params = "/unit_nodes/get_data_pipe_data/", {"uuid": node["uuid"], "type": "LastValue"}
    for caller, status in (
        (here.alice, 200), (own, 200), (receiver, 403), (here.bob, 403), (here.admin, 403), (here.nobody, 401),
    ):  # fmt: skip
        assert (await caller.get(path, params)).status == status
    edge = {"node_output_uuid": node["uuid"], "node_input_uuid": receiver_input["uuid"]}
    await here.alice.made("/unit_nodes/create_unit_node_edge", edge)
    assert (await receiver.get(path, params)).status == 200


@pytest.mark.parametrize(
    "params",
    [{"type": "Nonsense"}, {"type": "TimeWindow", "relative_time": "soon"}, {"type": "TimeWindow", "limit": 501}, {}],
)
async def test_queries_that_make_no_sense_are_422(here, params):
    node = await _known(here)
    reply = await here.alice.get("/unit_nodes/get_data_pipe_data/", {"uuid": node["uuid"], **params})
    assert reply.status == 422


async def test_where_pipes_are_off_their_routes_answer_405(tmp_path):
    async with world(tmp_path, ff_datapipe_enable=False) as off:
        unit = await make_unit(off.alice, off.repo["uuid"], "pipeless-unit")
        uuid = (await nodes_of(off.alice, unit["uuid"]))["raw_in"]["uuid"]
        replies = [
            await _upload(off.alice, "check_data_pipe_config", WINDOW),
            await _upload(off.alice, "set_data_pipe_config", WINDOW, uuid=uuid),
            await off.alice.get(f"/unit_nodes/get_data_pipe_config/{uuid}"),
            await off.alice.get("/unit_nodes/get_data_pipe_data/", {"uuid": uuid, "type": "LastValue"}),
            await off.alice.delete(f"/unit_nodes/delete_data_pipe_data/{uuid}"),
        ]
        assert [reply.status for reply in replies] == [405] * 5
        assert all(reply.detail.startswith("405: 15: Feature Flag Error: ") for reply in replies)
