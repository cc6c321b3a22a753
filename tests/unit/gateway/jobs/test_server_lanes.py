"""Turns at git servers: two at a time of each, urgent ones first, and silent servers hold nobody up."""

import asyncio
from contextlib import AsyncExitStack

from pepeunit_gateway.jobs.server_lanes import ServerLanes


class Visits:
    """Fetches that last until they are told to end."""

    def __init__(self, lanes):
        self._lanes = lanes
        self.inside = []
        self._ends = {}
        self._tasks = {}

    async def begin(self, name, server="a", *, urgent=False, suspect=False):
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._visit(name, server, urgent, suspect))
        await self._settle()

    async def _visit(self, name, server, urgent, suspect):
        async with self._lanes.turn(server, urgent=urgent, suspect=suspect):
            self.inside.append(name)
            await self._ends[name].wait()
            self.inside.remove(name)

    async def end(self, name):
        self._ends[name].set()
        await self._tasks[name]
        await self._settle()

    async def cancel(self, name):
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)
        await self._settle()

    @staticmethod
    async def _settle():
        for _ in range(5):
            await asyncio.sleep(0)


async def test_two_of_a_server_work_at_a_time_and_other_servers_are_not_concerned():
    visits = Visits(ServerLanes())
    for name in ("first", "second", "third"):
        await visits.begin(name)
    await visits.begin("elsewhere", "b")
    assert visits.inside == ["first", "second", "elsewhere"]
    await visits.end("first")
    assert visits.inside == ["second", "elsewhere", "third"]


async def test_who_is_awaited_goes_before_who_looks_as_a_routine():
    visits = Visits(ServerLanes(at_once=1))
    await visits.begin("working")
    await visits.begin("routine")
    await visits.begin("push", urgent=True)
    await visits.begin("another push", urgent=True)
    for expected in ("push", "another push", "routine"):
        await visits.end(*visits.inside)
        assert visits.inside == [expected]


async def test_those_that_failed_before_are_few_at_a_time_whatever_their_servers_and_urgent_ones_pass():
    visits = Visits(ServerLanes(suspects=2))
    for number in range(4):
        await visits.begin(f"silent {number}", f"server {number}", suspect=True)
    await visits.begin("good", "server 9")
    await visits.begin("push", "server 3", urgent=True, suspect=True)
    assert visits.inside == ["silent 0", "silent 1", "good", "push"]
    await visits.end("silent 0")
    assert "silent 2" in visits.inside


async def test_what_nobody_waits_for_leaves_room_and_a_busy_server_stops_no_other():
    visits = Visits(ServerLanes(routine=3))
    for number in range(4):
        await visits.begin(f"routine {number}", "busy")
    for number in range(2):
        await visits.begin(f"elsewhere {number}", f"server {number}")
    await visits.begin("push", "server 1", urgent=True)
    assert visits.inside == ["routine 0", "routine 1", "elsewhere 0", "push"]
    await visits.end("routine 0")
    assert visits.inside == ["routine 1", "elsewhere 0", "push", "elsewhere 1"]


async def test_who_is_cancelled_while_waiting_or_working_leaves_the_place_to_others():
    lanes = ServerLanes(at_once=1)
    visits = Visits(lanes)
    for name in ("working", "waiting", "last"):
        await visits.begin(name)
    await visits.cancel("waiting")
    await visits.cancel("working")
    assert visits.inside == ["working", "last"]
    await visits.end("last")
    assert lanes._lanes == {}


async def test_a_turn_that_is_handed_to_somebody_who_is_cancelled_at_that_moment_is_not_lost():
    lanes = ServerLanes(at_once=1)
    async with AsyncExitStack() as working:
        await working.enter_async_context(lanes.turn("a", urgent=False, suspect=False))

        async def visit():
            async with lanes.turn("a", urgent=False, suspect=False):
                return

        handed, waiting = asyncio.create_task(visit()), asyncio.create_task(visit())
        await asyncio.sleep(0)
        await working.aclose()
        handed.cancel()
        async with asyncio.timeout(5):
            await waiting
    assert handed.cancelled()
    assert lanes._lanes == {}
