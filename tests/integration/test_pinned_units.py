"""Units that stay at a commit: they were away when they were commanded, or their commit goes away."""

from contextlib import contextmanager
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.storage.own_tables import outbox
from pepeunit_gateway.storage.tables import units
from tests.support.rest_world import world
from tests.support.sample_program import make_unit

BOTH_DATABASES = True


@pytest.fixture
async def stage(tmp_path):
    """A gateway that looks at nothing by itself."""
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        yield stage


def pin(commit):
    return {"is_auto_update_from_repo_unit": False, "repo_branch": "main", "repo_commit": commit}


async def fetch(stage):
    stage.tree.push()
    await sync_repository(stage.gateway.registry.context, UUID(stage.registry["uuid"]), told=True)


async def push(stage, content):
    stage.tree.write("main.py", content)
    commit = stage.tree.commit(content)
    await fetch(stage)
    return commit


async def rewind(stage, commit):
    """Force-push history without the newest commits, and look."""
    stage.tree.git("reset", "--hard", "--quiet", commit)
    await fetch(stage)
    await stage.gateway.registry.updates.update_registry(UUID(stage.registry["uuid"]))


async def write(stage, *statements):
    async with stage.gateway.registry.context.act() as act:
        for statement in statements:
            await act.connection.execute(statement)


async def told(stage, uuid):
    body = (await stage.alice.get(f"/units/{uuid}")).body
    return body["firmware_update_status"], body["firmware_update_error"]


async def commanded(stage):
    return sorted(str(command.unit_uuid) for command in await stage.gateway.registry.outbox.due())


async def held(stage, name, old, commit):
    """A unit that reported `old` and was then pinned to `commit`, whose command is gone with nobody to hear it."""
    made = await make_unit(stage.alice, stage.repo["uuid"], name)
    await write(stage, units.update().where(units.c.uuid == UUID(made["uuid"])).values(current_commit_version=old))
    assert (await stage.alice.patch(f"/units/{made['uuid']}", pin(commit))).body["firmware_update_status"] == (
        None if old == commit else "RequestSent"
    )
    await write(stage, outbox.delete())
    return made["uuid"]


@contextmanager
def counted():
    statements = []

    def note(_connection, _cursor, statement, *_):
        if "units" in statement:  # others read the outbox meanwhile
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


async def test_the_update_job_commands_pinned_units_anew_that_were_away_and_no_others(stage):
    old = stage.tree.head()
    new = await push(stage, "second")
    away, silent, current = [await held(stage, f"unit-{n}", old if n < 2 else new, new) for n in range(3)]
    fresh = (await make_unit(stage.alice, stage.repo["uuid"], "unit-3", **pin(new)))["uuid"]
    elsewhere = (await make_unit(stage.alice, stage.repo["uuid"], "unit-4", **pin(new)))["uuid"]
    error = {"firmware_update_status": "Error", "firmware_update_error": "nothing"}
    await write(
        stage,
        units.update().where(units.c.uuid == UUID(silent)).values(**error),
        units.update().where(units.c.uuid == UUID(elsewhere)).values(current_commit_version=old),
    )
    updates = stage.gateway.registry.updates
    assert (await updates.update_all()).units == 0
    assert (await updates.update_all(again=True)).units == 2
    assert await commanded(stage) == sorted([away, silent])
    assert await told(stage, silent) == ("RequestSent", None)
    assert [await told(stage, uuid) for uuid in (current, fresh, elsewhere)] == [(None, None)] * 3
    await write(stage, units.update().values(current_commit_version=new), outbox.delete())
    assert (await updates.update_all(again=True)).units == 0
    assert await commanded(stage) == []


async def test_the_update_job_commands_units_of_a_repo_that_stays_at_a_commit(stage):
    old = stage.tree.head()
    made = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    await write(stage, units.update().values(current_commit_version=old))
    new = await push(stage, "second")
    body = {"is_auto_update_repo": False, "default_commit": new}
    assert (await stage.alice.patch(f"/repos/{stage.repo['uuid']}", body)).status == 200
    await write(stage, outbox.delete())
    assert (await stage.gateway.registry.updates.update_all(again=True)).units == 1
    assert await commanded(stage) == [made["uuid"]]


async def test_pinned_units_are_commanded_with_the_same_statements_however_many_they_are(stage):
    old, counts = stage.tree.head(), []
    new = await push(stage, "second")
    for number in range(6):
        await held(stage, f"unit-{number}", old, new)
        if number in (1, 5):
            with counted() as statements:
                assert (await stage.gateway.registry.updates.update_all(again=True)).units == number + 1
            counts.append(len(statements))
            await write(stage, outbox.delete())
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("holder", ["unit", "repo"])
async def test_a_unit_whose_pinned_commit_is_pushed_away_is_told_and_keeps_its_settings(stage, holder):
    old = stage.tree.head()
    gone = await push(stage, "second")
    made = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    uuid, bystander = made["uuid"], await make_unit(stage.alice, stage.repo["uuid"], "unit-2", **pin(old))
    change = (f"/units/{uuid}", pin(gone))
    if holder == "repo":
        change = (f"/repos/{stage.repo['uuid']}", {"is_auto_update_repo": False, "default_commit": gone})
    assert (await stage.alice.patch(*change)).status == 200
    own = await stage.gateway.unit(stage.alice, uuid)
    before = [(await own.get(f"/units/{what}/{uuid}")).body for what in ("env", "get_current_schema")]
    await rewind(stage, old)
    state, error = await told(stage, uuid)
    assert (state, f"branch 'main' has no commit '{gone}'" in error) == ("Error", True)
    assert await told(stage, bystander["uuid"]) == (None, None)
    assert [(await own.get(f"/units/{what}/{uuid}")).body for what in ("env", "get_current_schema")] == before
    assert before[0]["PU_COMMIT_VERSION"] == gone
    command = f"/units/send_command_to_input_base_topic/{uuid}?command=EnvUpdate"
    assert (await stage.alice.post(command)).status == 204
    for path in ("get_target_version", "firmware/tar", "firmware/zip", "firmware/tgz"):
        assert (await own.get(f"/units/{path}/{uuid}")).status == 422, path
    assert (await stage.bob.get(f"/units/env/{uuid}")).status == 403


async def test_settings_of_another_commit_than_the_own_former_one_are_never_served(stage):
    """Neither where the objects are gone, nor of a commit that nobody checked, nor of a unit that follows a branch."""
    old = stage.tree.head()
    gone = await push(stage, "second")
    uuid = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1", **pin(gone)))["uuid"]
    follower = (await make_unit(stage.alice, stage.repo["uuid"], "unit-2"))["uuid"]
    await rewind(stage, old)
    assert (await stage.alice.get(f"/units/env/{uuid}")).status == 200
    assert (await stage.alice.patch(f"/units/{uuid}", pin("f" * 40))).status == 422
    assert (await stage.alice.get(f"/units/env/{follower}")).body["PU_COMMIT_VERSION"] == old
    of_unit = units.update().where(units.c.uuid == UUID(uuid))
    await write(stage, of_unit.values(synced_commit="e" * 40))
    for path in ("env", "get_current_schema"):
        reply = await stage.alice.get(f"/units/{path}/{uuid}")
        assert (reply.status, f"has no commit '{gone}'" in reply.detail) == (422, True), path
    stage.tree.git("--git-dir", str(stage.git.bare("sample")), "config", "receive.denyDeleteCurrent", "ignore")
    stage.tree.git("branch", "--quiet", "--move", "other")
    await fetch(stage)
    assert (await stage.alice.get(f"/units/env/{follower}")).status == 422
