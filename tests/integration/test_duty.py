"""What one gateway does alone: one is on duty at a time, another takes over, and who lost the duty writes nothing."""

import asyncio
import contextlib

import pytest
from sqlalchemy import func, select

from pepeunit_gateway.jobs import duty as duty_module
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.expiry import expire
from pepeunit_gateway.parts import make_context
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.data_folder import prepare_folder
from pepeunit_gateway.storage.fences import LeaseLostError
from pepeunit_gateway.storage.own_tables import leases
from tests.support.polling import until
from tests.support.redis import RedisServer

BOTH_DATABASES = True


@pytest.fixture
def server(tmp_path):
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
async def contexts(tmp_path, database, server):
    """Those of two gateways on one database and one Redis."""
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            settings = prepare_folder(Settings(data_dir=tmp_path / name, redis_url=server.url))
            made.append(make_context(settings, database))
            await made[-1].bus.start()
            stack.push_async_callback(made[-1].bus.stop)
        yield made


@contextlib.asynccontextmanager
async def running(duty):
    task = asyncio.create_task(duty.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def on_duty(duty):
    async def lease():
        return duty.lease

    return await until(lease, lambda found: found is not None)


async def test_one_gateway_is_on_duty_and_a_stop_hands_it_over_with_a_higher_fence(contexts):
    one, two = (Duty(context, name) for context, name in zip(contexts, ("one", "two"), strict=True))
    await one.keep()
    await two.keep()
    assert one.lease is not None
    assert two.lease is None
    assert two.context is None
    before = one.lease.fence
    async with running(two):
        await one.stop()
        assert one.context is None
        assert (await on_duty(two)).fence > before


async def test_w44_another_takes_over_from_a_gateway_that_died(contexts, monkeypatch):
    monkeypatch.setattr(duty_module, "_TTL", 0.3)
    monkeypatch.setattr(duty_module, "_RENEW", 0.05)
    one, two = (Duty(context, name) for context, name in zip(contexts, ("one", "two"), strict=True))
    async with running(one):
        holder = await on_duty(one)
        async with running(two):
            assert two.lease is None
    # it runs no more and did not give the lease back
    async with running(two):
        assert (await on_duty(two)).fence > holder.fence


async def test_w44_a_holder_that_slept_through_the_end_of_its_lease_changes_nothing(contexts):
    one, two = (Duty(context, name) for context, name in zip(contexts, ("one", "two"), strict=True))
    await one.keep()
    slow = one.context
    await contexts[0].bus.release(one.lease)  # as if its time were over
    await two.keep()
    written = []

    async def write(context):
        async with context.act():
            written.append(context)

    await write(await two.taken())
    with pytest.raises(LeaseLostError):
        await write(slow)
    assert len(written) == 1
    one.refused()
    assert one.lease is None
    await one.keep()
    assert one.lease is None  # the other has it
    assert await highest(slow) == two.lease.fence


async def highest(context):
    async with context.database.read() as connection:
        return (await connection.execute(select(func.max(leases.c.fence)))).scalar_one()


async def work(duty):
    await expire(await duty.taken())


async def test_w57_a_job_waits_for_the_duty_and_runs_under_it(contexts):
    one, two = (Duty(context, name) for context, name in zip(contexts, ("one", "two"), strict=True))
    await one.keep()
    waiting = asyncio.create_task(work(two))
    async with running(two):
        await work(one)
        assert not waiting.done()
        await one.stop()
        async with asyncio.timeout(20):
            await waiting
    assert await highest(contexts[0]) == two.lease.fence


async def test_without_redis_nobody_is_on_duty_and_with_it_somebody_is_again(contexts, server):
    one = Duty(contexts[0], "one")
    async with running(one):
        first = await on_duty(one)
        server.kill()

        async def lease():
            return one.lease

        await until(lease, lambda found: found is None)
        server.start()
        assert (await on_duty(one)).fence > first.fence
