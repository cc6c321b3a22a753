"""PU_DOMAIN is changed on purpose: no unit is cut off, each moves when it fetches its new topics (decisions.md 19)."""

import pytest

from tests.support.field_unit import FieldUnit, eventually, open_client
from tests.support.gateway import GatewayUnderTest
from tests.support.git_server import GitServer
from tests.support.mqtt import CONNACK, connect_packet
from tests.support.sample_program import make_repo, make_unit, nodes_of, sample_tree

BOTH_DATABASES = True

OLD, NEW = "old.example:8080", "new.example"
OUTPUT, INPUT = "temperature/pepeunit", "set_fan/pepeunit"


class Stage:
    """Alice and two linked units that were made under the old domain, and the gateway of the new one."""

    def __init__(self, gateway, alice, units):
        self.gateway, self.alice, self.units = gateway, alice, units

    async def connect(self, unit):
        """Connect with what the unit was told before."""
        client = await open_client(self.gateway)
        await client.send(connect_packet(unit.api.uuid, unit.env["PU_AUTH_TOKEN"]))
        assert (await client.expect(CONNACK)).body == b"\x00\x00"
        api = self.alice.with_token(unit.env["PU_AUTH_TOKEN"])
        api.uuid = unit.api.uuid
        return FieldUnit(api, unit.env, unit.schema, client)

    async def late(self):
        return {unit.name: unit.told_domain for unit in await self.gateway.registry.moves.late()}


@pytest.fixture
async def stage(tmp_path):
    with GitServer(tmp_path / "git") as git:
        sample_tree(git, tmp_path / "work")
        settings = {"mqtt_host": "127.0.0.1", "repo_poll_interval": 3600}
        async with GatewayUnderTest(tmp_path / "data", domain=OLD, **settings) as before:
            alice = await before.user("alice")
            _, repo = await make_repo(alice, git.url("sample"), "sample-repo")
            made = [await make_unit(alice, repo["uuid"], name) for name in ("first", "second")]
            output, target = [
                (await nodes_of(alice, unit["uuid"]))[name]["uuid"]
                for unit, name in zip(made, (OUTPUT, INPUT), strict=True)
            ]
            await alice.made(
                "/unit_nodes/create_unit_node_edge", {"node_output_uuid": output, "node_input_uuid": target}
            )
            units = [await FieldUnit.connect(before, alice, unit["uuid"]) for unit in made]
        async with GatewayUnderTest(tmp_path / "data", domain=NEW, **settings) as gateway:
            yield Stage(gateway, gateway.nobody.with_token(alice.token), units)


async def test_a_unit_of_the_previous_domain_is_heard_and_commanded_there(stage):
    first, second = [await stage.connect(unit) for unit in stage.units]
    output, command = first.topic("output_topic", OUTPUT), second.topic("input_base_topic", "env_update/pepeunit")
    assert output.startswith(OLD + "/")
    assert await second.subscribe(output, command) == [True, True]
    await first.publish(output, b"21.5")
    assert await second.next_message() == (output, b"21.5")
    await first.report("a" * 40)

    async def stored():
        node = (await nodes_of(stage.alice, first.api.uuid))[OUTPUT]
        unit = (await stage.alice.get(f"/units/{first.api.uuid}")).body
        return node["state"], unit["current_commit_version"]

    await eventually(stored, ("21.5", "a" * 40))
    path = f"/units/send_command_to_input_base_topic/{second.api.uuid}"
    assert (await stage.alice.post(f"{path}?command=EnvUpdate")).status == 204
    assert (await second.next_message())[0] == command
    own = (await nodes_of(stage.alice, second.api.uuid))[INPUT]["uuid"]
    assert await second.subscribe(second.topic("input_topic", INPUT)) == [True]
    assert (await stage.alice.patch(f"/unit_nodes/set_state_input/{own}", {"state": "on"})).status == 200
    assert await second.next_message() == (f"{OLD}/{own}/pepeunit", b"on")
    assert await stage.late() == {"first": OLD, "second": OLD}


async def test_a_unit_moves_when_it_fetches_its_schema_and_who_hears_it_is_told(stage):
    first, second = [await stage.connect(unit) for unit in stage.units]
    told = second.topic("input_base_topic", "schema_update/pepeunit")
    assert await second.subscribe(told) == [True]
    path = f"/units/get_current_schema/{first.api.uuid}"
    assert (await stage.alice.get(path)).status == 200  # its creator's look moves nothing
    assert await stage.late() == {"first": OLD, "second": OLD}
    first.schema = (await first.api.get(path)).body
    output = first.topic("output_topic", OUTPUT)
    assert output.startswith(NEW + "/")
    assert (await second.next_message())[0] == told
    assert await stage.late() == {"second": OLD}
    command = first.topic("input_base_topic", "log_sync/pepeunit")
    assert await first.subscribe(command) == [True]
    assert (
        await stage.alice.post(f"/units/send_command_to_input_base_topic/{first.api.uuid}?command=LogSync")
    ).status == 204
    assert (await first.next_message())[0] == command
    second.schema = (await second.api.get(f"/units/get_current_schema/{second.api.uuid}")).body
    assert second.schema["input_topic"][INPUT][1:] == [output]
    assert await second.subscribe(output) == [True]
    await first.publish(output, b"7")
    assert await second.next_message() == (output, b"7")
    assert await stage.late() == {}


async def test_a_unit_has_moved_when_it_has_the_last_byte_of_its_archive_and_not_before(stage):
    first, second = [await stage.connect(unit) for unit in stage.units]
    path = f"/units/firmware/tar/{first.api.uuid}"
    head = await first.api.head(path)
    assert head.status == 200
    assert (await first.api.call("GET", path, headers={"Range": "bytes=0-999"})).status == 206
    assert (await first.api.call("GET", path, headers={"If-None-Match": head.headers["ETag"]})).status == 304
    assert (await stage.alice.get(path)).status == 200  # its creator's download moves nothing
    path_of_second = f"/units/firmware/zip/{second.api.uuid}"
    assert (await second.api.get(path_of_second)).status == 200
    await eventually(stage.late, {"first": OLD})
    assert (await first.api.call("GET", path, headers={"Range": "bytes=1000-"})).status == 206
    await eventually(stage.late, {})


async def test_until_it_moves_a_unit_is_heard_by_one_that_moved_already(stage):
    first, second = [await stage.connect(unit) for unit in stage.units]
    second.schema = (await second.api.get(f"/units/get_current_schema/{second.api.uuid}")).body
    output = first.topic("output_topic", OUTPUT)
    assert second.schema["input_topic"][INPUT] == [second.topic("input_topic", INPUT), output]
    assert (output.split("/")[0], second.topic("input_topic", INPUT).split("/")[0]) == (OLD, NEW)
    assert await second.subscribe(output) == [True]
    await first.publish(output, b"8")
    assert await second.next_message() == (output, b"8")


async def test_a_unit_that_reports_on_the_new_topics_has_moved(stage):
    first, _ = [await stage.connect(unit) for unit in stage.units]
    await first.publish(f"{NEW}/output_base_topic/{first.api.uuid}/state/pepeunit", b'{"millis": 1}')
    await eventually(stage.late, {"second": OLD})


async def test_late_units_are_called_to_fetch_their_schema_and_then_their_env(stage):
    first, _ = [await stage.connect(unit) for unit in stage.units]
    called = first.topic("input_base_topic", "schema_update/pepeunit")
    assert await first.subscribe(called) == [True]
    assert await stage.gateway.registry.moves.call() == 2
    assert (await first.next_message())[0] == called
    first.schema = (await first.api.get(f"/units/get_current_schema/{first.api.uuid}")).body
    told = first.topic("input_base_topic", "env_update/pepeunit")
    assert told.startswith(NEW + "/")
    assert await first.subscribe(told) == [True]
    assert (await first.next_message())[0] == told
    assert (await first.api.get(f"/units/env/{first.api.uuid}")).body["PU_DOMAIN"] == NEW


async def test_a_return_to_the_domain_of_before_finds_late_only_those_that_were_made_between(tmp_path):
    with GitServer(tmp_path / "git") as git:
        sample_tree(git, tmp_path / "work")
        settings = {"mqtt_host": "127.0.0.1", "repo_poll_interval": 3600}
        async with GatewayUnderTest(tmp_path / "data", domain=OLD, **settings) as before:
            alice = await before.user("alice")
            _, repo = await make_repo(alice, git.url("sample"), "sample-repo")
            await make_unit(alice, repo["uuid"], "first")
        async with GatewayUnderTest(tmp_path / "data", domain=NEW, **settings) as gateway:
            alice = gateway.nobody.with_token(alice.token)
            await make_unit(alice, repo["uuid"], "second")
            assert [unit.name for unit in await gateway.registry.moves.late()] == ["first"]
        async with GatewayUnderTest(tmp_path / "data", domain=OLD, **settings) as gateway:
            late = await gateway.registry.moves.late()
            assert [(unit.name, unit.told_domain) for unit in late] == [("second", NEW)]
