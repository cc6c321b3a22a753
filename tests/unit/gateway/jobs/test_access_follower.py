"""A change of access reaches the broker, also when it fails the first time (W5)."""

import asyncio
from uuid import UUID, uuid4

import pytest

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.errors import MqttError
from pepeunit_gateway.jobs.access_follower import follow_removals


class Recorder:
    """Stands where the broker port is asked; the real brokers have suites of their own."""

    def __init__(self, *, failures: int) -> None:
        self.failures = failures
        self.revoked: list[UUID] = []
        self.looks = 0
        self.enough = asyncio.Event()

    async def revoke(self, unit: UUID) -> None:
        self._fail()
        self.revoked.append(unit)
        if len(self.revoked) == 3:
            self.enough.set()

    async def connected_units(self) -> dict[UUID, int]:
        self._fail()
        self.looks += 1
        self.enough.set()
        return {}

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise MqttError("away")


async def run_twice(broker: Recorder, removed: Subscription) -> None:
    with pytest.raises(MqttError):
        await follow_removals(None, broker, removed)
    task = asyncio.create_task(follow_removals(None, broker, removed))
    async with asyncio.timeout(10):
        await broker.enough.wait()
    task.cancel()


async def test_what_failed_is_done_by_the_next_run():
    broker, units, removed = Recorder(failures=1), {uuid4() for _ in range(3)}, Subscription(Change.UNIT_REMOVED)
    removed.add(units)
    await run_twice(broker, removed)
    assert set(broker.revoked) == units
    assert not broker.looks


async def test_a_look_at_everything_that_failed_is_done_by_the_next_run():
    broker, removed = Recorder(failures=1), Subscription(Change.UNIT_REMOVED)
    removed.miss()
    await run_twice(broker, removed)
    assert broker.looks == 1
