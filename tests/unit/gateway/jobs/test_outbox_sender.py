"""When the sender hands over what waits, in a loop whose time passes only where everybody sleeps."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.jobs.outbox_sender import OutboxSender
from pepeunit_gateway.registry.outbox import Command
from pepeunit_gateway.registry.spreading import SLOT
from pepeunit_gateway.topics import BackendTopicCommand

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its clock leaps to the next timer once nothing is left to do."""

    def __init__(self):
        super().__init__()
        self.clock = 0.0

    def time(self):
        return self.clock

    def _run_once(self):
        if not self._ready and self._scheduled:
            self.clock = max(self.clock, self._scheduled[0].when())
        super()._run_once()


class Waiting:
    """Rows in memory with the seconds at which they are due, as the sender asks for them."""

    def __init__(self, seconds):
        self.turns = {number: BEGIN + timedelta(seconds=second) for number, second in enumerate(seconds)}
        self.looks = 0

    def now(self):
        return BEGIN + timedelta(seconds=asyncio.get_running_loop().time())

    async def due(self, hears):
        self.looks += 1
        numbers = [number for number, turn in self.turns.items() if turn <= self.now()]
        commands = [Command(n, UUID(int=n), BackendTopicCommand.UPDATE, "topic", b"", 0) for n in numbers]
        return [command for command in commands if hears(command.unit_uuid, command.topic)]

    async def next_due(self, after=None):
        return min((turn for turn in self.turns.values() if after is None or turn > after), default=None)

    async def sent(self, commands, *, begun):
        assert begun <= self.now()
        for command in commands:
            del self.turns[command.id]


def send_for(seconds: float, outbox: Waiting, hears: Callable[[UUID], bool], act: Callable[..., Awaitable[None]]):
    """Let a sender run so long and return at which second each row went out."""
    heard = {}
    subscription = Subscription(Change.OUTBOX)

    async def deliver(command):
        heard[command.id] = asyncio.get_running_loop().time()
        return True

    async def main():
        sender = OutboxSender(
            outbox, deliver, subscription, hears=lambda unit, _topic: hears(unit), is_up=lambda: False
        )
        running = asyncio.create_task(sender.run())
        acting = asyncio.create_task(act(subscription))
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.wait([running, acting])

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        runner.run(main())
    return heard


async def nothing(_subscription):
    pass


def everybody(_unit):
    return True


def test_each_slot_goes_out_at_its_turn_and_the_sender_wakes_for_no_other_reason():
    slots = [slot * SLOT for slot in range(1, 61) for _ in range(3)]
    outbox = Waiting(slots)
    heard = send_for(31, outbox, everybody, nothing)
    assert heard == pytest.approx(dict(enumerate(slots)), abs=1e-5)
    assert outbox.looks <= 2 * 60 + 3  # a look that sends and one that finds no more, per slot


def test_a_command_that_is_due_later_than_the_longest_sleep_goes_out_at_its_turn():
    assert send_for(100, Waiting([70]), everybody, nothing) == pytest.approx({0: 70}, abs=1e-5)


def test_a_command_that_is_queued_while_the_sender_sleeps_goes_out_at_once():
    outbox = Waiting([])

    async def queue(subscription):
        await asyncio.sleep(12.125)
        outbox.turns[7] = outbox.now()
        subscription.add([UUID(int=7)])

    assert send_for(13, outbox, everybody, queue) == pytest.approx({7: 12.125}, abs=1e-5)


def test_a_unit_that_is_away_delays_nobody_and_hears_its_command_within_a_look_of_its_return():
    outbox = Waiting([0, 5.5])

    def hears(unit):
        return unit.int == 1 or asyncio.get_running_loop().time() > 20

    heard = send_for(30, outbox, hears, nothing)
    assert heard[1] == pytest.approx(5.5, abs=1e-5)
    assert 20 < heard[0] <= 22
