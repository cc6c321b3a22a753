"""Two gateways on one PostgreSQL and one Redis: what one does counts at the other within a second (W5)."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole
from pepeunit_gateway.app import open_registry
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.repository_poll import RepositoryPoll
from pepeunit_gateway.registry.outbox import Outbox
from pepeunit_gateway.registry.syncing import sync_repository
from tests.support.field_unit import FieldUnit, eventually, open_client
from tests.support.mqtt import CONNACK, connect_packet
from tests.support.polling import until
from tests.support.redis import RedisServer
from tests.support.sample_program import nodes_of
from tests.support.two_gateways import two_gateways

A_SECOND = 1.0


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def pair(tmp_path, redis):
    async with two_gateways(tmp_path, redis) as pair:
        yield pair


async def output_of(pair, unit):
    return (await nodes_of(pair.one.alice, unit.api.uuid))["temperature/pepeunit"]["uuid"]


async def grant(pair, holder, node):
    """Let a unit receive an Output; return how to revoke it."""
    body = {"agent_uuid": holder.api.uuid, "agent_type": "Unit", "resource_uuid": node, "resource_type": "UnitNode"}
    await pair.one.alice.made("/permission", body)

    async def revoke():
        params = {"agent_uuid": holder.api.uuid, "resource_uuid": node}
        assert (await pair.one.alice.delete("/permission/x", params=params)).status == 204

    return revoke


async def link(pair, source, target):
    """Link an Output with an Input; return how to end it."""
    end = (await nodes_of(pair.one.alice, target.api.uuid))["set_fan/pepeunit"]["uuid"]
    body = {"node_output_uuid": await output_of(pair, source), "node_input_uuid": end}
    edge = (await pair.one.alice.made("/unit_nodes/create_unit_node_edge", body))["uuid"]

    async def unlink():
        assert (await pair.one.alice.delete(f"/unit_nodes/edges/{edge}")).status == 204

    return unlink


async def ends(unit):
    async with asyncio.timeout(A_SECOND):
        await unit.client.expect_end()


async def hears(unit, topic):
    async def heard():
        return await unit.subscribe(topic)

    await eventually(heard, [True], limit=A_SECOND)


async def test_w5_a_permission_counts_and_ends_at_the_other_gateway(pair):
    source, holder = await pair.unit_there("source"), await pair.unit_there("holder")
    topic = source.topic("output_topic", "temperature/pepeunit")
    assert await holder.subscribe(topic) == [False]
    revoke = await grant(pair, holder, await output_of(pair, source))
    await hears(holder, topic)
    await source.publish(topic, b"21.5")
    assert await holder.next_message() == (topic, b"21.5")
    await revoke()
    await ends(holder)


async def test_w5_a_deleted_edge_ends_at_the_other_gateway_what_it_allowed(pair):
    source, target = await pair.unit_there("source"), await pair.unit_there("target")
    topic = source.topic("output_topic", "temperature/pepeunit")
    unlink = await link(pair, source, target)
    await hears(target, topic)
    await unlink()
    await ends(target)


async def test_w5_a_deleted_unit_is_refused_by_the_other_gateway(pair):
    unit = await pair.unit_there("unit")
    assert (await pair.one.alice.delete(f"/units/{unit.api.uuid}")).status == 204
    await ends(unit)
    assert (await unit.api.get(f"/units/env/{unit.api.uuid}")).status == 401
    client = await open_client(pair.second)
    await client.send(connect_packet(unit.api.uuid, unit.env["PU_AUTH_TOKEN"]))
    assert (await client.expect(CONNACK)).body[1] != 0


async def test_w5_a_reissued_token_ends_the_old_one_at_the_other_gateway(pair):
    unit = await pair.unit_there("unit")
    assert (await pair.one.alice.post(f"/units/reissue_token/{unit.api.uuid}")).status == 200
    await ends(unit)
    assert (await unit.api.get(f"/units/env/{unit.api.uuid}")).status == 401
    again = await FieldUnit.connect(pair.second, pair.there(pair.one.alice), unit.api.uuid)
    await again.publish(again.topic("output_topic", "temperature/pepeunit"), b"1")


async def test_w5_what_the_command_line_does_counts_at_every_gateway(pair):
    units = [await pair.unit_here("here"), await pair.unit_there("there")]
    admin = Agent(AgentType.USER, UUID(pair.one.admin.uuid), UserRole.ADMIN)
    async with open_registry(pair.one.gateway.given) as registry:
        for unit in units:
            await registry.unit_tokens.revoke(admin, UUID(unit.api.uuid))
    for unit in units:
        await ends(unit)


async def test_w4_a_blocked_user_and_a_revoked_token_are_refused_by_the_other_gateway(pair):
    alice, bob, admin = pair.one.alice, pair.one.bob, pair.one.admin
    made = await alice.made("/tokens", {"name": "program", "scope": "Read"})
    there = [pair.there(api) for api in (bob, alice, alice.with_token(made["token"]))]

    async def statuses():
        return [(await api.get("/units")).status for api in there]

    assert await statuses() == [200, 200, 200]
    assert (await admin.patch(f"/users/block/{bob.uuid}")).status == 204
    assert await statuses() == [401, 200, 200]
    assert (await alice.delete(f"/tokens/{made['uuid']}")).status == 204
    assert await statuses() == [401, 200, 401]


async def test_what_is_revoked_while_redis_is_away_ends_when_it_is_back(pair):
    source, holder, gone = [await pair.unit_there(name) for name in ("source", "holder", "gone")]
    topic = source.topic("output_topic", "temperature/pepeunit")
    revoke = await grant(pair, holder, await output_of(pair, source))
    await hears(holder, topic)
    pair.redis.kill()
    await revoke()
    assert (await pair.one.alice.delete(f"/units/{gone.api.uuid}")).status == 204
    assert (await gone.api.get(f"/units/env/{gone.api.uuid}")).status == 401  # REST asks the database
    for gateway in pair.gateways:
        await until(lambda gateway=gateway: known_away(gateway), bool)
    assert (await pair.there(pair.one.alice).get("/units")).status == 200
    pair.redis.start()
    async with asyncio.timeout(10):
        await holder.client.expect_end()
        await gone.client.expect_end()
    await source.publish(topic, b"1")


async def known_away(gateway):
    return not gateway.registry.context.bus.connected


async def test_a_command_goes_out_where_its_unit_is_connected(pair):
    here, there = await pair.unit_here("here"), await pair.unit_there("there")
    for unit in (here, there):
        assert await unit.subscribe(unit.topic("input_base_topic", "schema_update/pepeunit")) == [True]
    for source, target in ((here, there), (there, here)):
        await link(pair, source, target)
        assert (await target.next_message())[0] == target.topic("input_base_topic", "schema_update/pepeunit")
    await eventually(pair.second.registry.outbox.next_due, None)


async def test_a_gateway_leaves_the_commands_of_units_that_are_connected_to_another(pair):
    here, there = await pair.unit_here("here"), await pair.unit_there("there")
    await stop_task(pair.second, "outbox")
    for unit in (there, here):  # in this order: who takes the second must have seen the first
        assert await unit.subscribe(unit.topic("input_base_topic", "log_sync/pepeunit")) == [True]
        await log_sync(pair, unit)
    await here.next_message()

    async def waiting():
        due = await pair.one.gateway.registry.outbox.due()
        return [str(command.unit_uuid) for command in due]

    await eventually(waiting, [there.api.uuid])
    assert await there.hears_nothing()


async def test_a_command_to_a_unit_that_is_nowhere_waits_for_it_and_goes_after_a_while(pair):
    outbox, unit = pair.second.registry.outbox, await pair.unit_there("unit")
    await unit.client.close()
    await until(lambda: is_connected(pair, unit), lambda found: not found)
    await log_sync(pair, unit)
    context = pair.second.registry.context
    assert await Outbox(context).drop_unclaimed() == 0
    again = await FieldUnit.connect(pair.second, pair.there(pair.one.alice), unit.api.uuid)
    await eventually(outbox.next_due, None)  # sent at the latest 5 s after it came
    await again.client.close()
    await until(lambda: is_connected(pair, unit), lambda found: not found)
    await log_sync(pair, unit)
    later = replace(context, clock=lambda: context.clock() + timedelta(seconds=31))
    assert await Outbox(later).drop_unclaimed() == 1
    assert await outbox.next_due() is None


async def log_sync(pair, unit):
    path = f"/units/send_command_to_input_base_topic/{unit.api.uuid}?command=LogSync"
    assert (await pair.one.alice.post(path)).status in {200, 204}


async def stop_task(gateway, name):
    (task,) = (task for task in gateway.gateway._tasks if task.get_name() == name)
    task.cancel()
    await asyncio.wait([task])


async def is_connected(pair, unit):
    return pair.second.gateway.broker.has(UUID(unit.api.uuid))


async def test_a_push_is_fetched_by_both_and_commanded_once(pair):
    units = [await pair.unit_here("here"), await pair.unit_there("there")]
    old = units[0].env["PU_COMMIT_VERSION"]
    for unit in units:
        assert await unit.subscribe(unit.topic("input_base_topic", "update/pepeunit")) == [True]
        await unit.report(old)
        await eventually(lambda unit=unit: reported(pair, unit), old)
    pair.one.tree.write("main.py", "print('new')\n")
    new = pair.one.tree.commit("second")
    pair.one.tree.push()
    # the gateway that is asked tells the other, and the one on duty commands
    update = f"/repository_registry/update_local_repository/{pair.one.registry['uuid']}"
    assert (await pair.there(pair.one.alice).patch(update)).status in {200, 204}
    for unit in units:
        topic, payload = await unit.next_message()
        assert topic == unit.topic("input_base_topic", "update/pepeunit")
        assert json.loads(payload)["PU_COMMIT_VERSION"] == new
    for api in (pair.one.alice, pair.there(pair.one.alice)):
        await until(lambda api=api: target(api, units[0]), lambda commit: commit == new)
    for gateway in pair.gateways:
        await gateway.registry.updates.update_all()
    for unit in units:
        assert await unit.hears_nothing()


async def reported(pair, unit):
    return (await pair.one.alice.get(f"/units/{unit.api.uuid}")).body["current_commit_version"]


async def target(api, unit):
    return (await api.get(f"/units/get_target_version/{unit.api.uuid}")).body["commit"]


async def test_who_comes_on_duty_with_an_older_mirror_fetches_before_it_commands(pair):
    """The one before may have commanded to a commit that this one has not seen: nobody is sent back."""
    unit = await pair.unit_there("unit")
    old = unit.env["PU_COMMIT_VERSION"]
    assert await unit.subscribe(unit.topic("input_base_topic", "update/pepeunit")) == [True]
    await unit.report(old)
    await eventually(lambda: reported(pair, unit), old)
    pair.one.tree.write("main.py", "print('new')\n")
    new = pair.one.tree.commit("second")
    pair.one.tree.push()
    first = pair.one.gateway.registry
    await sync_repository(first.context, UUID(pair.one.registry["uuid"]), told=True)  # and tells nobody
    await first.updates.update_all()
    assert json.loads((await unit.next_message())[1])["PU_COMMIT_VERSION"] == new
    duty = Duty(pair.second.registry.context, "second")
    for gateway in pair.gateways:
        await stop_task(gateway, "duty")
    pair.redis.command("DEL pepeunit:lease:jobs")
    await duty.keep()
    lease = duty.lease
    poll = RepositoryPoll(pair.second.registry, 3600, pair.second.registry.context.clock, duty=duty)
    await poll.run()
    await poll.settle()
    await poll.run()
    await poll.settle()
    assert duty.lease == lease is not None
    assert await unit.hears_nothing()
