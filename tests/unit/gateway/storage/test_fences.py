"""Whoever lost a lease writes nothing any more."""

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from pepeunit_gateway.storage.fences import FencedDatabase, LeaseLostError, highest_fence
from pepeunit_gateway.storage.own_tables import telemetry_removals

BOTH_DATABASES = True


async def write(database, way):
    async with getattr(database, way)() as connection:
        await connection.execute(telemetry_removals.insert().values(owner_uuid=uuid4(), owner_type="Unit"))


async def count(database):
    async with database.read() as connection:
        return (await connection.execute(select(func.count()).select_from(telemetry_removals))).scalar_one()


@pytest.mark.parametrize("way", ["write", "act"])
async def test_a_holder_writes_until_its_successor_has_written(database, way):
    assert await highest_fence(database, "jobs") == 0
    old, new = (FencedDatabase(database, "jobs", fence) for fence in (5, 6))
    await write(old, way)
    await write(old, way)
    await write(new, way)
    with pytest.raises(LeaseLostError):
        await write(old, way)
    await write(new, way)
    assert await count(database) == 4
    assert await highest_fence(database, "jobs") == 6


async def test_the_fences_of_one_lease_are_nothing_to_another(database):
    for name in ("jobs", "others"):
        assert await highest_fence(database, name) == 0
    await write(FencedDatabase(database, "jobs", 9), "act")
    await write(FencedDatabase(database, "others", 1), "act")
    assert await highest_fence(database, "others") == 1


async def test_what_failed_under_a_lease_leaves_no_fence(database):
    await highest_fence(database, "jobs")
    with pytest.raises(ZeroDivisionError):
        async with FencedDatabase(database, "jobs", 9).act():
            raise ZeroDivisionError
    assert await highest_fence(database, "jobs") == 0


async def test_reading_asks_for_no_lease(database):
    assert await count(FencedDatabase(database, "never taken", 1)) == 0
