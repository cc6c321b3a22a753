"""What changes while git or the broker answers: the state at the moment of writing counts, and nothing is lost."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from pepeunit_gateway.jobs.outbox_sender import OutboxSender
from pepeunit_gateway.jobs.repository_poll import RepositoryPoll
from pepeunit_gateway.registry import moves, unit_creation, unit_files, updates, verdicts
from pepeunit_gateway.registry.outbox import Command, queue_commands
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.storage.tables import repository_registry
from pepeunit_gateway.topics import BackendTopicCommand
from tests.support.field_unit import FieldUnit, eventually
from tests.support.git_server import GitServer
from tests.support.rest_world import MISSING, World, world
from tests.support.sample_program import SCHEMA_EXAMPLE, make_repo, make_unit, nodes_of, sample_tree

BOTH_DATABASES = True


@pytest.fixture
async def stage(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        yield stage


async def push(stage: World, **files: str) -> str:
    """Commit, push and fetch, without updating any unit."""
    for name, content in (files or {"main": "print('new')\n"}).items():
        stage.tree.write({"main": "main.py", "schema": "schema_example.json"}[name], content)
    commit = stage.tree.commit("next")
    stage.tree.push()
    await sync_repository(stage.gateway.registry.context, UUID(stage.registry["uuid"]), told=True)  # tells nobody
    return commit


async def poll_once(stage: World) -> None:
    poll = RepositoryPoll(stage.gateway.registry, 60)
    await poll.run()
    async with asyncio.timeout(30):
        await poll.settle()


@pytest.fixture
def meanwhile(monkeypatch):
    """Run something once, right after a module has read the example files: between look and write."""

    def arrange(module: ModuleType, act: Callable[[], Awaitable[object]]) -> None:
        real, done = module.read_examples, []

        async def read(*arguments: Any) -> Any:
            found = await real(*arguments)
            if not done:
                done.append(True)
                await act()
            return found

        monkeypatch.setattr(module, "read_examples", read)

    return arrange


async def status(stage: World, unit: str) -> str | None:
    return (await stage.alice.get(f"/units/{unit}")).body["firmware_update_status"]


async def test_w21_a_unit_that_is_deleted_during_a_rollout_harms_no_other(stage, meanwhile):
    """W21."""
    made = [(await make_unit(stage.alice, stage.repo["uuid"], f"unit-{n}"))["uuid"] for n in range(3)]
    await push(stage)
    meanwhile(updates, lambda: stage.alice.delete(f"/units/{made[1]}"))
    await stage.gateway.registry.updates.update_all()
    assert [await status(stage, made[n]) for n in (0, 2)] == ["RequestSent", "RequestSent"]


async def test_a_unit_that_is_made_private_during_a_rollout_gets_private_nodes(stage, meanwhile):
    unit = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    await push(stage, schema=json.dumps({**SCHEMA_EXAMPLE, "output_topic": ["temperature/pepeunit", "new/pepeunit"]}))
    meanwhile(updates, lambda: stage.alice.patch(f"/units/{unit}", {"visibility_level": "Private"}))
    await stage.gateway.registry.updates.update_all()
    levels = {node["visibility_level"] for node in (await nodes_of(stage.alice, unit)).values()}
    assert levels == {"Private"}
    assert (await stage.nobody.get("/unit_nodes", {"unit_uuid": unit})).body["count"] == 0


async def test_w7_a_repo_that_is_made_private_while_a_stranger_makes_a_unit_stays_closed(stage, meanwhile):
    path = f"/repos/{stage.repo['uuid']}"
    meanwhile(unit_creation, lambda: stage.alice.patch(path, {"visibility_level": "Private"}))
    body = {
        "repo_uuid": stage.repo["uuid"],
        "visibility_level": "Public",
        "name": "stolen",
        "is_auto_update_from_repo_unit": True,
    }
    assert (await stage.bob.post("/units", body)).status == 403


async def test_an_output_that_is_made_private_while_a_stranger_links_it_stays_closed(stage, meanwhile):
    first = (await make_unit(stage.alice, stage.repo["uuid"], "alices"))["uuid"]
    second = (await make_unit(stage.bob, stage.repo["uuid"], "bobs"))["uuid"]
    output = (await nodes_of(stage.alice, first))["temperature/pepeunit"]["uuid"]
    target = (await nodes_of(stage.bob, second))["set_fan/pepeunit"]["uuid"]
    meanwhile(moves, lambda: stage.alice.patch(f"/unit_nodes/{output}", {"visibility_level": "Private"}))
    body = {"node_output_uuid": output, "node_input_uuid": target}
    assert (await stage.bob.post("/unit_nodes/create_unit_node_edge", body)).status == 403


async def test_keys_that_are_reset_during_a_change_of_the_env_stay_reset(stage, meanwhile):
    unit = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    old = (await stage.alice.get(f"/units/env/{unit}")).body["PU_SECRET_KEY"]
    meanwhile(unit_files, lambda: stage.alice.delete(f"/units/env/{unit}"))
    changed = await stage.alice.patch(f"/units/env/{unit}", {"env_json_string": '{"SPEED": 9}'})
    env = (await stage.alice.get(f"/units/env/{unit}")).body
    assert (changed.status, env["SPEED"], env["PU_SECRET_KEY"] == old) == (204, 9, False)


async def test_of_many_requests_for_a_new_schema_at_once_all_are_answered(stage):
    unit = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    await push(stage, schema=json.dumps({**SCHEMA_EXAMPLE, "output_topic": ["new/pepeunit"]}))
    paths = [f"/units/get_current_schema/{unit}", f"/units/env/{unit}", f"/units/firmware/tar/{unit}"] * 3
    replies = await asyncio.gather(*(stage.alice.get(path) for path in paths))
    assert [reply.status for reply in replies] == [200] * 9


async def test_a_command_that_replaces_one_under_way_is_not_taken_for_sent(stage):
    registry = stage.gateway.registry
    context, domain = registry.context, registry.context.settings.domain
    unit = UUID((await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"])
    started, gate, published = asyncio.Event(), asyncio.Event(), []

    async def deliver(command: Command) -> bool:
        published.append(json.loads(command.payload)["PU_COMMIT_VERSION"])
        started.set()
        await gate.wait()
        return True

    for task in stage.gateway.gateway._tasks:
        if task.get_name() == "outbox":
            task.cancel()
            await asyncio.wait([task])
    async with context.act() as act:
        await queue_commands(act, domain, [unit], BackendTopicCommand.UPDATE, commit="a" * 40)
    sender = OutboxSender(registry.outbox, deliver, None, hears=lambda *_: True, is_up=lambda: True)
    sending = asyncio.create_task(sender._send(await registry.outbox.due()))
    async with asyncio.timeout(10):
        await started.wait()
    async with context.act() as act:
        await queue_commands(act, domain, [unit], BackendTopicCommand.UPDATE, commit="b" * 40)
    gate.set()
    await sending
    waiting = [json.loads(command.payload)["PU_COMMIT_VERSION"] for command in await registry.outbox.due()]
    assert (published, waiting) == (["a" * 40], ["b" * 40])


async def test_a_verdict_about_an_old_command_does_not_hit_a_newer_one(stage, monkeypatch):
    unit = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    first = await push(stage)
    registry = stage.gateway.registry
    await registry.updates.update_all()
    real = verdicts.target_of

    async def slow(*arguments: Any) -> Any:
        found = await real(*arguments)
        monkeypatch.setattr(verdicts, "target_of", real)
        await push(stage, main="print('newer')\n")
        await registry.updates.update_all()
        return found

    monkeypatch.setattr(verdicts, "target_of", slow)
    await registry.verdicts.judge(UUID(unit), first)
    assert await status(stage, unit) == "RequestSent"


async def test_a_unit_that_gets_there_late_is_a_success_after_all(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600, state_send_interval=1) as stage:
        made = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
        unit = await FieldUnit.connect(stage.gateway, stage.alice, made)
        assert await unit.subscribe(unit.topic("input_base_topic", "update/pepeunit")) == [True]
        new = await push(stage)
        await stage.gateway.registry.updates.update_all()
        await unit.next_message()

        async def after(commit: str) -> str | None:
            await unit.report(commit)
            return await status(stage, made)

        await eventually(lambda: after(unit.env["PU_COMMIT_VERSION"]), "Error")
        await eventually(lambda: after(new), "Success")
        assert (await stage.alice.get(f"/units/{made}")).body["firmware_update_error"] is None


async def test_a_unit_that_missed_its_command_is_commanded_again_and_others_are_not(stage):
    """G13: clients in the field never ask; W50: nobody who is current is commanded."""
    registry = stage.gateway.registry
    names = ("behind", "current", "unseen")
    made = {name: (await make_unit(stage.alice, stage.repo["uuid"], name))["uuid"] for name in names}
    behind = await FieldUnit.connect(stage.gateway, stage.alice, made["behind"])
    current = await FieldUnit.connect(stage.gateway, stage.alice, made["current"])
    old = behind.env["PU_COMMIT_VERSION"]
    new = await push(stage)
    await behind.report(old)
    await current.report(new)

    async def reported() -> list[str | None]:
        return [
            (await stage.alice.get(f"/units/{made[name]}")).body["current_commit_version"]
            for name in ("behind", "current")
        ]

    await eventually(reported, [old, new])
    await registry.updates.update_all()
    await registry.outbox.sent(await registry.outbox.due(), begun=registry.outbox.now())  # and nobody heard it

    async def waiting() -> object:
        return await registry.outbox.next_due()

    for unit in (behind, current):
        assert await unit.subscribe(unit.topic("input_base_topic", "update/pepeunit")) == [True]
    await registry.updates.update_all(again=True)
    _, payload = await behind.next_message()
    assert json.loads(payload)["PU_COMMIT_VERSION"] == new
    await eventually(waiting, None)
    assert await current.hears_nothing()


async def test_w21_a_registry_that_cannot_even_be_read_stops_no_other(stage):
    """W21: its stored credentials were encrypted with another key."""
    context = stage.gateway.registry.context
    unit = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    body = {
        "platform": "Git",
        "repository_url": stage.git.url("other"),
        "is_public_repository": False,
        "credentials": {"username": "u", "pat_token": "p"},
    }
    other = await stage.bob.made("/repository_registry", body)
    async with context.act() as act:
        table = repository_registry
        spoiled = table.update().where(table.c.uuid == UUID(other["uuid"]))
        await act.connection.execute(spoiled.values(cipher_credentials_private_repository="AAAA.AAAA"))
    stage.tree.write("main.py", "print('new')\n")
    stage.tree.commit("next")
    stage.tree.push()
    await poll_once(stage)
    assert await status(stage, unit) == "RequestSent"
    told = (await stage.bob.get(f"/repository_registry/{other['uuid']}")).body
    assert (told["sync_status"], "PU_ENCRYPT_KEY" in told["sync_error"]) == ("Error", True)


async def test_a_silent_git_server_delays_nobody_elses_push(tmp_path):
    """Neither at the poll that finds it silent nor at later ones."""
    async with world(tmp_path, repo_poll_interval=1.0) as stage:
        with GitServer(tmp_path / "silent") as silent:
            for number in range(5):
                sample_tree(silent, tmp_path / "trees", f"silent-{number}")
                _, repo = await make_repo(stage.bob, silent.url(f"silent-{number}"), f"silent-{number}")
                await make_unit(stage.bob, repo["uuid"], f"silent-{number}")
            made = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
            silent.fault.release = threading.Event()
            silent.fault.arrived.clear()
            assert await asyncio.to_thread(silent.fault.arrived.wait, 10)
            for number in range(3):
                stage.tree.write("main.py", f"print({number})\n")
                target = stage.tree.commit(f"change {number}")
                stage.tree.push()

                async def synced() -> str:
                    return (await stage.alice.get(f"/units/get_target_version/{made}")).body["commit"]

                await eventually(synced, target)
            await eventually(lambda: status(stage, made), "RequestSent")


async def test_of_two_values_set_at_once_the_stored_one_is_the_last_one_published(stage, monkeypatch):
    unit = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    node = (await nodes_of(stage.alice, unit))["raw_in"]["uuid"]
    published: list[bytes] = []
    real = stage.gateway.registry.nodes._publish

    async def publish(topic: str, payload: bytes) -> None:
        await real(topic, payload)
        published.append(payload)
        for _ in range(10 if len(published) == 1 else 0):
            await asyncio.sleep(0)

    monkeypatch.setattr(stage.gateway.registry.nodes, "_publish", publish)
    await asyncio.gather(
        *(stage.alice.patch(f"/unit_nodes/set_state_input/{node}", {"state": state}) for state in ("A", "B", "C"))
    )
    assert (await stage.alice.get(f"/unit_nodes/{node}")).body["state"].encode() == published[-1]


async def test_a_repository_that_is_deleted_while_it_is_fetched_leaves_no_mirror(stage):
    context = stage.gateway.registry.context
    body = {"platform": "Git", "repository_url": stage.git.url("sample"), "is_public_repository": True}
    assert (await stage.alice.post("/repository_registry", body)).status == 409
    orphan = UUID(MISSING)
    await context.mirrors.sync(orphan, stage.git.url("sample"), None)
    assert orphan in context.mirrors.registries()
    await poll_once(stage)
    assert context.mirrors.registries() == {UUID(stage.registry["uuid"])}
