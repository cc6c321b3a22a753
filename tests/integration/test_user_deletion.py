"""A user who is deleted: everything of theirs goes in one act, what others need stays."""

import itertools
from uuid import UUID

import pytest
from sqlalchemy import func, select

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole
from pepeunit_gateway.registry.credentials import read_slots
from pepeunit_gateway.storage.own_tables import job_runs, metadata, named_tokens
from pepeunit_gateway.storage.tables import (
    permissions,
    repository_registry,
    unit_logs,
    units,
    units_nodes,
    units_nodes_edges,
    window_entry,
)
from tests.support.field_unit import FieldUnit, eventually
from tests.support.gateway import PASSWORD
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit, nodes_of
from tests.support.statements import InjectedError, fail_write, snapshot

BOTH_DATABASES = True


@pytest.fixture
async def stage(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        yield stage


async def count(stage, table, *conditions):
    async with stage.gateway.registry.context.database.read() as connection:
        return (await connection.execute(select(func.count()).select_from(table).where(*conditions))).scalar_one()


async def link(owner, first, second):
    output = (await nodes_of(owner, first))["temperature/pepeunit"]["uuid"]
    target = (await nodes_of(owner, second))["set_fan/pepeunit"]["uuid"]
    body = {"node_output_uuid": output, "node_input_uuid": target}
    return (await owner.made("/unit_nodes/create_unit_node_edge", body))["uuid"]


async def test_everything_of_the_user_goes_and_what_others_have_stays(stage):
    bob = stage.bob
    kept = (await make_unit(stage.alice, stage.repo["uuid"], "alices"))["uuid"]
    mine = [(await make_unit(bob, stage.repo["uuid"], f"bobs-{number}"))["uuid"] for number in (1, 2)]
    await link(bob, *mine)
    own_repo = await bob.made(
        "/repos",
        {
            "repository_registry_uuid": stage.registry["uuid"],
            "default_branch": "main",
            "visibility_level": "Public",
            "name": "bobs-repo",
            "is_compilable_repo": False,
            "is_only_tag_update": False,
        },
    )
    mine.append((await make_unit(bob, own_repo["uuid"], "bobs-3"))["uuid"])
    token = (await bob.made("/tokens", {"name": "program", "scope": "Read"}))["token"]
    units_before = await count(stage, units)
    assert (await stage.admin.delete(f"/users/{bob.uuid}")).status == 204
    assert await count(stage, units) == units_before - 3
    theirs = [UUID(uuid) for uuid in mine]
    assert await count(stage, units_nodes, units_nodes.c.unit_uuid.in_(theirs)) == 0
    assert await count(stage, units_nodes_edges) == 0
    assert await count(stage, named_tokens) == 0
    for column in (permissions.c.agent_user_uuid, permissions.c.agent_unit_uuid, permissions.c.resource_unit_uuid):
        assert await count(stage, permissions, column.in_([UUID(bob.uuid), *theirs])) == 0
    assert (await stage.alice.get(f"/users/{bob.uuid}")).status == 404
    assert (await stage.alice.get(f"/repos/{own_repo['uuid']}")).status == 404
    assert (await stage.alice.get(f"/units/{kept}")).status == 200
    for text in (bob.token, token):
        assert (await stage.nobody.with_token(text).get("/units")).status == 401
    reply = await stage.nobody.post("/users/auth", {"credentials": "bobby", "password": PASSWORD})
    assert (reply.status, reply.detail) == (401, "401: 1: No Access: login or password is wrong")
    assert (await stage.admin.made("/users", {"login": "bobby", "password": PASSWORD}))["uuid"] != bob.uuid


async def test_no_row_of_any_table_names_the_user_any_more_but_those_of_the_trail(stage):
    await make_unit(stage.bob, stage.repo["uuid"], "bobs")
    assert (await stage.bob.delete(f"/users/{stage.bob.uuid}")).status == 204
    database = stage.gateway.registry.context.database
    rows = await snapshot(database)
    async with database.read() as connection:
        rows["job_runs"] = list((await connection.execute(select(job_runs))).all())
    assert {name for name in metadata.tables if stage.bob.uuid in repr(rows[name])} == {"audit"}


async def test_registered_repositories_stay_without_creator_and_without_the_users_credentials(stage):
    body = {
        "platform": "Git",
        "repository_url": stage.git.url("private"),
        "is_public_repository": False,
        "credentials": {"username": "bob", "pat_token": "bobs-secret"},
    }
    private = await stage.bob.made("/repository_registry", body)
    path = f"/repository_registry/set_credentials/{private['uuid']}"
    assert (await stage.alice.patch(path, {"username": "alice", "pat_token": "alices-secret"})).status == 204
    assert (await stage.admin.delete(f"/users/{stage.bob.uuid}")).status == 204
    assert (await stage.alice.get(f"/repository_registry/{private['uuid']}")).body["creator_uuid"] is None
    context = stage.gateway.registry.context
    async with context.database.read() as connection:
        query = select(repository_registry.c.cipher_credentials_private_repository)
        cipher = (
            await connection.execute(query.where(repository_registry.c.uuid == UUID(private["uuid"])))
        ).scalar_one()
    assert set(read_slots(context.cipher, cipher)) == {UUID(stage.alice.uuid)}


async def test_telemetry_of_the_users_units_goes_too(stage):
    uuid = (await make_unit(stage.bob, stage.repo["uuid"], "bobs"))["uuid"]
    unit = await FieldUnit.connect(stage.gateway, stage.bob, uuid)
    node = UUID((await nodes_of(stage.bob, uuid))["temperature/pepeunit"]["uuid"])
    await unit.publish(unit.topic("output_base_topic", "log/pepeunit"), b'{"level": "Info", "text": "hello"}')
    logged = unit_logs.c.unit_uuid == UUID(uuid)
    await eventually(lambda: count(stage, unit_logs, logged), 1)
    context = stage.gateway.registry.context
    async with context.database.write() as connection:
        now = context.clock()
        row = {"unit_node_uuid": node, "state": "1", "state_type": "Text", "size": 1}
        await connection.execute(window_entry.insert().values(**row, create_datetime=now, expiration_datetime=now))
    assert (await stage.bob.delete(f"/users/{stage.bob.uuid}")).status == 204
    await eventually(lambda: count(stage, unit_logs, logged), 0)
    await eventually(lambda: count(stage, window_entry, window_entry.c.unit_node_uuid == node), 0)


@pytest.mark.parametrize("source_of", ["the user", "a third person"])
async def test_w5_units_of_others_lose_what_they_had_through_the_user(stage, source_of):
    """An edge from a node of theirs, and one that they drew between nodes of two others."""
    listener = (await make_unit(stage.alice, stage.repo["uuid"], "alices"))["uuid"]
    owner = stage.bob if source_of == "the user" else await stage.gateway.user("carol")
    source = (await make_unit(owner, stage.repo["uuid"], "source"))["uuid"]
    output = (await nodes_of(owner, source))["temperature/pepeunit"]["uuid"]
    target = (await nodes_of(stage.alice, listener))["set_fan/pepeunit"]["uuid"]
    grant = {"agent_uuid": stage.bob.uuid, "agent_type": "User", "resource_uuid": target, "resource_type": "UnitNode"}
    await stage.alice.made("/permission", grant)
    body = {"node_output_uuid": output, "node_input_uuid": target}
    await stage.bob.made("/unit_nodes/create_unit_node_edge", body)
    unit = await FieldUnit.connect(stage.gateway, stage.alice, listener)
    topic = next(
        one
        for one in (await unit.api.get(f"/units/get_current_schema/{listener}")).body["input_topic"]["set_fan/pepeunit"]
        if output in one
    )
    assert await unit.subscribe(topic) == [True]
    assert (await stage.admin.delete(f"/users/{stage.bob.uuid}")).status == 204
    await unit.client.expect_end()
    again = await FieldUnit.connect(stage.gateway, stage.alice, listener)
    assert await again.subscribe(topic) == [False]


async def test_repos_with_units_of_other_people_keep_their_user(stage):
    made = await make_unit(stage.bob, stage.repo["uuid"], "bobs")
    before = await snapshot(stage.gateway.registry.context.database)
    for caller in (stage.admin, stage.alice):
        reply = await caller.delete(f"/users/{stage.alice.uuid}")
        assert (reply.status, reply.detail) == (
            409,
            "409: 3: User Validation Error: the Repo sample-repo has units of other people; they must be deleted first",
        )
    assert await snapshot(stage.gateway.registry.context.database) == before
    assert (await stage.bob.delete(f"/units/{made['uuid']}")).status == 204
    assert (await stage.alice.delete(f"/users/{stage.alice.uuid}")).status == 204


async def test_only_an_admin_and_the_user_themself_with_a_login_delete(stage):
    unit = await stage.gateway.unit(stage.bob, (await make_unit(stage.bob, stage.repo["uuid"], "bobs"))["uuid"])
    program = stage.bob.with_token((await stage.bob.made("/tokens", {"name": "program", "scope": "Write"}))["token"])
    for caller, status in ((stage.nobody, 401), (stage.alice, 403), (unit, 403), (program, 403)):
        assert (await caller.delete(f"/users/{stage.bob.uuid}")).status == status
    assert (await stage.admin.delete(f"/users/{MISSING}")).status == 404
    assert (await stage.bob.delete(f"/users/{stage.bob.uuid}")).status == 204
    assert (await stage.bob.delete(f"/users/{stage.bob.uuid}")).status == 401


async def test_w28_a_fault_at_any_statement_of_the_deletion_leaves_everything(stage):
    await make_unit(stage.bob, stage.repo["uuid"], "bobs")
    registry, database = stage.gateway.registry, stage.gateway.registry.context.database
    agent = Agent(AgentType.USER, UUID(stage.admin.uuid), UserRole.ADMIN)
    before = await snapshot(database)
    for number in itertools.count(1):
        try:
            with fail_write(database, number, after=number % 2 == 0):
                await registry.users.delete(agent, UUID(stage.bob.uuid))
            break
        except InjectedError:
            after = await snapshot(database)
            if stage.bob.uuid not in repr(after["users"]):
                assert number > 8, "what fails after the act is the removal of telemetry, which is done again"
                break
            assert after == before
    assert stage.bob.uuid not in repr((await snapshot(database))["users"])
