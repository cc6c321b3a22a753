"""Jobs of two gateways on one database: one runs what is to be run once, and the other takes over (W44, W57)."""

import asyncio
import contextlib

import pytest

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import NotFoundError
from pepeunit_gateway.jobs import duty as duty_module
from pepeunit_gateway.jobs.runner import follow_requests
from pepeunit_gateway.parts import make_context
from pepeunit_gateway.registry.job_runs import JobName, JobRuns, Outcome
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.data_folder import prepare_folder
from tests.support.job_bench import ADMIN, HOURLY, Bench, FixedClock, Work, outcomes, rows
from tests.support.polling import until
from tests.support.redis import RedisServer

BOTH_DATABASES = True


@pytest.fixture
async def benches(tmp_path, database):
    """Two gateways on one database, one Redis and one clock; nobody is on duty."""
    clock = FixedClock()
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(RedisServer(tmp_path / "redis"))
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            context = make_context(prepare_folder(Settings(data_dir=tmp_path / name, redis_url=server.url)), database)
            await context.bus.start()
            stack.push_async_callback(context.bus.stop)
            stack.push_async_callback(context.mirrors.close)
            made.append(Bench(context, clock, f"{name}:1/a"))
        yield made


@contextlib.asynccontextmanager
async def alive(bench, runner):
    """A gateway that runs the job and hears requests, until it is killed: it gives nothing back."""
    asked = bench.context.bus.subscribe(Change.JOB)
    listening = asyncio.create_task(follow_requests(asked, [runner]))
    keeping = asyncio.create_task(bench.duty.run())
    async with bench.running(runner):
        try:
            yield
        finally:
            for task in (listening, keeping):
                task.cancel()
            await asyncio.gather(listening, keeping, return_exceptions=True)


async def recorded(bench, number):
    def all_ended(found):
        return len(found) == number and "Running" not in outcomes(found)

    return await until(lambda: rows(bench.context), all_ended)


async def looked(runner):
    """Tell whether the runner looked at the clock since it was told to, knowing what was run before."""
    return runner._looked is not False and not runner._woken.is_set()


async def test_w57_the_one_on_duty_runs_a_job_and_who_takes_over_runs_no_time_twice(benches):
    one, two = benches
    work = Work()
    first, second = one.runner(work, HOURLY), two.runner(work, HOURLY)
    await one.duty.keep()
    async with alive(two, second):
        async with alive(one, first):
            await until(lambda: looked(first), bool)
            one.clock.move(minutes=31)
            for runner in (first, second):
                runner.look()
            await recorded(one, 1)
            await one.duty.stop()
        await two.duty.taken()
        for _ in range(3):
            one.clock.move(minutes=14)
            second.look()
            await until(lambda: looked(second), bool)
        assert work.begun == 1
        one.clock.move(minutes=19)
        second.look()
        found = await recorded(one, 2)
    assert [row.holder for row in found] == ["one:1/a", "two:1/a"]
    assert work.most_at_once == 1


async def test_w44_a_run_of_a_gateway_that_died_is_lost_and_made_up_for_by_the_other(benches, monkeypatch):
    monkeypatch.setattr(duty_module, "_TTL", 0.5)
    monkeypatch.setattr(duty_module, "_RENEW", 0.1)
    one, two = benches
    stuck, work = Work(), Work()
    stuck.gate.clear()
    await one.duty.keep()
    second = two.runner(work)
    async with alive(two, second):
        async with alive(one, one.runner(stuck)):
            await stuck.has_begun(1)
        one.clock.move(seconds=10)
        await two.duty.taken()
        second.look()
        found = await recorded(one, 2)
    assert [(row.holder, row.outcome) for row in found] == [("one:1/a", "Lost"), ("two:1/a", "Done")]


async def test_what_is_asked_for_while_nobody_is_on_duty_is_done_by_who_takes_it(benches):
    one, two = benches
    work = Work()
    runner = two.runner(work, HOURLY, name=JobName.UPDATE)
    asked = two.context.bus.subscribe(Change.JOB)
    listening = asyncio.create_task(follow_requests(asked, [runner]))
    async with two.running(runner):
        JobRuns(one.context).ask(ADMIN, "update")
        await until(lambda: heard(runner), bool)
        assert not await rows(one.context)
        await two.duty.keep()
        (run,) = await recorded(one, 1)
    listening.cancel()
    assert (run.job, run.holder, run.outcome) == ("update", "two:1/a", Outcome.DONE.value)


async def heard(runner):
    return runner._asked is not None


async def test_what_was_asked_for_and_done_by_another_is_not_done_again_after_a_take_over(benches):
    one, two = benches
    work = Work()
    first, second = one.runner(work, HOURLY), two.runner(work, HOURLY)
    await one.duty.keep()
    async with alive(two, second):
        async with alive(one, first):
            JobRuns(two.context).ask(ADMIN, "expiry")
            await until(lambda: heard(second), bool)
            one.clock.move(seconds=10)
            first.look()
            await recorded(one, 1)
            await one.duty.stop()
        await two.duty.taken()
        await until(lambda: heard(second), lambda found: not found)
    assert work.begun == 1


async def test_a_job_that_there_is_not_is_told_with_those_that_there_are(benches):
    with pytest.raises(NotFoundError, match="'tidy'; there are: fetch, update, expiry, cleanup"):
        JobRuns(benches[0].context).ask(ADMIN, "tidy")
