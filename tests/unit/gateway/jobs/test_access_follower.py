"""A change of access reaches the broker, also when it fails the first time (W5)."""

import asyncio
from uuid import UUID, uuid4

import pytest

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.local import LocalBus
from pepeunit_gateway.errors import MqttError
from pepeunit_gateway.jobs.access_follower import follow_removals


class Recorder:
    """Stands where the broker port is asked; the real brokers have suites of their own."""

    def __init__(self, *, failures: int) -> None:
        self.failures = failures
        self.revoked: list[UUID] = []
        self.enough = asyncio.Event()

    async def revoke(self, unit: UUID) -> None:
        if self.failures:
            self.failures -= 1
            raise MqttError("away")
        self.revoked.append(unit)
        if len(self.revoked) == 3:
            self.enough.set()


async def test_what_failed_is_done_by_the_next_run():
    """W5."""
    bus, broker, units = LocalBus(), Recorder(failures=1), {uuid4() for _ in range(3)}
    removed = bus.subscribe(Change.UNIT_REMOVED)
    bus.publish(Change.UNIT_REMOVED, units)
    with pytest.raises(MqttError):
        await follow_removals(broker, removed)
    task = asyncio.create_task(follow_removals(broker, removed))
    async with asyncio.timeout(10):
        await broker.enough.wait()
    task.cancel()
    assert set(broker.revoked) == units
