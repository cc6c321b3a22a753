"""Named tokens over HTTP: made, told once, listed, limited to their scope, revoked."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from pepeunit_gateway.access.agents import Scope
from pepeunit_gateway.access.tokens import named_token
from pepeunit_gateway.errors import UnauthorizedError
from tests.support.gateway import PASSWORD
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


async def program(owner, name, scope, **more):
    """A new named token, and the API as a program with it."""
    made = await owner.made("/tokens", {"name": name, "scope": scope, **more})
    return made, owner.with_token(made["token"])


async def test_a_token_is_told_once_and_listed_without_its_text(here):
    user = await here.gateway.user("lister")
    first, _ = await program(user, "first", "Read")
    second, _ = await program(user, "second", "Write", expiration_datetime="2999-01-01T00:00:00Z")
    assert set(first) == {"uuid", "name", "scope", "create_datetime", "expiration_datetime", "token"}
    reply = await user.get("/tokens")
    expected = [{key: value for key, value in made.items() if key != "token"} for made in (second, first)]
    assert (reply.status, reply.body) == (200, {"count": 2, "tokens": expected})
    assert (first["expiration_datetime"], second["expiration_datetime"]) == (None, "2999-01-01T00:00:00Z")
    assert (await user.get("/tokens", {"limit": 1, "offset": 1})).body == {"count": 2, "tokens": expected[1:]}


async def test_a_deleted_token_is_refused_at_once_and_its_name_is_free(here):
    user = await here.gateway.user("deleter")
    made, used = await program(user, "display", "Read")
    assert (await used.get("/units")).status == 200
    assert (await user.delete(f"/tokens/{made['uuid']}")).status == 204
    reply = await used.get("/units")
    assert (reply.status, reply.detail) == (401, "401: 1: No Access: Token was revoked")
    assert (await user.delete(f"/tokens/{made['uuid']}")).status == 404
    assert (await user.get("/tokens")).body["count"] == 0
    await program(user, "display", "Read")


async def test_nobody_reaches_the_tokens_of_another(here):
    made, used = await program(here.alice, "private", "Read")
    assert (await here.bob.delete(f"/tokens/{made['uuid']}")).status == 404
    assert (await here.admin.delete(f"/tokens/{made['uuid']}")).status == 404
    listed = (await here.admin.get("/tokens")).body["tokens"]
    assert made["uuid"] not in [token["uuid"] for token in listed]
    assert (await used.get("/units")).status == 200
    unit = await make_unit(here.alice, here.repo["uuid"], "no-user")
    for caller, status in ((here.nobody, 401), (await here.gateway.unit(here.alice, unit["uuid"]), 403)):
        assert (await caller.get("/tokens")).status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "abc", "scope": "Read"}, 422),
        ({"name": "x" * 21, "scope": "Read"}, 422),
        ({"name": "with space", "scope": "Read"}, 422),
        ({"name": "good", "scope": "Admin"}, 422),
        ({"name": "good"}, 422),
        ({"name": "good", "scope": "Read", "expiration_datetime": "2020-01-01T00:00:00Z"}, 422),
        ({"name": "good", "scope": "Read", "expiration_datetime": "soon"}, 422),
        ({"name": "good-name", "scope": "Read", "expiration_datetime": None}, 201),
    ],
)
async def test_what_a_token_may_be_called_and_how_long_it_may_last(here, body, status):
    assert (await here.bob.post("/tokens", body)).status == status


async def test_a_name_is_taken_once_whatever_the_scope(here):
    await program(here.bob, "taken", "Read")
    reply = await here.bob.post("/tokens", {"name": "taken", "scope": "Write"})
    assert (reply.status, reply.detail) == (409, "409: 3: User Validation Error: you have a token named taken already")


async def test_two_users_have_tokens_of_the_same_name(here):
    for user in (here.alice, here.bob):
        await program(user, "same", "Read")


async def test_w31_of_ten_equal_tokens_at_once_one_is_made(here):
    body = {"name": "raced", "scope": "Read"}
    replies = await asyncio.gather(*(here.alice.post("/tokens", body) for _ in range(10)))
    assert sorted(reply.status for reply in replies) == [201, *[409] * 9]


async def test_a_user_has_a_hundred_tokens_at_the_most(here):
    user = await here.gateway.user("hoarder")
    for number in range(100):
        await program(user, f"token-{number}", "Read")
    reply = await user.post("/tokens", {"name": "one-more", "scope": "Read"})
    assert (reply.status, reply.detail) == (422, "422: 3: User Validation Error: you have 100 tokens; delete one first")


async def test_a_token_that_is_over_is_refused_not_listed_and_its_name_is_free(here, monkeypatch):
    user = await here.gateway.user("shortly")
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    _, used = await program(user, "short", "Read", expiration_datetime=soon)
    assert (await used.get("/units")).status == 200
    context = here.gateway.registry.context
    later = context.clock() + timedelta(hours=2)
    for service in (here.gateway.registry.agents, here.gateway.registry.tokens):
        monkeypatch.setattr(service, "_context", replace(context, clock=lambda: later))
    reply = await used.get("/units")
    assert (reply.status, reply.detail) == (401, "401: 1: No Access: Token expired")
    assert (await user.get("/tokens")).body["count"] == 0
    await program(user, "short", "Read")


READS = ["/units", "/users", "/repos", "/unit_nodes", "/repository_registry", "/unit_nodes/edges", "/permission"]


@pytest.mark.parametrize("scope", ["Read", "Write"])
@pytest.mark.parametrize("path", READS)
async def test_every_named_token_reads_what_its_user_may(here, scope, path):
    made, used = await program(here.alice, f"reader-{scope}", scope)
    try:
        by_program, by_user = await used.get(path), await here.alice.get(path)
        assert (by_program.status, by_program.body) == (200, by_user.body)
    finally:
        assert (await here.alice.delete(f"/tokens/{made['uuid']}")).status == 204


async def test_read_changes_nothing_and_gives_no_secrets_and_write_does_both(here):
    unit = (await make_unit(here.alice, here.repo["uuid"], "scoped"))["uuid"]
    _, reader = await program(here.alice, "only-reads", "Read")
    _, writer = await program(here.alice, "writes", "Write")
    secrets = [
        f"/units/env/{unit}",
        f"/units/get_state_storage/{unit}",
        *(f"/units/firmware/{kind}/{unit}" for kind in ("zip", "tar", "tgz")),
    ]
    for path in secrets:
        assert ((await reader.get(path)).status, (await writer.get(path)).status) == (403, 200), path
    assert (await reader.head(secrets[0])).status == 403
    assert (await reader.get(f"/repository_registry/get_credentials/{here.registry['uuid']}")).status == 403
    change = {"name": "scoped-2"}
    assert (await reader.patch(f"/units/{unit}", change)).status == 403
    assert (await reader.delete(f"/units/{unit}")).status == 403
    assert (await writer.patch(f"/units/{unit}", change)).status == 200
    assert (await reader.get(f"/units/{unit}")).body["name"] == "scoped-2"
    for path in (f"/units/get_target_version/{unit}", f"/units/get_current_schema/{unit}"):
        assert (await reader.get(path)).status == 200


async def test_neither_scope_manages_users_passwords_and_tokens_an_admins_neither(here):
    other = await here.gateway.user("bystander")
    for owner, prefix in ((here.alice, "user"), (here.admin, "admin")):
        for scope in ("Read", "Write"):
            made, used = await program(owner, f"{prefix}-{scope}", scope)
            refused = [
                await used.post("/tokens", {"name": "another", "scope": "Write"}),
                await used.get("/tokens"),
                await used.delete(f"/tokens/{made['uuid']}"),
                await used.patch(f"/users/{owner.uuid}", {"password": "battery-staple-7"}),
                await used.delete(f"/users/{owner.uuid}"),
                await used.delete(f"/users/{other.uuid}"),
                await used.post("/users", {"login": "smuggled", "password": PASSWORD}),
                await used.patch(f"/users/block/{other.uuid}"),
                await used.patch(f"/users/unblock/{other.uuid}"),
            ]
            assert {reply.status for reply in refused} == {403}, [reply.body for reply in refused]
            assert {reply.detail.rpartition(": ")[2] for reply in refused} == {
                "a named token cannot manage users, passwords and tokens; log in"
            }


async def test_an_admins_token_keeps_the_admins_power_within_its_scope(here):
    _, reader = await program(here.admin, "audits", "Read")
    _, users_own = await program(here.alice, "no-audits", "Write")
    assert (await reader.get("/audit")).status == 200
    assert (await users_own.get("/audit")).status == 403


@pytest.mark.parametrize("change", ["password", "block"])
async def test_a_new_password_and_a_block_end_named_tokens_for_good(here, change):
    user = await here.gateway.user(f"ends-{change}")
    _, used = await program(user, "program", "Write")
    assert (await used.get("/users")).status == 200
    if change == "password":
        assert (await user.patch(f"/users/{user.uuid}", {"password": PASSWORD})).status == 200
    else:
        assert (await here.admin.patch(f"/users/block/{user.uuid}")).status == 204
        assert (await used.get("/users")).status == 401
        assert (await here.admin.patch(f"/users/unblock/{user.uuid}")).status == 204
    reply = await used.get("/users")
    assert (reply.status, reply.detail) == (401, "401: 1: No Access: Token was revoked")
    again = await here.gateway.login(f"ends-{change}", user.uuid)
    assert (await again.get("/tokens")).body["count"] == 0


async def test_a_token_is_not_made_by_a_caller_whose_own_tokens_have_just_ended(here):
    """Whoever is in the middle of a request when they are blocked keeps nothing."""
    user = await here.gateway.user("quick-one")
    registry = here.gateway.registry
    agent = await registry.agents.identify(user.token)
    assert (await here.admin.patch(f"/users/block/{user.uuid}")).status == 204
    assert (await here.admin.patch(f"/users/unblock/{user.uuid}")).status == 204
    with pytest.raises(UnauthorizedError, match="Token was revoked"):
        await registry.tokens.create(agent, "kept", Scope.READ, None)


async def test_a_token_of_another_user_with_the_same_uuid_in_it_is_refused(here):
    """The claims of a named token name both, and both must be right."""
    made, _ = await program(here.alice, "mixed", "Write")
    secret = here.gateway.registry.context.secret
    forged = named_token(UUID(here.bob.uuid), UUID(made["uuid"]), secret=secret, expiry=None)
    unknown = named_token(UUID(here.bob.uuid), UUID(MISSING), secret=secret, expiry=None)
    for text in (forged, unknown):
        assert (await here.nobody.with_token(text).get("/users")).status == 401
