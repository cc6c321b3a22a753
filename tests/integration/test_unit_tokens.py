"""Tokens of units end: at REST and at the broker, at once (W4, W5); and keys that sign them are replaced."""

import asyncio
import base64
import json

import pytest
from pydantic import SecretStr

from tests.support.field_unit import FieldUnit, open_client
from tests.support.gateway import GatewayUnderTest
from tests.support.mqtt import CONNACK, connect_packet
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit

BOTH_DATABASES = True

ACCEPTED, REFUSED = b"\x00\x00", b"\x00\x04"


@pytest.fixture
async def stage(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        yield stage


async def connect(gateway, unit, token):
    """The broker's answer to a unit with this token."""
    client = await open_client(gateway)
    await client.send(connect_packet(unit, token))
    return (await client.expect(CONNACK)).body


async def token_of(owner, unit):
    return (await owner.get(f"/units/env/{unit}")).body["PU_AUTH_TOKEN"]


@pytest.mark.parametrize("way", ["reissue", "revoke by creator", "revoke by Admin"])
async def test_w4_w5_an_ended_token_is_refused_at_once_and_its_session_ends(stage, way):
    uuid = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    other = (await make_unit(stage.alice, stage.repo["uuid"], "unit-2"))["uuid"]
    unit = await FieldUnit.connect(stage.gateway, stage.alice, uuid)
    beside = await FieldUnit.connect(stage.gateway, stage.alice, other)
    old = unit.env["PU_AUTH_TOKEN"]
    assert "gen" not in json.loads(base64.urlsafe_b64decode(old.split(".")[1] + "=="))
    caller = stage.admin if way == "revoke by Admin" else stage.alice
    reply = await caller.post(f"/units/{'reissue' if way == 'reissue' else 'revoke'}_token/{uuid}")
    assert (reply.status, set(reply.body or {})) == ((200, {"token"}) if way == "reissue" else (204, set()))
    refused = await unit.api.get(f"/units/{uuid}")
    assert (refused.status, refused.detail) == (401, "401: 1: No Access: Token was revoked")
    await unit.client.expect_end()
    assert await connect(stage.gateway, uuid, old) == REFUSED
    new = await token_of(stage.alice, uuid)
    assert new != old
    assert way != "reissue" or new == reply.body["token"]
    assert await connect(stage.gateway, uuid, new) == ACCEPTED
    assert (await stage.nobody.with_token(new).get(f"/units/env/{uuid}")).body["PU_AUTH_TOKEN"] == new
    assert await beside.hears_nothing(), "another unit's session goes on"


async def test_only_the_creator_reissues_and_besides_them_only_an_admin_revokes(stage):
    uuid = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    unit = await stage.gateway.unit(stage.alice, uuid)
    for caller, reissued, revoked in (
        (stage.nobody, 401, 401),
        (stage.bob, 403, 403),
        (unit, 403, 403),
        (stage.admin, 403, 204),
        (stage.alice, 200, 204),
    ):
        assert (await caller.post(f"/units/reissue_token/{uuid}")).status == reissued
        assert (await caller.post(f"/units/revoke_token/{uuid}")).status == revoked
    for path in ("reissue_token", "revoke_token"):
        assert (await stage.alice.post(f"/units/{path}/{MISSING}")).status == 404


async def test_w31_of_tokens_reissued_at_once_only_the_last_is_valid(stage):
    uuid = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    replies = await asyncio.gather(*(stage.alice.post(f"/units/reissue_token/{uuid}") for _ in range(5)))
    tokens = {reply.body["token"] for reply in replies}
    assert len(tokens) == 5
    statuses = [(await stage.nobody.with_token(token).get(f"/units/{uuid}")).status for token in tokens]
    assert sorted(statuses) == [200, 401, 401, 401, 401]


async def test_w5_a_unit_of_a_deleted_user_is_cut_off(stage):
    uuid = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
    unit = await FieldUnit.connect(stage.gateway, stage.alice, uuid)
    assert (await stage.admin.delete(f"/users/{stage.alice.uuid}")).status == 204
    await unit.client.expect_end()
    assert await connect(stage.gateway, uuid, unit.env["PU_AUTH_TOKEN"]) == REFUSED
    assert (await unit.api.get("/units")).status == 401


OLD, NEW = "old-key-of-at-least-32-characters", "new-key-of-at-least-32-characters"


async def test_w4_a_key_is_replaced_with_old_and_new_side_by_side_and_then_the_old_one_ends(tmp_path):
    """Users and units, named tokens, REST and broker; env.json carries the new token as soon as it is read."""
    async with world(tmp_path, repo_poll_interval=3600, secret_key=SecretStr(OLD)) as stage:
        uuid = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
        named = (await stage.alice.made("/tokens", {"name": "program", "scope": "Read"}))["token"]
        old = {"unit": await token_of(stage.alice, uuid), "user": stage.alice.token, "program": named}
        await restarted(stage, tmp_path, uuid, old)


async def restarted(stage, folder, uuid, old):
    ports = {"http_port": stage.gateway.given.http_port, "mqtt_port": stage.gateway.given.mqtt_port}
    kept = dict(ports, repo_poll_interval=3600, secret_key=SecretStr(NEW))
    await stage.gateway.gateway.__aexit__(None, None, None)
    async with GatewayUnderTest(folder / "data", secret_key_previous=SecretStr(OLD), **kept) as gateway:
        for token in old.values():
            assert (await gateway.nobody.with_token(token).get(f"/units/{uuid}")).status == 200
        assert await connect(gateway, uuid, old["unit"]) == ACCEPTED
        new = await token_of(gateway.nobody.with_token(old["unit"]), uuid)
        assert new != old["unit"]
        assert await connect(gateway, uuid, new) == ACCEPTED
        user = await gateway.login("alice", "")
    async with GatewayUnderTest(folder / "data", **kept) as gateway:
        for token in old.values():
            assert (await gateway.nobody.with_token(token).get(f"/units/{uuid}")).status == 401
        assert await connect(gateway, uuid, old["unit"]) == REFUSED
        for token in (new, user.token):
            assert (await gateway.nobody.with_token(token).get(f"/units/{uuid}")).status == 200
        assert await connect(gateway, uuid, new) == ACCEPTED
