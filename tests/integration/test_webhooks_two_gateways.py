"""Webhooks at several gateways: the one that hears of a push fetches, the one on duty commands."""

import json
from uuid import UUID

import pytest
import pytest_asyncio

from tests.support.compiled_program import CompiledProgram, link
from tests.support.field_unit import eventually
from tests.support.redis import RedisServer
from tests.support.two_gateways_inside import two_gateways
from tests.support.webhooks import Webhook

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    with RedisServer(folder / "redis") as redis:
        async with two_gateways(folder, redis) as made:
            yield made


async def follower(pair):
    """A unit at the first gateway that runs its target and hears of updates."""
    unit = await pair.unit_here(f"unit-{len((await pair.one.alice.get('/units')).body['units'])}")
    assert await unit.subscribe(unit.topic("input_base_topic", "update/pepeunit")) == [True]
    commit = pair.one.tree.head()
    await unit.report(commit)

    async def reported():
        return (await pair.one.alice.get(f"/units/{unit.api.uuid}")).body["current_commit_version"]

    await eventually(reported, commit)
    return unit


def push(pair):
    pair.one.tree.write("main.py", f"print('{pair.one.tree.head()}')\n")
    commit = pair.one.tree.commit("next")
    pair.one.tree.push()
    return commit


@pytest.mark.parametrize("hears", ["the one on duty", "the other one"])
async def test_whichever_gateway_is_told_of_a_push_the_unit_gets_one_update(pair, hears):
    hook = await Webhook.make(pair.one.alice, pair.one.registry["uuid"])
    if hears == "the other one":
        hook = Webhook(pair.second.nobody, hook.registry, hook.secret)
    unit, new = await follower(pair), push(pair)
    assert (await hook.github()).status == 202
    assert json.loads((await unit.next_message())[1])["PU_COMMIT_VERSION"] == new
    await both_fetched(pair, new)
    assert await unit.hears_nothing()


async def test_what_the_gateway_that_is_not_on_duty_fetches_over_rest_is_commanded_too(pair):
    unit, new = await follower(pair), push(pair)
    path = f"/repository_registry/update_local_repository/{pair.one.registry['uuid']}"
    assert (await pair.there(pair.one.alice).patch(path)).status == 204
    assert json.loads((await unit.next_message())[1])["PU_COMMIT_VERSION"] == new
    await both_fetched(pair, new)
    assert await unit.hears_nothing()


async def test_a_secret_that_one_gateway_made_or_removed_counts_at_the_other_at_once(pair):
    hook = await Webhook.make(pair.one.alice, pair.one.registry["uuid"])
    there = Webhook(pair.second.nobody, hook.registry, hook.secret)
    assert (await there.gitlab()).status == 202
    await pair.one.alice.delete(f"/repository_registry/webhook/{hook.registry}")
    assert (await there.gitlab()).status == 401


async def both_fetched(pair, commit):
    async def heads():
        uuid = UUID(pair.one.registry["uuid"])
        return [gateway.registry.context.mirrors.head(uuid, "main") for gateway in pair.gateways]

    await eventually(heads, [commit] * 2)


async def test_a_release_that_is_told_to_the_gateway_that_is_not_on_duty_reaches_its_units(pair, tmp_path):
    """No branch and no tag moves with it, so that the one on duty finds nothing new in its own mirror."""
    program = CompiledProgram(pair.one.gateway, pair.one.alice, tmp_path, "Github", "blink")
    try:
        program.release("v1", "pi")
        await program.make_repo()
        unit, commit = await program.connected("unit", "pi"), program.push("v2")
        hook = await Webhook.make(pair.one.alice, program.registry["uuid"])
        await hook.github()
        await program.told(unit.api.uuid, "'v2' is not known")
        program.release("v2", "pi")
        await program.pass_time(2)  # releases are read once a minute
        there = Webhook(pair.second.nobody, hook.registry, hook.secret)
        assert (await there.github(event="release")).status == 202
        command = await program.command(unit)
        assert (command["PU_COMMIT_VERSION"], command["COMPILED_FIRMWARE_LINK"]) == (commit, link("v2", "pi"))
        assert await unit.hears_nothing()
    finally:
        program.server.stop()
