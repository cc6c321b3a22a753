"""From a push that a git server tells of to the Update at the broker: at once, once, and none is lost."""

import asyncio
import json
import threading
from contextlib import contextmanager
from itertools import count
from uuid import UUID

import pytest
import pytest_asyncio

from pepeunit_gateway.jobs.repository_poll import RepositoryPoll
from pepeunit_gateway.storage.outages import DatabaseAwayError
from tests.support.field_unit import FieldUnit, eventually
from tests.support.polling import until
from tests.support.rest_world import world
from tests.support.sample_program import make_unit
from tests.support.webhooks import Webhook

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

NEVER = 3600
TAKEN = {"is_fetch_planned": True}
_numbers = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    """A gateway that looks at its repositories once, at its start."""
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=NEVER) as stage:
        yield stage


async def connected(stage):
    """A unit that runs its target and listens to its commands."""
    made = await make_unit(stage.alice, stage.repo["uuid"], f"unit-{next(_numbers)}")
    unit = await FieldUnit.connect(stage.gateway, stage.alice, made["uuid"])
    assert await unit.subscribe(unit.topic("input_base_topic", "update/pepeunit")) == [True]
    await unit.report(unit.env["PU_COMMIT_VERSION"])

    async def reported():
        return (await stage.alice.get(f"/units/{made['uuid']}")).body["current_commit_version"]

    await eventually(reported, unit.env["PU_COMMIT_VERSION"])
    return unit


def push(stage, text="new"):
    stage.tree.write("main.py", f"print('{text} after {stage.tree.head()}')\n")
    commit = stage.tree.commit(text)
    stage.tree.push()
    return commit


async def commanded(unit):
    """The commit of the next Update."""
    topic, payload = await unit.next_message()
    assert topic == unit.topic("input_base_topic", "update/pepeunit")
    return json.loads(payload)["PU_COMMIT_VERSION"]


@contextmanager
def counted(stage, monkeypatch):
    """Every fetch of the mirror, as it begins."""
    mirrors, begun = stage.gateway.registry.context.mirrors, []
    real = mirrors.sync

    async def sync(registry, url, credentials, **owner):
        begun.append(registry)
        return await real(registry, url, credentials, **owner)

    monkeypatch.setattr(mirrors, "sync", sync)
    yield begun


async def told(stage):
    """Wait until what was fetched last is noted, and nothing is under way."""

    async def head():
        reply = await stage.alice.get(f"/repository_registry/branch_commits/{stage.registry['uuid']}?repo_branch=main")
        return reply.body[0]["commit"]

    await eventually(head, stage.tree.head())


@pytest.mark.parametrize("platform", ["github", "gitlab"])
async def test_a_push_that_is_told_reaches_the_unit_at_once_though_nobody_polls(stage, platform):
    unit, hook = await connected(stage), await Webhook.make(stage.alice, stage.registry["uuid"])
    new = push(stage)
    reply = await getattr(hook, platform)()
    assert (reply.status, reply.body) == (202, TAKEN)
    assert await commanded(unit) == new
    await unit.report(new)
    assert await unit.hears_nothing()


async def test_of_fifty_pushes_at_once_one_or_two_are_fetched(stage, monkeypatch):
    unit, hook = await connected(stage), await Webhook.make(stage.alice, stage.registry["uuid"])
    new = push(stage)
    with counted(stage, monkeypatch) as begun:
        replies = await asyncio.gather(*(hook.github() for _ in range(50)))
        assert {reply.status for reply in replies} == {202}
        assert await commanded(unit) == new
        assert 1 <= len(begun) <= 2
    assert await unit.hears_nothing()


async def test_a_push_during_a_fetch_is_followed_by_another(stage, monkeypatch):
    """The fetch under way may have looked at the branches already."""
    unit, hook = await connected(stage), await Webhook.make(stage.alice, stage.registry["uuid"])
    with counted(stage, monkeypatch) as begun:
        release = stage.git.fault.release = threading.Event()
        stage.git.fault.held = "POST"
        first = push(stage, "first")
        await hook.github()
        assert await asyncio.to_thread(stage.git.fault.arrived.wait, 10)
        second = push(stage, "second")
        for _ in range(3):
            await hook.github()
        stage.git.fault.release = None
        release.set()
        seen = {await commanded(unit)}
        if second not in seen:
            seen.add(await commanded(unit))
        await told(stage)
        assert seen <= {first, second}
        await until(lambda: asyncio.sleep(0, len(begun)), lambda count: count == 2)


async def test_w13_pushes_within_the_interval_become_one_fetch_after_it(tmp_path, monkeypatch):
    async with world(tmp_path, repo_poll_interval=NEVER, min_interval_sync_repository=1.0) as stage:
        unit, hook = await connected(stage), await Webhook.make(stage.alice, stage.registry["uuid"])
        with counted(stage, monkeypatch) as begun:
            first = push(stage, "first")
            await hook.github()
            assert await commanded(unit) == first
            second = push(stage, "second")
            for _ in range(5):
                assert (await hook.github()).status == 202
            assert await commanded(unit) == second
            assert len(begun) == 2
            # a notice that somebody recorded and sends again is worth one more fetch, and no command
            await hook.github()
            await until(lambda: asyncio.sleep(0, len(begun)), lambda count: count == 3)
        assert await unit.hears_nothing()


async def test_a_push_ends_the_pause_after_failures(stage):
    unit, hook = await connected(stage), await Webhook.make(stage.alice, stage.registry["uuid"])
    path, new = f"/repository_registry/{stage.registry['uuid']}", ""

    async def state():
        return (await stage.alice.get(path)).body["sync_status"]

    stage.git.fault.status = 503
    for _ in range(3):
        new = push(stage)
        assert (await hook.github()).status == 202
        await eventually(state, "Error")
    stage.git.fault.status = None
    await hook.github()
    await eventually(state, "Updated")
    assert await commanded(unit) == new


async def test_what_a_fetch_on_request_finds_is_commanded_at_once(stage):
    """It is not left to the next look of the poll."""
    unit, new = await connected(stage), push(stage)
    path = f"/repository_registry/update_local_repository/{stage.registry['uuid']}"
    assert (await stage.alice.patch(path)).status == 204
    assert await commanded(unit) == new


async def test_a_registry_that_is_deleted_after_its_push_was_told_harms_nothing(stage):
    url = stage.git.url("spare")
    stage.git.bare("spare")
    body = {"platform": "Git", "repository_url": url, "is_public_repository": True}
    spare = await stage.alice.made("/repository_registry", body)
    hook, other = (
        await Webhook.make(stage.alice, spare["uuid"]),
        await Webhook.make(stage.alice, stage.registry["uuid"]),
    )
    pushes = stage.gateway.registry.webhooks.pushes
    await asyncio.gather(hook.github(), stage.alice.delete(f"/repository_registry/{spare['uuid']}"))
    pushes.add([UUID(spare["uuid"])])
    assert (await hook.github()).status == 401
    unit, new = await connected(stage), push(stage)
    await other.github()
    assert await commanded(unit) == new


async def test_a_push_that_cannot_be_looked_up_at_once_is_not_lost(stage, monkeypatch):
    """The database may be away for a moment after the answer."""
    unit, hook = await connected(stage), await Webhook.make(stage.alice, stage.registry["uuid"])
    real, failed = RepositoryPoll._registered, []

    async def registered(poll, which):
        if which is not None and len(failed) < 2:
            failed.append(which)
            raise DatabaseAwayError("the server was stopped")
        return await real(poll, which)

    monkeypatch.setattr(RepositoryPoll, "_registered", registered)
    new = push(stage)
    assert (await hook.github()).status == 202
    assert await commanded(unit) == new
    assert len(failed) == 2
