"""POST /units/batch: many units in one act, done once however often it is asked for (decisions.md 12)."""

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from pepeunit_gateway.registry import idempotency
from pepeunit_gateway.registry.idempotency import forget_old_keys
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import nodes_of
from tests.support.statements import snapshot

BOTH_DATABASES = True

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


def _units(here, *names, **more):
    common = {
        "repo_uuid": here.repo["uuid"],
        "visibility_level": "Public",
        "is_auto_update_from_repo_unit": True,
        **more,
    }
    return [{**common, "name": name} for name in names]


async def _post(caller, units, key):
    headers = {} if key is None else {"Idempotency-Key": key}
    return await caller.call("POST", "/units/batch", json={"units": units}, headers=headers)


async def _count(here):
    return (await here.alice.get("/units", {"limit": 1})).body["count"]


async def test_a_batch_makes_every_unit_with_its_nodes_env_and_permissions(here):
    reply = await _post(here.alice, _units(here, "kitchen", "hall.2", "cellar_3"), "first-batch")
    assert reply.status == 201, reply.body
    assert reply.body["count"] == 3
    assert [unit["name"] for unit in reply.body["units"]] == ["kitchen", "hall.2", "cellar_3"]
    for unit in reply.body["units"]:
        assert (await here.alice.get(f"/units/{unit['uuid']}")).body == unit
        assert len(await nodes_of(here.alice, unit["uuid"])) == 4
        own = await here.gateway.unit(here.alice, unit["uuid"])
        assert (await own.get(f"/units/get_current_schema/{unit['uuid']}")).status == 200


async def test_the_same_key_and_body_are_answered_the_same_and_done_once(here):
    body = _units(here, "again-1", "again-2")
    first = await _post(here.alice, body, "again")
    removed = await here.alice.delete(f"/units/{first.body['units'][0]['uuid']}")
    count = await _count(here)
    second = await _post(here.alice, body, "again")
    assert (first.status, removed.status, second.status) == (201, 204, 201)
    assert second.body == first.body
    assert await _count(here) == count


async def test_another_body_under_the_same_key_is_refused_and_anothers_key_is_theirs(here):
    assert (await _post(here.alice, _units(here, "key-1"), "one key")).status == 422  # a space is not visible
    assert (await _post(here.alice, _units(here, "key-1"), "one-key")).status == 201
    other = await _post(here.alice, _units(here, "key-2"), "one-key")
    assert (other.status, other.detail[:8]) == (409, "409: 7: "), other.body
    assert (await _post(here.bob, _units(here, "key-2"), "one-key")).status == 201


async def test_of_many_at_once_with_one_key_one_is_done_and_all_are_answered_alike(here):
    before = await _count(here)
    replies = await asyncio.gather(*(_post(here.alice, _units(here, "race-1", "race-2"), "race") for _ in range(6)))
    assert [reply.status for reply in replies] == [201] * 6
    assert all(reply.body == replies[0].body for reply in replies)
    assert await _count(here) == before + 2


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"name": "kitchen-of-another-house-altogether"}, 422, 7),
        ({"name": "good-1"}, 409, 7),  # as the first of this batch
        ({"repo_uuid": MISSING}, 404, 2),
        ({"is_auto_update_from_repo_unit": False}, 422, 7),
        ({"is_auto_update_from_repo_unit": False, "repo_branch": "main", "repo_commit": "0" * 40}, 422, 5),
        ({"target_firmware_platform": "esp32"}, 422, 7),
    ],
)
async def test_one_bad_unit_is_named_and_nothing_is_made(here, wrong, status, code):
    """W28."""
    database = here.gateway.registry.context.database
    before = await snapshot(database)
    units = _units(here, "good-1", "good-2", "good-3")
    units[1] |= wrong
    reply = await _post(here.alice, units, "bad-batch")
    assert (reply.status, reply.detail.split(":")[1]) == (status, f" {code}"), reply.body
    assert "units[1]: " in reply.detail
    assert await snapshot(database) == before


async def test_a_batch_of_a_private_repo_is_for_those_who_see_it(here):
    """W7."""
    changed = {"visibility_level": "Private"}
    private = await here.alice.made(
        "/repos",
        {
            "repository_registry_uuid": here.registry["uuid"],
            "default_branch": "main",
            "name": "closed-repo",
            "is_compilable_repo": False,
            "is_only_tag_update": False,
            **changed,
        },
    )
    units = _units(here, "closed-1", "closed-2", repo_uuid=private["uuid"], **changed)
    assert (await _post(here.bob, units, "closed")).status == 403
    assert (await _post(await here.gateway.admin(), units, "closed")).status == 403
    assert (await _post(here.alice, units, "closed")).status == 201


async def test_a_batch_needs_a_key_a_token_and_one_to_a_hundred_units(here):
    good = _units(here, "sized")
    for key in (None, "", "x" * 256, "tab\there", "ключ"):
        reply = await _post(here.alice, good, key)
        assert (reply.status, "Idempotency-Key" in reply.detail) == (422, True), key
    assert (await _post(here.nobody, good, "k")).status == 401
    assert (await _post(here.alice, [], "k")).status == 422
    assert (await _post(here.alice, _units(here, *(f"unit-{n}" for n in range(101))), "k")).status == 422
    reply = await _post(here.alice, _units(here, *(f"unit-{n}" for n in range(100))), "k" * 255)
    assert (reply.status, reply.body["count"]) == (201, 100)


async def test_a_key_is_forgotten_after_a_day(here, monkeypatch):
    body, registry = _units(here, "daily-1"), here.gateway.registry
    assert (await _post(here.alice, body, "daily")).status == 201
    await forget_old_keys(registry.context)
    assert (await _post(here.alice, body, "daily")).status == 201, "it is younger than a day"
    monkeypatch.setattr(idempotency, "KEY_LIFETIME", timedelta(0))
    assert (await _post(here.alice, body, "daily")).status == 409, "it counts no more, and the name is taken"
    assert (await _post(here.alice, _units(here, "daily-2"), "daily")).status == 201, "it may be used again"
    await forget_old_keys(registry.context)
    assert (await snapshot(registry.context.database))["idempotency_keys"] == []
