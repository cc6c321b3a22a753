"""The audit trail: what it tells, to whom, for how long; a row is part of the act that it tells of (W28)."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole
from pepeunit_gateway.registry.audit import Action, Audit, Subject, record
from pepeunit_gateway.storage.own_tables import audit
from tests.support.gateway import PASSWORD, GatewayUnderTest
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit
from tests.support.statements import InjectedError, fail_write, snapshot

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


async def events(here, **filters):
    reply = await here.admin.get("/audit", filters)
    assert reply.status == 200, reply.body
    assert set(reply.body) == {"count", "events"}
    return reply.body["events"]


async def told(here, subject):
    """What the trail has about a subject, oldest first."""
    return [
        (event["action"], event["actor_name"], event["subject_name"])
        for event in reversed(await events(here, subject_uuid=subject))
    ]


async def test_the_life_of_a_user_is_told(here):
    user = await here.gateway.user("lively")
    assert (
        await user.patch(f"/users/{user.uuid}", {"login": "livelier", "password": "battery-staple-7"})
    ).status == 200
    wrong = {"credentials": "livelier", "password": PASSWORD}
    assert (await here.nobody.post("/users/auth", wrong)).status == 401
    assert (await here.admin.patch(f"/users/block/{user.uuid}")).status == 204
    assert (await here.admin.patch(f"/users/unblock/{user.uuid}")).status == 204
    right = {"credentials": "livelier", "password": "battery-staple-7"}
    again = here.nobody.with_token((await here.nobody.post("/users/auth", right)).body["token"])
    assert (await again.delete(f"/users/{user.uuid}")).status == 204
    assert await told(here, user.uuid) == [
        ("UserCreated", "root-admin", "lively"),
        ("LoginSucceeded", "lively", "lively"),
        ("LoginChanged", "livelier", "livelier"),
        ("PasswordChanged", "livelier", "livelier"),
        ("LoginFailed", None, "livelier"),
        ("UserBlocked", "root-admin", "livelier"),
        ("UserUnblocked", "root-admin", "livelier"),
        ("LoginSucceeded", "livelier", "livelier"),
        ("UserDeleted", "livelier", "livelier"),
    ]
    assert (await events(here, action="LoginChanged", subject_uuid=user.uuid))[0]["details"] == {"before": "lively"}


async def test_tokens_are_told_without_their_texts(here):
    user = await here.gateway.user("tokened")
    unit = (await make_unit(here.alice, here.repo["uuid"], "tokened"))["uuid"]
    made = await user.made("/tokens", {"name": "display", "scope": "Read"})
    assert (await user.delete(f"/tokens/{made['uuid']}")).status == 204
    new = (await here.alice.post(f"/units/reissue_token/{unit}")).body["token"]
    assert (await here.admin.post(f"/units/revoke_token/{unit}")).status == 204
    assert await told(here, made["uuid"]) == [
        ("TokenCreated", "tokened", "display"),
        ("TokenRevoked", "tokened", "display"),
    ]
    assert await told(here, unit) == [
        ("UnitTokenReissued", "alice", "tokened"),
        ("UnitTokenRevoked", "root-admin", "tokened"),
    ]
    rows = repr((await snapshot(here.gateway.registry.context.database))["audit"])
    for text in (made["token"], new, user.token, PASSWORD):
        assert text not in rows


async def test_grants_are_told(here):
    unit = (await make_unit(here.alice, here.repo["uuid"], "granted"))["uuid"]
    grant = {"agent_uuid": here.bob.uuid, "agent_type": "User", "resource_uuid": unit, "resource_type": "Unit"}
    await here.alice.made("/permission", grant)
    params = {"agent_uuid": here.bob.uuid, "resource_uuid": unit}
    assert (await here.admin.delete("/permission/any", params=params)).status == 204
    assert [(action, actor) for action, actor, _ in await told(here, unit)] == [
        ("PermissionGranted", "alice"),
        ("PermissionRevoked", "root-admin"),
    ]


async def test_an_event_tells_where_it_came_from(here):
    reply = await here.nobody.post("/users/auth", {"credentials": "alice", "password": PASSWORD})
    event = (await events(here, action="LoginSucceeded", actor_uuid=here.alice.uuid, limit=1))[0]
    assert event["request_id"] == reply.headers["X-Request-ID"]
    assert (event["address"], event["actor_type"], event["subject_type"]) == ("127.0.0.1", "User", "User")
    assert event["create_datetime"].endswith("Z")


async def test_an_admin_made_at_the_command_line_was_made_by_the_operator(here):
    made = await here.gateway.registry.users.create_admin("from-shell", PASSWORD)
    event = (await events(here, subject_uuid=str(made.uuid)))[0]
    assert (event["action"], event["actor_type"], event["actor_uuid"]) == ("AdminCreated", "Operator", None)
    assert (event["address"], event["request_id"], event["subject_name"]) == (None, None, "from-shell")


async def test_filters_narrow_and_pages_come_newest_first(here):
    user = await here.gateway.user("filtered")
    for _ in range(3):
        await here.gateway.login("filtered", user.uuid)
    mine = await events(here, actor_uuid=user.uuid)
    assert [event["action"] for event in mine] == ["LoginSucceeded"] * 4
    assert [event["id"] for event in mine] == sorted((event["id"] for event in mine), reverse=True)
    assert await events(here, actor_uuid=user.uuid, offset=1, limit=2) == mine[1:3]
    two = [("action", "UserCreated"), ("action", "LoginSucceeded"), ("subject_uuid", user.uuid)]
    assert (await here.admin.get("/audit", two)).body["count"] == 5
    first, last = mine[-1]["create_datetime"], mine[0]["create_datetime"]
    assert await events(here, actor_uuid=user.uuid, start_create_datetime=first, end_create_datetime=last) == mine
    assert await events(here, actor_uuid=user.uuid, end_create_datetime=first) == mine[-1:]
    assert await events(here, actor_uuid=user.uuid, start_create_datetime=last) == mine[:1]
    assert await events(here, subject_uuid=MISSING) == []
    for wrong in ({"action": "Nonsense"}, {"actor_uuid": "alice"}, {"limit": 501}, {"start_create_datetime": "soon"}):
        assert (await here.admin.get("/audit", wrong)).status == 422


async def test_only_an_admin_reads_the_trail(here):
    unit = (await make_unit(here.alice, here.repo["uuid"], "curious"))["uuid"]
    for caller, status in ((here.nobody, 401), (here.alice, 403), (await here.gateway.unit(here.alice, unit), 403)):
        assert (await caller.get("/audit")).status == status


async def test_w28_what_fails_is_not_told_and_what_is_not_told_does_not_happen(here):
    user = await here.gateway.user("unharmed")
    registry = here.gateway.registry
    admin = Agent(AgentType.USER, UUID(here.admin.uuid), UserRole.ADMIN)
    before = await snapshot(registry.context.database)
    for number in (1, 2, 3, 4, 5):
        with fail_write(registry.context.database, number, after=True) as counter:
            try:
                await registry.users.block(admin, UUID(user.uuid))
            except InjectedError:
                assert await snapshot(registry.context.database) == before
                continue
        assert counter.count >= 4
        break
    assert [action for action, *_ in await told(here, user.uuid)].count("UserBlocked") <= 1


async def test_what_is_older_than_the_setting_goes_and_the_rest_stays(tmp_path):
    async with GatewayUnderTest(tmp_path, audit_expiration=7200) as gateway:
        context = gateway.registry.context
        subject = Subject("User", UUID(MISSING), "somebody")
        for age in (timedelta(hours=3), timedelta(hours=2, seconds=1), timedelta(hours=1)):
            moment = context.clock() - age
            async with replace(context, clock=lambda moment=moment: moment).act() as act:
                await record(act, None, action=Action.USER_BLOCKED, subject=subject)
        assert await Audit(context).expire() <= 2  # the gateway's own job may have come first
        assert await Audit(context).expire() == 0
        async with context.database.read() as connection:
            query = select(func.count()).select_from(audit).where(audit.c.subject_uuid == UUID(MISSING))
            assert (await connection.execute(query)).scalar_one() == 1
