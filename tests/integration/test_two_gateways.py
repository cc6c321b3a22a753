"""Two gateway processes on one PostgreSQL and one Redis: what one does counts at the other within a second (W5)."""

import asyncio
import json

import pytest
import pytest_asyncio

from tests.support.field_unit import FieldUnit, eventually, open_client
from tests.support.gateway import PASSWORD
from tests.support.mqtt import CONNACK, connect_packet
from tests.support.polling import until
from tests.support.redis import RedisServer
from tests.support.sample_program import nodes_of
from tests.support.two_gateways import two_gateways

pytestmark = pytest.mark.asyncio(loop_scope="module")

A_SECOND = 1.0
OTHER_PASSWORD = "another-pass-1"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    with RedisServer(folder / "redis") as redis:
        async with two_gateways(folder, redis) as made:
            yield made


@pytest_asyncio.fixture(loop_scope="module")
async def mortal(tmp_path):
    """A pair of which one may be killed."""
    with RedisServer(tmp_path / "redis") as redis:
        async with two_gateways(tmp_path, redis, PU_REPO_POLL_INTERVAL="1") as made:
            yield made


async def output_of(pair, unit):
    return (await nodes_of(pair.alice, unit.api.uuid))["temperature/pepeunit"]["uuid"]


async def grant(pair, holder, node):
    """Let a unit receive an Output; return how to revoke it."""
    body = {"agent_uuid": holder.api.uuid, "agent_type": "Unit", "resource_uuid": node, "resource_type": "UnitNode"}
    await pair.alice.made("/permission", body)

    async def revoke():
        params = {"agent_uuid": holder.api.uuid, "resource_uuid": node}
        assert (await pair.alice.delete("/permission/x", params=params)).status == 204

    return revoke


async def link(pair, source, target):
    """Link an Output with an Input; return how to end it."""
    end = (await nodes_of(pair.alice, target.api.uuid))["set_fan/pepeunit"]["uuid"]
    body = {"node_output_uuid": await output_of(pair, source), "node_input_uuid": end}
    edge = (await pair.alice.made("/unit_nodes/create_unit_node_edge", body))["uuid"]

    async def unlink():
        assert (await pair.alice.delete(f"/unit_nodes/edges/{edge}")).status == 204

    return unlink


async def ends(unit):
    async with asyncio.timeout(A_SECOND):
        await unit.client.expect_end()


async def hears(unit, topic):
    async def heard():
        return await unit.subscribe(topic)

    await eventually(heard, [True], limit=A_SECOND)


async def updates(unit):
    """Let a unit hear its updates."""
    assert await unit.subscribe(unit.topic("input_base_topic", "update/pepeunit")) == [True]


async def report(pair, unit):
    """Let a unit say that it runs what is in its env.json, and wait until that is stored."""
    old = unit.env["PU_COMMIT_VERSION"]
    await unit.report(old)

    async def reported():
        return (await pair.alice.get(f"/units/{unit.api.uuid}")).body["current_commit_version"]

    await eventually(reported, old)


async def statuses(callers):
    """What each may do at the moment."""
    return [(await api.get("/units")).status for api in callers]


async def test_w5_a_permission_counts_and_ends_at_the_other_gateway(pair):
    source, holder = await pair.unit_there(), await pair.unit_there()
    topic = source.topic("output_topic", "temperature/pepeunit")
    assert await holder.subscribe(topic) == [False]
    revoke = await grant(pair, holder, await output_of(pair, source))
    await hears(holder, topic)
    await source.publish(topic, b"21.5")
    assert await holder.next_message() == (topic, b"21.5")
    await revoke()
    await ends(holder)


async def test_w5_a_deleted_edge_ends_at_the_other_gateway_what_it_allowed(pair):
    source, target = await pair.unit_there(), await pair.unit_there()
    topic = source.topic("output_topic", "temperature/pepeunit")
    unlink = await link(pair, source, target)
    await hears(target, topic)
    await unlink()
    await ends(target)


async def test_w5_a_deleted_unit_is_refused_by_the_other_gateway(pair):
    unit = await pair.unit_there()
    assert (await pair.alice.delete(f"/units/{unit.api.uuid}")).status == 204
    await ends(unit)
    assert (await unit.api.get(f"/units/env/{unit.api.uuid}")).status == 401
    client = await open_client(pair.second)
    await client.send(connect_packet(unit.api.uuid, unit.env["PU_AUTH_TOKEN"]))
    assert (await client.expect(CONNACK)).body[1] != 0


async def test_w5_a_reissued_token_ends_the_old_one_at_the_other_gateway(pair):
    unit = await pair.unit_there()
    assert (await pair.alice.post(f"/units/reissue_token/{unit.api.uuid}")).status == 200
    await ends(unit)
    assert (await unit.api.get(f"/units/env/{unit.api.uuid}")).status == 401
    again = await FieldUnit.connect(pair.second, pair.there(pair.alice), unit.api.uuid)
    await again.publish(again.topic("output_topic", "temperature/pepeunit"), b"1")


async def test_w5_a_blocked_user_is_refused_by_the_other_gateway(pair):
    login, bob = await pair.user()
    made = await bob.made("/tokens", {"name": "program", "scope": "Read"})
    tokens = [pair.there(bob), pair.there(bob.with_token(made["token"]))]
    assert await statuses(tokens) == [200, 200]
    assert (await pair.admin.patch(f"/users/block/{bob.uuid}")).status == 204
    await eventually(lambda: statuses(tokens), [401, 401], limit=A_SECOND)
    reply = await pair.second.nobody.post("/users/auth", {"credentials": login, "password": PASSWORD})
    assert reply.status == 401


async def test_w5_a_new_password_ends_at_the_other_gateway_what_came_with_the_old_one(pair):
    login, bob = await pair.user()
    program = (await bob.made("/tokens", {"name": "program", "scope": "Write"}))["token"]
    elsewhere = await pair.second.login(login, bob.uuid)
    tokens = [pair.there(bob), elsewhere, pair.there(bob.with_token(program))]
    assert await statuses(tokens) == [200, 200, 200]
    assert (await bob.patch(f"/users/{bob.uuid}", {"password": OTHER_PASSWORD})).status == 200
    await eventually(lambda: statuses(tokens), [401, 401, 401], limit=A_SECOND)
    assert await statuses([await pair.second.login(login, bob.uuid, OTHER_PASSWORD)]) == [200]


async def test_w4_a_revoked_named_token_is_refused_by_the_other_gateway(pair):
    made = await pair.alice.made("/tokens", {"name": "program", "scope": "Read"})
    there = [pair.there(api) for api in (pair.alice, pair.alice.with_token(made["token"]))]
    assert await statuses(there) == [200, 200]
    assert (await pair.alice.delete(f"/tokens/{made['uuid']}")).status == 204
    await eventually(lambda: statuses(there), [200, 401], limit=A_SECOND)


async def test_w5_what_is_revoked_while_redis_is_away_ends_when_it_is_back(pair):
    source, holder, gone = [await pair.unit_there() for _ in range(3)]
    topic = source.topic("output_topic", "temperature/pepeunit")
    revoke = await grant(pair, holder, await output_of(pair, source))
    await hears(holder, topic)
    fence = (await pair.on_duty()).fence()
    pair.redis.kill()
    await revoke()
    assert (await pair.alice.delete(f"/units/{gone.api.uuid}")).status == 204
    assert (await gone.api.get(f"/units/env/{gone.api.uuid}")).status == 401  # REST asks the database
    for gateway in pair.gateways:
        await until(gateway.redis, lambda found: found == "away")
    assert (await pair.there(pair.alice).get("/units")).status == 200
    pair.redis.start()
    async with asyncio.timeout(10):
        await holder.client.expect_end()
        await gone.client.expect_end()
    await source.publish(topic, b"1")
    for gateway in pair.gateways:
        await until(gateway.redis, lambda found: found == "connected")
    await pair.on_duty(after=fence)


async def test_a_command_goes_out_where_its_unit_is_connected(pair):
    here, there = await pair.unit_here(), await pair.unit_there()
    for unit in (here, there):
        assert await unit.subscribe(unit.topic("input_base_topic", "schema_update/pepeunit")) == [True]
    for source, target in ((here, there), (there, here)):
        await link(pair, source, target)
        assert (await target.next_message())[0] == target.topic("input_base_topic", "schema_update/pepeunit")

    async def waiting():
        rows = await pair.query("SELECT unit_uuid FROM outbox WHERE sent_datetime IS NULL")
        return [unit.api.uuid for unit in (here, there) if unit.api.uuid in rows]

    await eventually(waiting, [])


async def push(pair, text):
    """Push a new commit and return it."""
    pair.tree.write("main.py", f"print('{text}')\n")
    commit = pair.tree.commit(text)
    pair.tree.push()
    return commit


async def commanded(unit):
    """The commit of the next command to update."""
    topic, payload = await unit.next_message()
    assert topic == unit.topic("input_base_topic", "update/pepeunit")
    return json.loads(payload)["PU_COMMIT_VERSION"]


async def target(api, unit):
    return (await api.get(f"/units/get_target_version/{unit.api.uuid}")).body["commit"]


async def test_w57_a_push_is_fetched_by_both_and_commanded_once(pair):
    units = [await pair.unit_here(), await pair.unit_there()]
    for unit in units:
        await updates(unit)
        await report(pair, unit)
    new = await push(pair, "second")
    # the one that is asked tells the other, which is on duty and commands
    asked = pair.at(pair.other(await pair.on_duty()), pair.alice)
    assert (await asked.patch(f"/repository_registry/update_local_repository/{pair.registry}")).status == 204
    for unit in units:
        assert await commanded(unit) == new
    for gateway in pair.gateways:
        api = pair.at(gateway, pair.alice)
        await until(lambda api=api: target(api, units[0]), lambda commit: commit == new)
    for unit in units:
        assert await unit.hears_nothing()


async def test_w44_the_other_gateway_takes_over_from_one_that_is_killed_on_duty(mortal):
    """Only the one on duty commands units to a new version."""
    first = await mortal.on_duty()
    other = mortal.other(first)
    assert other.fence() == 0
    unit = await mortal.unit_at(other)
    await updates(unit)
    await report(mortal, unit)
    first.kill()
    new = await push(mortal, "second")
    assert await mortal.on_duty(after=first.fence()) is other
    assert await commanded(unit) == new
    assert await statuses([mortal.at(other, mortal.alice)]) == [200]
