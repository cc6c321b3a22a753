"""`docs/datapipe.md`: its pipes are set and fed, its requests are sent, all on the real gateway."""

import asyncio
import json
import re
import shlex
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from aiohttp import FormData

from pepeunit_gateway.datapipe.config import DataPipeConfig
from pepeunit_gateway.registry.default_pipe import DEFAULT_PIPE_JSON
from tests.support.mqtt import CONNACK, RawClient, connect_packet, publish_packet
from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "datapipe.md").read_text()
PIPES = dict(re.findall(r"```yaml\n# (\w+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"^curl .*$", PAGE, re.MULTILINE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


async def _run(api, command, node, pipe):
    """Do what a `curl` line of the page does."""
    words = shlex.split(command.replace("$NODE", node))[1:]
    method, options = "GET", {}
    while words[0].startswith("-"):
        option, value = words.pop(0), words.pop(0)
        match option:
            case "-H":
                assert value == "x-auth-token: $TOKEN"
            case "-X":
                method = value
            case "-F":
                assert value == "data=@pipe.yml"
                form = FormData()
                form.add_field("data", pipe.encode(), filename="pipe.yml")
                method, options = "POST", {"data": form}
            case _:
                raise AssertionError(f"the test does not know {option}")
    (address,) = words
    assert address.startswith("$API/")
    return await api.call(method, address.removeprefix("$API"), **options)


async def _feed(here, node, values):
    """Publish values as the unit, and a log line last: when that is stored, so is everything before it."""
    unit = node["unit_uuid"]
    domain = here.gateway.settings.domain
    device = await RawClient.open(here.gateway.settings.mqtt_port)
    try:
        await device.send(connect_packet(unit, (await here.gateway.unit(here.alice, unit)).token))
        await device.expect(CONNACK)
        for mid, value in enumerate(values, 1):
            await device.send(publish_packet(f"{domain}/{node['uuid']}/pepeunit", value.encode(), qos=1, mid=mid))
        line = json.dumps([{"level": "Info", "text": "fed"}]).encode()
        await device.send(publish_packet(f"{domain}/output_base_topic/{unit}/log/pepeunit", line, qos=1, mid=99))
        async with asyncio.timeout(20):
            while not (await here.alice.get("/units/log_list", {"uuid": unit})).body["count"]:
                pass
    finally:
        await device.close()


async def _node(here, name):
    unit = await make_unit(here.alice, here.repo["uuid"], name)
    return (await nodes_of(here.alice, unit["uuid"]))["temperature/pepeunit"]


async def test_the_page_shows_the_default_pipe():
    shown = DataPipeConfig.model_validate(yaml.safe_load(PIPES["default"]))
    assert shown == DataPipeConfig.model_validate_json(DEFAULT_PIPE_JSON)


@pytest.mark.parametrize(
    ("name", "sent", "kept", "state"),
    [
        ("history", ["21.26", "25.0", "warm"], ["21.3"], None),
        ("changes", ["on", "on", "broken", "off", "on"], ["on", "off", "on"], None),
        ("volts", ["3312", "9999", "-5", "x"], [], "3.31"),
        ("default", ["a" * 101, "21.5", "22.0"], [], "21.5"),
    ],
)
async def test_each_pipe_of_the_page_keeps_what_the_page_says(here, name, sent, kept, state):
    node = await _node(here, f"{name}-unit")
    check, send, *_ = COMMANDS
    assert (await _run(here.alice, check, node["uuid"], PIPES[name])).body == []
    assert (await _run(here.alice, send, node["uuid"], PIPES[name])).status == 204
    await _feed(here, node, sent)
    path = "/unit_nodes/get_data_pipe_data"
    window = (
        await here.alice.get(path, {"uuid": node["uuid"], "type": "TimeWindow", "order_by_create_date": "asc"})
    ).body
    assert [row["state"] for row in window["pipe_data"]] == kept
    assert (await here.alice.get(f"/unit_nodes/{node['uuid']}")).body["state"] == state


async def test_every_request_of_the_page_is_answered(here):
    assert set(PIPES) == {"default", "history", "changes", "volts"}
    node = await _node(here, "asked-unit")
    statuses = [(await _run(here.alice, line, node["uuid"], PIPES["changes"])).status for line in COMMANDS]
    assert statuses == [200, 204, 200, 200, 200, 204]


async def test_every_key_and_value_that_the_page_names_exists():
    (table,) = re.findall(r"\| key \| values \| meaning \|\n(.*?)\n\n", PAGE, re.DOTALL)
    named = {key for row in table.splitlines()[1:] for key in re.findall(r"`(\w*\.\w+)`", row.split("|")[1])}
    sections = {key.partition(".")[0] for key in named} - {""}
    model = DataPipeConfig.model_json_schema()["$defs"]
    known = {
        "active_period": model["ActivePeriod"],
        "filters": model["Filters"],
        "transformations": model["Transformations"],
        "processing_policy": model["ProcessingPolicy"],
    }
    assert sections == set(known)
    fields = {field for section in known.values() for field in section["properties"]}
    later = {"n_records_count", "aggregation_functions"}  # of policies that are not there yet
    assert {key.partition(".")[2] for key in named} == fields - later
