"""From a push to commands, and from a report to a verdict."""

import json
import os
import signal

import pytest

from tests.support.field_unit import FieldUnit, eventually
from tests.support.rest_world import world
from tests.support.sample_program import SCHEMA_EXAMPLE, make_unit, nodes_of

BOTH_DATABASES = True

COMMANDS = ("update/pepeunit", "env_update/pepeunit", "schema_update/pepeunit", "log_sync/pepeunit")


@pytest.fixture
async def stage(tmp_path):
    async with world(tmp_path, repo_poll_interval=1.0) as stage:
        yield stage


async def connected(stage, name, **more):
    """Make a unit that runs its target, connected and listening to its commands."""
    made = await make_unit(stage.alice, stage.repo["uuid"], name, **more)
    unit = await FieldUnit.connect(stage.gateway, stage.alice, made["uuid"])
    assert all(await unit.subscribe(*(unit.topic("input_base_topic", command) for command in COMMANDS)))
    commit = unit.env["PU_COMMIT_VERSION"]
    await unit.report(commit)
    await eventually(reader(stage.alice, unit.api.uuid, "current_commit_version"), (commit,))
    return unit


def reader(api, uuid, *fields):
    async def read():
        body = (await api.get(f"/units/{uuid}")).body
        return tuple(body[field] for field in fields)

    return read


async def test_w50_a_push_becomes_one_update_command_and_the_report_becomes_success(stage):
    unit = await connected(stage, "unit-1")
    uuid, old = unit.api.uuid, unit.env["PU_COMMIT_VERSION"]
    stage.tree.write("main.py", "print('new')\n")
    new = stage.tree.commit("second")
    stage.tree.push()
    topic, payload = await unit.next_message()
    assert topic == unit.topic("input_base_topic", "update/pepeunit")
    assert payload == json.dumps({"COMMAND": "Update", "PU_COMMIT_VERSION": new}).encode()
    status = reader(stage.alice, uuid, "firmware_update_status", "current_commit_version")
    assert await status() == ("RequestSent", old)
    await unit.report(new)
    await eventually(status, ("Success", new))
    # two more looks at the repository: a current unit hears nothing (W50)
    await stage.gateway.registry.updates.update_all()
    await stage.gateway.registry.updates.update_all()
    assert await unit.hears_nothing()


async def test_w23_new_topics_of_a_commit_become_nodes_before_the_command_whatever_the_device_reports(stage):
    """W22, W23: the unit reports the target already, as one flashed by hand does."""
    unit = await connected(stage, "unit-1")
    uuid = unit.api.uuid
    kept = (await nodes_of(stage.alice, uuid))["temperature/pepeunit"]["uuid"]
    schema = {**SCHEMA_EXAMPLE, "output_topic": ["temperature/pepeunit", "pressure/pepeunit"]}
    stage.tree.write("schema_example.json", json.dumps(schema))
    new = stage.tree.commit("other topics")
    stage.tree.push()
    await unit.report(new)

    async def names():
        return sorted(await nodes_of(stage.alice, uuid))

    await eventually(names, ["pressure/pepeunit", "raw_in", "set_fan/pepeunit", "temperature/pepeunit"])
    assert (await nodes_of(stage.alice, uuid))["temperature/pepeunit"]["uuid"] == kept
    served = (await unit.api.get(f"/units/get_current_schema/{uuid}")).body
    assert list(served["output_topic"]) == ["temperature/pepeunit", "pressure/pepeunit"]
    assert (await unit.api.get(f"/units/firmware/tar/{uuid}")).status == 200


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("schema_example.json", None, "schema_example.json"),
        ("env_example.json", None, "env_example.json"),
        ("schema_example.json", '{"input_topic": [', "schema_example.json"),
        ("env_example.json", '{"A": }', "env_example.json"),
    ],
    ids=["no schema", "no env", "broken schema", "broken env"],
)
async def test_a_commit_that_cannot_be_used_is_told_at_the_unit_and_the_next_good_one_goes_out(
    stage, file, content, said
):
    unit = await connected(stage, "unit-1")
    uuid = unit.api.uuid
    path = stage.tree.folder / file
    good = path.read_text()
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    stage.tree.commit("broken")
    stage.tree.push()

    async def told():
        body = (await stage.alice.get(f"/units/{uuid}")).body
        return body["firmware_update_status"], said in (body["firmware_update_error"] or "")

    await eventually(told, ("Error", True))
    assert sorted(await nodes_of(stage.alice, uuid)) == sorted(
        SCHEMA_EXAMPLE["input_topic"] + SCHEMA_EXAMPLE["output_topic"]
    )
    path.write_text(good)
    new = stage.tree.commit("mended")
    stage.tree.push()
    _, payload = await unit.next_message()
    assert json.loads(payload)["PU_COMMIT_VERSION"] == new


async def test_a_commit_that_cannot_be_used_makes_no_unit(stage):
    """Bad input from the start: no half-made rows."""
    (stage.tree.folder / "schema_example.json").unlink()
    stage.tree.commit("broken")
    stage.tree.push()
    await stage.alice.patch(f"/repository_registry/update_local_repository/{stage.registry['uuid']}")
    body = {
        "repo_uuid": stage.repo["uuid"],
        "visibility_level": "Public",
        "name": "never",
        "is_auto_update_from_repo_unit": True,
    }
    reply = await stage.alice.post("/units", body)
    assert (reply.status, "schema_example.json" in reply.detail) == (422, True)
    assert (await stage.alice.get("/units")).body["count"] == 0
    assert (await stage.alice.get("/unit_nodes")).body["count"] == 0


async def test_a_unit_that_does_not_follow_its_repo_is_left_alone(stage):
    target = (
        await stage.alice.get(f"/repository_registry/branch_commits/{stage.registry['uuid']}?repo_branch=main")
    ).body
    unit = await connected(
        stage,
        "unit-1",
        is_auto_update_from_repo_unit=False,
        repo_branch="main",
        repo_commit=target[0]["commit"],
    )
    follower = await connected(stage, "unit-2")
    stage.tree.write("main.py", "print('new')\n")
    stage.tree.commit("second")
    stage.tree.push()
    await follower.next_message()
    assert await unit.hears_nothing()
    version = (await unit.api.get(f"/units/get_target_version/{unit.api.uuid}")).body
    assert version == {"commit": target[0]["commit"], "tag": None}


async def test_a_unit_that_still_reports_the_old_commit_long_after_the_command_is_an_error(tmp_path):
    async with world(tmp_path, repo_poll_interval=1.0, state_send_interval=1) as stage:
        unit = await connected(stage, "unit-1")
        old = unit.env["PU_COMMIT_VERSION"]
        stage.tree.write("main.py", "print('new')\n")
        stage.tree.commit("second")
        stage.tree.push()
        await unit.next_message()

        async def status():
            await unit.report(old)
            return (await stage.alice.get(f"/units/{unit.api.uuid}")).body["firmware_update_status"]

        await eventually(status, "Error")
        text = (await stage.alice.get(f"/units/{unit.api.uuid}")).body["firmware_update_error"]
        assert text.startswith("422: 11: Update Error: ")


async def test_a_unit_that_says_nothing_after_the_command_is_an_error_and_a_late_report_a_success(tmp_path):
    async with world(tmp_path, repo_poll_interval=1.0, state_send_interval=1) as stage:
        unit = await connected(stage, "unit-1")
        stage.tree.write("main.py", "print('new')\n")
        new = stage.tree.commit("second")
        stage.tree.push()
        await unit.next_message()

        async def told():
            await stage.gateway.registry.verdicts.expire_requests()
            body = (await stage.alice.get(f"/units/{unit.api.uuid}")).body
            return body["firmware_update_status"], "reported nothing" in (body["firmware_update_error"] or "")

        await eventually(told, ("Error", True))
        await unit.report(new)
        await eventually(
            reader(stage.alice, unit.api.uuid, "firmware_update_status", "firmware_update_error"), ("Success", None)
        )


async def test_a_command_outlives_the_death_of_the_broker(stage):
    """The outbox keeps it until the broker has acknowledged."""
    unit = await connected(stage, "unit-1")
    os.kill(stage.gateway.gateway.broker.broker_pid, signal.SIGKILL)
    reply = await stage.alice.post(f"/units/send_command_to_input_base_topic/{unit.api.uuid}?command=EnvUpdate")
    assert reply.status == 204
    await unit.client.expect_end()

    async def connected_again():
        try:
            again = await FieldUnit.connect(stage.gateway, stage.alice, unit.api.uuid)
        except (AssertionError, OSError, EOFError):
            return None
        return again

    async def waiting():
        return await stage.gateway.registry.outbox.next_due() is None

    again = None
    while again is None:
        again = await connected_again()
    granted = await again.subscribe(again.topic("input_base_topic", "env_update/pepeunit"))
    assert granted == [True]
    await eventually(waiting, expected=True)


async def test_of_two_waiting_commands_of_one_kind_only_the_newer_is_sent(stage):
    unit = await connected(stage, "unit-1")
    outbox = stage.gateway.registry.outbox
    os.kill(stage.gateway.gateway.broker.broker_pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            path = f"/units/send_command_to_input_base_topic/{unit.api.uuid}?command=SchemaUpdate"
            assert (await stage.alice.post(path)).status == 204
        assert len([c for c in await outbox.due() if c.command.value == "SchemaUpdate"]) == 1
    finally:
        os.kill(stage.gateway.gateway.broker.broker_pid, signal.SIGCONT)


async def test_an_update_that_waits_goes_when_the_target_moves_to_a_program_without_updates(stage):
    await connected(stage, "unit-1")
    outbox = stage.gateway.registry.outbox

    async def waiting():
        return [command.command.value for command in await outbox.due()]

    os.kill(stage.gateway.gateway.broker.broker_pid, signal.SIGSTOP)
    try:
        stage.tree.write("main.py", "print('new')\n")
        stage.tree.commit("second")
        stage.tree.push()
        await eventually(waiting, ["Update"])
        others = [command for command in COMMANDS if command != "update/pepeunit"]
        stage.tree.write("schema_example.json", json.dumps({**SCHEMA_EXAMPLE, "input_base_topic": others}))
        stage.tree.commit("knows no update")
        stage.tree.push()
        await eventually(waiting, [])
    finally:
        os.kill(stage.gateway.gateway.broker.broker_pid, signal.SIGCONT)
