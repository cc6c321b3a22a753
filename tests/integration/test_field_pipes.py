"""Data pipes in the field hear of every change of a node on the Redis stream of the contract (W35, W55).

They are programs of their own: the client here reads as they do, `XREAD BLOCK` from `$`, then from the last id.
"""

import asyncio
import json
from datetime import datetime
from uuid import UUID

import pytest
from aiohttp import FormData
from redis.asyncio import Redis

from pepeunit_gateway.jobs import field_pipes
from tests.support.polling import until
from tests.support.redis import RedisServer
from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True
STREAM = "backend_data_pipe_nodes"
COLUMNS = {
    "uuid", "type", "visibility_level", "is_rewritable_input", "max_connections", "topic_name", "create_datetime",
    "last_update_datetime", "state", "is_data_pipe_active", "data_pipe_yml", "data_pipe_status", "data_pipe_error",
    "creator_uuid", "unit_uuid",
}  # fmt: skip
PIPE = {
    "active_period": {"type": "Permanent"},
    "filters": {"type_input_value": "Number", "max_rate": 0, "max_size": 0, "last_unique_check": False},
    "processing_policy": {"policy_type": "TimeWindow", "time_window_size": 3600},
}


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def stage(tmp_path, server):
    async with world(tmp_path, repo_poll_interval=3600, redis_url=server.url) as stage:
        yield stage


class FieldPipe:
    """The consumer of protocol/datapipe.md 10; it begins to read when it is made."""

    def __init__(self, client):
        self._client = client
        self._last = "$"
        self._reading = asyncio.create_task(self._read())

    async def _read(self):
        return (await self._client.xread({STREAM: self._last}, block=60_000))[0][1]

    async def ready(self):
        """Wait until the server has the reader on its list of those that wait."""

        async def waiting():
            return [c for c in await self._client.client_list() if (c["name"], c["cmd"]) == ("field", "xread")]

        await until(waiting, bool)

    async def hear(self, *nodes):
        """Read on until every one of these was named; return the last entry of each."""
        heard = {}
        async with asyncio.timeout(20):
            while not set(nodes) <= heard.keys():
                for entry, fields in await self._reading:
                    self._last = entry
                    assert set(fields) == {"action", "unit_node_data"}
                    row = json.loads(fields["unit_node_data"])
                    assert set(row) == COLUMNS
                    assert isinstance(row["topic_name"], str)
                    heard[row["uuid"]] = (fields["action"], row)
                self._reading = asyncio.create_task(self._read())
        return [heard[node] for node in nodes]

    async def stop(self):
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@pytest.fixture
async def pipe(server):
    async with Redis.from_url(server.url, decode_responses=True, socket_timeout=None, client_name="field") as client:
        pipe = FieldPipe(client)
        await pipe.ready()
        yield pipe
        await pipe.stop()


async def test_w35_creation_change_and_deletion_of_nodes_are_told_in_the_contracts_form(stage, pipe):
    unit = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    nodes = await nodes_of(stage.alice, unit["uuid"])
    uuids = [node["uuid"] for node in nodes.values()]
    for (action, row), node in zip(await pipe.hear(*uuids), nodes.values(), strict=True):
        assert action == ("Update" if node["is_data_pipe_active"] else "Delete")
        assert (row["topic_name"], row["type"]) == (node["topic_name"], node["type"])
        assert UUID(row["unit_uuid"]) == UUID(unit["uuid"])
        assert datetime.fromisoformat(row["create_datetime"]).tzinfo is None
        assert not row["create_datetime"].endswith("Z")
    output = nodes["temperature/pepeunit"]["uuid"]

    assert (await stage.alice.patch(f"/unit_nodes/{output}", {"is_data_pipe_active": False})).status == 200
    ((action, row),) = await pipe.hear(output)
    assert (action, row["is_data_pipe_active"]) == ("Delete", False)

    assert (await stage.alice.patch(f"/unit_nodes/{output}", {"visibility_level": "Private"})).status == 200
    ((_, row),) = await pipe.hear(output)
    assert row["visibility_level"] == "Private"

    assert (await stage.alice.delete(f"/units/{unit['uuid']}")).status == 204
    assert {action for action, _ in await pipe.hear(*uuids)} == {"Delete"}


async def test_w35_nodes_that_become_less_visible_with_their_unit_are_told(stage, pipe):
    unit = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    nodes = await nodes_of(stage.alice, unit["uuid"])
    uuids = [node["uuid"] for node in nodes.values()]
    assert {row["visibility_level"] for _, row in await pipe.hear(*uuids)} == {"Public"}
    hidden = nodes["raw_in"]["uuid"]
    assert (await stage.alice.patch(f"/unit_nodes/{hidden}", {"visibility_level": "Private"})).status == 200
    await pipe.hear(hidden)
    assert (await stage.alice.patch(f"/units/{unit['uuid']}", {"visibility_level": "Internal"})).status == 200
    others = set(uuids) - {hidden}
    assert {row["visibility_level"] for _, row in await pipe.hear(*others)} == {"Internal"}


async def test_a_new_configuration_is_told(stage, pipe):
    unit = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    node = (await nodes_of(stage.alice, unit["uuid"]))["temperature/pepeunit"]["uuid"]
    await pipe.hear(node)
    await stage.alice.patch(f"/unit_nodes/{node}", {"is_data_pipe_active": True})
    await pipe.hear(node)
    form = FormData()
    form.add_field("data", json.dumps(PIPE).encode(), filename="pipe.yaml")  # JSON is YAML too
    reply = await stage.alice.call("POST", f"/unit_nodes/set_data_pipe_config?uuid={node}", data=form)
    assert reply.status == 204, reply.body
    ((action, row),) = await pipe.hear(node)
    assert action == "Update"
    assert "TimeWindow" in row["data_pipe_yml"]


async def test_what_changed_while_redis_was_away_is_told_when_it_is_back(stage, server, monkeypatch):
    monkeypatch.setattr(field_pipes, "_PAUSE", 0.1)
    server.kill()
    unit = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    nodes = {node["uuid"] for node in (await nodes_of(stage.alice, unit["uuid"])).values()}
    server.start()
    async with Redis.from_url(server.url, decode_responses=True) as client:

        async def told():
            entries = await client.xrange(STREAM)
            return {json.loads(fields["unit_node_data"])["uuid"] for _, fields in entries}

        await until(told, lambda uuids: nodes <= uuids)


async def test_w55_the_stream_is_capped(stage, server, monkeypatch):
    monkeypatch.setattr(field_pipes, "_MAX_ENTRIES", 10)
    unit = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    node = (await nodes_of(stage.alice, unit["uuid"]))["temperature/pepeunit"]["uuid"]
    async with Redis.from_url(server.url) as client:
        await client.config_set("stream-node-max-entries", 1)
        await client.delete(STREAM)
        for number in range(30):
            await stage.alice.patch(f"/unit_nodes/{node}", {"max_connections": number + 1})

        async def told():
            newest = await client.xrevrange(STREAM, count=1)
            return json.loads(newest[0][1][b"unit_node_data"])["max_connections"] if newest else 0

        await until(told, lambda value: value == 30)
        assert await client.xlen(STREAM) <= 11
