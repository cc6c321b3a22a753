"""Two gateways on one PostgreSQL and one Redis, looked into: who sends a command, what a new one on duty does first.

tests/integration/test_two_gateways.py has two as operators run them.
"""

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
from tests.support.field_unit import FieldUnit, eventually
from tests.support.polling import until
from tests.support.redis import RedisServer
from tests.support.two_gateways_inside import two_gateways

A_SECOND = 1.0


@pytest.fixture
def redis(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def pair(tmp_path, redis):
    async with two_gateways(tmp_path, redis) as pair:
        yield pair


async def ends(unit):
    async with asyncio.timeout(A_SECOND):
        await unit.client.expect_end()


async def test_w5_what_the_command_line_does_counts_at_every_gateway(pair):
    units = [await pair.unit_here("here"), await pair.unit_there("there")]
    admin = Agent(AgentType.USER, UUID(pair.one.admin.uuid), UserRole.ADMIN)
    async with open_registry(pair.one.gateway.given) as registry:
        for unit in units:
            await registry.unit_tokens.revoke(admin, UUID(unit.api.uuid))
    for unit in units:
        await ends(unit)


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
    assert await again.subscribe(again.topic("input_base_topic", "log_sync/pepeunit")) == [True]
    await again.next_message()  # sent at the latest 2 s after it came
    await eventually(outbox.next_due, None)
    await again.client.close()
    await until(lambda: is_connected(pair, unit), lambda found: not found)
    await log_sync(pair, unit)
    later = replace(context, clock=lambda: context.clock() + timedelta(seconds=151))
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


async def state(pair, unit):
    """What the unit runs, and what came of its last update."""
    body = (await pair.one.alice.get(f"/units/{unit.api.uuid}")).body
    return body["current_commit_version"], body["firmware_update_status"]


async def test_w44_who_comes_on_duty_with_an_older_mirror_fetches_before_it_commands(pair):
    """The one before may have commanded to a commit that this one has not seen: nobody is sent back."""
    unit = await pair.unit_here("unit")
    old = unit.env["PU_COMMIT_VERSION"]
    assert await unit.subscribe(unit.topic("input_base_topic", "update/pepeunit")) == [True]
    await unit.report(old)
    await eventually(lambda: state(pair, unit), (old, None))
    pair.one.tree.write("main.py", "print('new')\n")
    new = pair.one.tree.commit("second")
    pair.one.tree.push()
    first = pair.one.gateway.registry
    await sync_repository(first.context, UUID(pair.one.registry["uuid"]), told=True)  # and tells nobody
    await first.updates.update_all()
    assert json.loads((await unit.next_message())[1])["PU_COMMIT_VERSION"] == new
    await unit.report(new)
    await eventually(lambda: state(pair, unit), (new, "Success"))
    duty = Duty(pair.second.registry.context, "second")
    for gateway in pair.gateways:
        await stop_task(gateway, "duty")
    pair.redis.command("DEL pepeunit:lease:jobs")
    await duty.keep()
    lease = duty.lease
    poll = RepositoryPoll(pair.second.registry, 3600, duty=duty)
    await poll.resend()
    assert await state(pair, unit) == (new, "Success")
    for _ in range(2):
        await poll.run()
        await poll.settle()
        await poll.resend()
    assert await state(pair, unit) == (new, "Success")
    assert duty.lease == lease is not None
    assert await unit.hears_nothing()
