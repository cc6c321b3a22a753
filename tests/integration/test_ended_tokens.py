"""A token that ends while a request with it waits: for its body, for a hash, for git, for another writer.

Whoever stole a token could keep requests waiting like that. What ends the token ends them too: at every route that
writes, nothing is written any more (decisions.md 3).
"""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from sqlalchemy import update

from pepeunit_gateway.access.agents import AgentType
from pepeunit_gateway.access.tokens import user_token
from pepeunit_gateway.api.server import TABLES
from pepeunit_gateway.storage.own_tables import named_tokens
from pepeunit_gateway.storage.tables import units, users
from tests.support.access.entities import ENTITIES
from tests.support.access.stage import open_stage
from tests.support.access.table import Call
from tests.support.gateway import PASSWORD
from tests.support.statements import snapshot

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

_STARTS_WHAT_THE_GATEWAY_DOES_ANYWAY = {
    "PATCH /repos/update_units_firmware/{uuid}",
    "POST /jobs/{name}/run",
    "POST /repos/bulk_update",
    "POST /units/send_command_to_input_base_topic/{uuid}",
}
_LOOKS_AT_NO_TOKEN = {"POST /webhooks/{uuid}"}
_HOLDERS = ("creator", "Admin", "Unit itself")
_READING = {
    f"{endpoint.route.method} {endpoint.route.path}"
    for table in TABLES
    for endpoint in table.endpoints
    if endpoint.route.reading
}
_CASES = [
    (entity, row, name)
    for entity in ENTITIES
    for row in entity.rows
    for name in _HOLDERS
    if entity.prefixed and row.method not in ("GET", "ANY") and row.ok != "list"
    if f"{row.method} {row.path}" not in _READING | _STARTS_WHAT_THE_GATEWAY_DOES_ANYWAY | _LOOKS_AT_NO_TOKEN
    if "+" in row.cells[name]
]
REVOKED = "401: 1: No Access: Token was revoked"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    async with open_stage(tmp_path_factory.mktemp("stage")) as made:
        yield made


@asynccontextmanager
async def ending(stage, monkeypatch):
    """End the token of whoever asks, right after the request was let in; in the end it is valid again."""
    agents, database, ended = stage.registry.agents, stage.registry.context.database, []
    identify = agents.identify

    async def generation(agent, value):
        table = units if agent.type is AgentType.UNIT else users
        async with database.write() as connection:
            await connection.execute(update(table).where(table.c.uuid == agent.uuid).values(token_generation=value))

    async def identify_and_end(token):
        agent = await identify(token)
        await generation(agent, agent.generation + 1)
        ended.append(agent)
        return agent

    monkeypatch.setattr(agents, "identify", identify_and_end)
    try:
        yield ended
    finally:
        monkeypatch.undo()
        for agent in ended:
            await generation(agent, agent.generation)


@pytest.mark.parametrize(
    ("entity", "row", "name"), _CASES, ids=[f"{row.key} {name.replace(' ', '-')}" for _, row, name in _CASES]
)
async def test_whatever_a_request_waits_for_it_writes_nothing_once_its_token_has_ended(
    stage, monkeypatch, entity, row, name
):
    subject = await stage.subject(entity.kind, entity.levels[row.cells[name].rindex("+")])
    caller = stage.caller(name, subject)
    call = entity.requests[row.key](subject, caller)
    before = await snapshot(stage.registry.context.database)
    async with ending(stage, monkeypatch) as ended:
        status, text = await stage.ask(caller, row.method, call, prefixed=True)
    assert (status, REVOKED in text, len(ended)) == (401, True, 1), text
    assert await snapshot(stage.registry.context.database) == before


async def test_every_route_that_writes_is_tried():
    tried = {f"{row.method} {row.path}" for _, row, _ in _CASES}
    writes = {
        f"{endpoint.route.method} {endpoint.route.path}"
        for table in TABLES
        for endpoint in table.endpoints
        if not endpoint.route.reading
    }
    no_token = {"POST /users/auth", "POST /units/auth"} | _LOOKS_AT_NO_TOKEN
    for_nobody = {"PATCH /repository_registry/backend_sync_registry"}
    assert writes - tried == _STARTS_WHAT_THE_GATEWAY_DOES_ANYWAY | no_token | for_nobody


@pytest_asyncio.fixture(loop_scope="module")
async def alice(stage):
    """A user with a password, and a token of theirs that somebody else has too."""
    user = await stage.registry.users.register(stage.people["Admin"], f"alice-{uuid4().hex[:8]}", PASSWORD)
    context = stage.registry.context
    token = user_token(user.uuid, secret=context.secret, generation=0, now=context.clock(), lifetime=timedelta(hours=1))
    api = stage.gateway.nobody.with_token(token)
    api.uuid, api.login = str(user.uuid), user.login
    return api


async def _logs_in(stage, login, password):
    return (await stage.gateway.nobody.post("/users/auth", {"credentials": login, "password": password})).status == 200


async def test_a_thief_whose_new_password_waits_to_be_hashed_does_not_undo_the_owners(stage, alice, monkeypatch):
    hashing, started, gate = stage.registry.users._hashing, asyncio.Event(), asyncio.Event()
    real = hashing.hash_now

    async def slow(password):
        if password == "thiefs-password-1":
            started.set()
            await gate.wait()
        return await real(password)

    monkeypatch.setattr(hashing, "hash_now", slow)
    path = f"/users/{alice.uuid}"
    theft = asyncio.create_task(alice.patch(path, {"password": "thiefs-password-1", "login": "thiefs-login"}))
    async with asyncio.timeout(10):
        await started.wait()
    assert (await alice.patch(path, {"password": "owners-password-2"})).status == 200
    gate.set()
    refused = await theft
    assert (refused.status, refused.detail) == (401, REVOKED)
    assert [await _logs_in(stage, alice.login, f"{whose}") for whose in ("owners-password-2", "thiefs-password-1")] == [
        True,
        False,
    ]


async def test_an_admin_who_is_blocked_while_a_password_is_hashed_makes_no_user(stage, monkeypatch):
    registry = stage.registry
    admin = await registry.users.create_admin(f"admin-{uuid4().hex[:8]}", PASSWORD)
    context = registry.context
    token = user_token(
        admin.uuid, secret=context.secret, generation=0, now=context.clock(), lifetime=timedelta(hours=1)
    )
    real, login = registry.users._hashing.hash_now, f"spare-{uuid4().hex[:8]}"

    async def hash_now(password):
        monkeypatch.undo()
        await registry.users.block(stage.people["Admin"], admin.uuid)
        return await real(password)

    monkeypatch.setattr(registry.users._hashing, "hash_now", hash_now)
    reply = await stage.gateway.nobody.with_token(token).post("/users", {"login": login, "password": PASSWORD})
    assert (reply.status, reply.detail) == (401, REVOKED)
    assert not await _logs_in(stage, login, PASSWORD)


async def test_a_program_whose_token_is_deleted_while_its_request_waits_makes_no_unit(stage, alice, monkeypatch):
    made = await alice.made("/tokens", {"name": "program", "scope": "Write"})
    agents, database = stage.registry.agents, stage.registry.context.database
    identify = agents.identify

    async def identify_and_end(token):
        agent = await identify(token)
        async with database.write() as connection:
            await connection.execute(named_tokens.delete().where(named_tokens.c.uuid == UUID(made["uuid"])))
        return agent

    monkeypatch.setattr(agents, "identify", identify_and_end)
    body = {
        "repo_uuid": stage.public.repo, "visibility_level": "Public", "name": "of-a-program",
        "is_auto_update_from_repo_unit": True,
    }  # fmt: skip
    reply = await alice.with_token(made["token"]).post("/units", body)
    assert (reply.status, reply.detail) == (401, REVOKED)


async def test_a_value_that_waits_for_the_ones_before_it_is_not_published_once_its_token_has_ended(stage, monkeypatch):
    """The broker may take seconds for each."""
    subject, nodes = await stage.subject("entities", "Public"), stage.registry.nodes
    creator, published, started, gate = stage.people["creator"], [], asyncio.Event(), asyncio.Event()

    async def publish(_topic, payload):
        published.append(payload)
        started.set()
        await gate.wait()

    monkeypatch.setattr(nodes, "_publish", publish)
    first = asyncio.create_task(nodes.set_state_input(creator, UUID(subject.input), "first"))
    async with asyncio.timeout(10):
        await started.wait()
    async with ending(stage, monkeypatch):
        caller = stage.caller("creator", subject)
        call = Call(f"/unit_nodes/set_state_input/{subject.input}", {"state": "second"})
        gate.set()
        assert (await stage.ask(caller, "PATCH", call, prefixed=True))[0] == 401
    await first
    assert published == [b"first"]
