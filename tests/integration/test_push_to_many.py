"""A push to a thousand units: one Update each, spread over the window, whatever dies in the middle.

What is promised: without a crash of the gateway or its broker a command reaches its unit exactly once; where one of
them dies, at least once, and only what was under way at that moment comes twice. A unit's last command is the newest.
"""

from collections import Counter
from datetime import timedelta

import pytest

from pepeunit_gateway.registry.spreading import SLOT
from tests.support.databases import address_for
from tests.support.field_unit import eventually
from tests.support.push_stage import push_stage

BOTH_DATABASES = True

UNITS = 1000
CONNECTED = 300
"""Where something dies: the others are away."""
SPREAD = 3.0
UNDER_WAY = 200
"""Commands that the sender hands to the broker at a time."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("push")
    timing = {"PU_UPDATE_SPREAD": str(SPREAD), "PU_REPO_POLL_INTERVAL": "1"}
    with push_stage(folder, address_for(folder), UNITS, **timing) as stage:
        yield stage


async def test_w50_every_unit_hears_one_update_spread_over_the_window_and_those_that_are_current_none(stage):
    async with stage.crowd() as crowd, stage.owner() as owner:
        current = set(list(stage.tokens)[::100])
        await let_run(crowd, owner, current, stage.tree.head())  # and so have done what other tests told them
        new = stage.commit("one push")
        await let_run(crowd, owner, current, new)
        stage.tree.push()
        others = UNITS - len(current)
        await crowd.until(lambda: crowd.count(new) == others)
        assert crowd.tally(new) == {1: others, 0: len(current)}
        turns = await stage.turns(new)
        assert all(turn.due - turn.queued < timedelta(seconds=SPREAD) for turn in turns.values())
        slots = Counter(turn.due for turn in turns.values())
        assert (len(slots), max(slots) - min(slots) < timedelta(seconds=SPREAD)) == (SPREAD / SLOT, True)
        assert max(slots.values()) - min(slots.values()) <= 1
        assert all(crowd.heard[unit][-1].at >= turn.due for unit, turn in turns.items())
        # commands go out in the order of their times: after this one none of the others is left
        last = next(unit for unit in stage.tokens if unit not in current)
        path = f"/units/send_command_to_input_base_topic/{last}?command=Update"
        assert (await owner.post(path)).status == 204
        await crowd.until(lambda: [heard.commit for heard in crowd.heard[last]][-2:] == [new, new])
        assert crowd.tally(new) == {1: others - 1, 0: len(current), 2: 1}


async def let_run(crowd, owner, units, commit):
    """Let units report a commit until it is stored and no update is under way."""

    async def told():
        bodies = [(await owner.get(f"/units/{unit}")).body for unit in units]
        return {
            (body["current_commit_version"], body["firmware_update_status"] in {None, "Success"}) for body in bodies
        }

    for unit in units:
        crowd.report(unit, commit)
    await eventually(told, {(commit, True)}, limit=30)


async def test_of_two_pushes_within_the_window_the_newer_is_every_units_last_command(stage):
    async with stage.crowd(CONNECTED) as crowd:
        older = stage.push("the older of two")
        await crowd.until(lambda: crowd.count(older) >= CONNECTED // 10)
        newer = stage.push("the newer of two")
        await crowd.until(lambda: crowd.count(newer) == CONNECTED)
        assert crowd.tally(newer) == {1: CONNECTED}
        assert CONNECTED // 10 <= crowd.count(older) < CONNECTED
        assert all([heard.commit for heard in one][-1:] == [newer] for one in crowd.heard.values())


async def test_w28_a_gateway_that_is_killed_in_the_middle_of_a_push_commands_the_rest_after_its_restart(stage):
    async with stage.crowd(CONNECTED) as crowd:
        new = stage.push("a push and a death")
        await crowd.until(lambda: crowd.count(new) >= CONNECTED // 5)
        stage.kill()
        assert crowd.count(new) < CONNECTED
        stage.restart()
        await crowd.until(lambda: crowd.count(new) == CONNECTED)
        assert_at_most_twice(crowd, new)


async def test_a_broker_that_dies_in_the_middle_of_a_push_costs_no_unit_its_command(stage):
    async with stage.crowd(CONNECTED) as crowd:
        new = stage.push("a push and a broker less")
        await crowd.until(lambda: crowd.count(new) >= CONNECTED // 5)
        stage.kill_broker()
        await crowd.until(lambda: crowd.count(new) == CONNECTED)
        assert_at_most_twice(crowd, new)


def assert_at_most_twice(crowd, commit):
    """Only what was under way may have come twice."""
    tally = crowd.tally(commit)
    assert set(tally) <= {1, 2}, tally
    assert tally[2] <= UNDER_WAY, tally
