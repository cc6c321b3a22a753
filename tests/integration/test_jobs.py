"""One job of one gateway: when it runs, what is written of it, and that nothing ends it (W57)."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.parts import make_context
from pepeunit_gateway.registry.job_runs import JobName, Outcome, Report, expire_job_runs
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.data_folder import prepare_folder
from pepeunit_gateway.storage.own_tables import job_runs
from tests.support.databases import held, open_database
from tests.support.job_bench import HOURLY, Bench, FixedClock, Work, outcomes, rows
from tests.support.polling import until

BOTH_DATABASES = True


@pytest.fixture
async def bench(tmp_path):
    (tmp_path / "data").mkdir()
    async with open_database(tmp_path, busy_timeout=0.2) as database:
        context = make_context(prepare_folder(Settings(data_dir=tmp_path / "data")), database)
        bench = Bench(context, FixedClock())
        await bench.duty.keep()
        yield bench
        await context.mirrors.close()


async def write(bench, *runs):
    """Write runs as (seconds ago, outcome, holder)."""
    values = [
        {
            "job": JobName.EXPIRY.value,
            "start_datetime": bench.clock() - timedelta(seconds=ago),
            "outcome": outcome.value,
            "holder": holder,
        }
        for ago, outcome, holder in runs
    ]
    async with bench.context.database.write() as connection:
        await connection.execute(job_runs.insert(), values)


def failing(error):
    def result(_):
        raise error

    return result


async def test_w57_a_failed_run_is_told_once_and_the_next_one_comes(bench):
    work = Work(failing(RepositoryRegistryError("the disk is full")))
    runner = bench.runner(work)
    with capture_logs() as logs:
        async with bench.running(runner):
            await bench.ended(Outcome.FAILED)
            work.result = lambda _: Report({"rows": 3, "keys": 0}, {"looked": 5})
            bench.clock.move(seconds=70)
            runner.look()
            failed, done = await bench.ended(Outcome.FAILED, Outcome.DONE)
    assert (failed.error, failed.details, failed.holder) == ("the disk is full", None, "one:1/a")
    assert (done.error, done.details, done.job) == (None, '{"looked": 5, "rows": 3}', "expiry")
    assert failed.end_datetime == failed.start_datetime == bench.clock() - timedelta(seconds=70)
    assert [(line["event"], line["job"]) for line in logs if "exc_info" in line] == [("job.failed", "expiry")]
    runs = bench.figures.runs()
    assert (runs["expiry", "Failed"], runs["expiry", "Done"]) == (1, 1)
    assert bench.figures.success()["expiry"] == bench.clock().timestamp()


async def test_w57_what_an_unknown_error_says_is_for_the_log_alone(bench):
    async with bench.running(bench.runner(Work(failing(ValueError("a-secret"))))):
        (failed,) = await bench.ended(Outcome.FAILED)
    assert failed.error == "ValueError; the log of the gateway says more"


async def test_w57_a_run_that_takes_too_long_is_ended_and_no_two_are_under_way_at_once(bench):
    work = Work()
    work.gate.clear()
    runner = bench.runner(work, limit=0.2)
    async with bench.running(runner):
        await work.has_begun(1)
        for _ in range(5):
            bench.clock.move(minutes=10)
            runner.ask()
        await bench.ended(Outcome.FAILED, Outcome.FAILED)
        work.gate.set()
        bench.clock.move(seconds=70)
        runner.look()
        first, *_ = await bench.ended(Outcome.FAILED, Outcome.FAILED, Outcome.DONE)
    assert first.error == "it took longer than 0.2 s and was ended; the next run goes on"
    assert (work.begun, work.most_at_once) == (3, 1)


async def test_many_missed_times_make_one_run_soon(bench):
    await write(bench, (6 * 3600, Outcome.DONE, "one:1/before"))
    work = Work()
    runner = bench.runner(work, HOURLY)
    async with bench.running(runner):
        await bench.ended(Outcome.DONE, Outcome.DONE)
        runner.look()
        bench.clock.move(minutes=29)
        runner.look()
        bench.clock.move(hours=5)
        runner.look()
        await bench.ended(Outcome.DONE, Outcome.DONE, Outcome.DONE)
        runner.look()
    assert work.begun == 2


async def test_a_job_of_a_cron_expression_that_never_ran_runs_at_its_next_time_however_often_somebody_looks(bench):
    work = Work()
    runner = bench.runner(work, HOURLY)
    async with bench.running(runner):
        for _ in range(16):
            bench.clock.move(minutes=2)
            runner.look()
            await until(lambda: looked(runner), bool)
        await bench.ended(Outcome.DONE)
    assert work.begun == 1


async def looked(runner):
    return runner._looked is not False and not runner._woken.is_set()


async def test_a_time_that_was_used_before_a_restart_is_not_used_again(bench):
    await write(bench, (29 * 60, Outcome.DONE, "one:1/before"))
    work = Work()
    runner = bench.runner(work, HOURLY)
    async with bench.running(runner):
        bench.clock.move(minutes=25)
        runner.look()
        bench.clock.move(minutes=6)
        runner.look()
        await bench.ended(Outcome.DONE, Outcome.DONE)
    assert work.begun == 1


async def test_of_idle_runs_the_newest_stays_and_of_others_all(bench):
    work = Work(lambda number: Report({"rows": number % 2}))
    runner = bench.runner(work)
    async with bench.running(runner):
        for number in range(1, 6):
            await work.has_ended(number)
            bench.clock.move(seconds=70)
            runner.look()
        work.gate.clear()
        await work.has_begun(6)
        found = await rows(bench.context)
    assert outcomes(found) == ["Done", "Done", "Done", "Running"]
    work.gate.set()
    async with bench.running(bench.runner(Work(lambda _: Report({"rows": 0})))):
        await bench.ended(Outcome.DONE, Outcome.DONE, Outcome.DONE, Outcome.LOST, Outcome.IDLE)


async def test_what_was_cut_off_is_lost_and_made_up_for_once(bench):
    await write(bench, (700, Outcome.DONE, "one:1/x"), (600, Outcome.RUNNING, "one:1/x"))
    work = Work()
    work.gate.clear()
    async with bench.running(bench.runner(work, HOURLY)):
        await work.has_begun(1)
    async with bench.running(bench.runner(work, HOURLY)):
        _, first, second = await bench.ended(Outcome.DONE, Outcome.LOST, Outcome.LOST)
    assert first.error == second.error == "the gateway that ran it ended before the run did"
    assert second.end_datetime == bench.clock()
    assert work.begun == 1


async def test_of_a_job_of_every_gateway_the_runs_of_others_are_left_alone(bench):
    there = (600, Outcome.RUNNING, "two:1/x"), (500, Outcome.IDLE, "two:1/x")
    await write(bench, *there, (400, Outcome.IDLE, "one:1/x"))
    work = Work(lambda _: Report({"rows": 0}))
    async with bench.running(bench.runner(work, is_everywhere=True)):
        await until(lambda: ends(bench, Outcome.IDLE), lambda count: count == 1)
        found = await until(lambda: rows(bench.context), lambda found: len(found) == 3)
    assert [(row.holder, row.outcome) for row in found] == [
        ("two:1/x", "Running"), ("two:1/x", "Idle"), ("one:1/a", "Idle"),
    ]  # fmt: skip
    assert bench.duty.lease is not None
    assert work.turns[0].context is bench.context


async def test_asked_several_times_a_job_runs_once_more_after_a_pause(bench):
    work = Work()
    runner = bench.runner(work, pause=10.0)
    async with bench.running(runner):
        await bench.ended(Outcome.DONE)
        for _ in range(3):
            runner.ask()
        bench.clock.move(seconds=9)
        runner.look()
        assert outcomes(await rows(bench.context)) == ["Done"]
        bench.clock.move(seconds=1)
        runner.look()
        await bench.ended(Outcome.DONE, Outcome.DONE)
    assert [turn.is_asked for turn in work.turns] == [False, True]


async def test_w57_a_job_runs_where_its_run_cannot_be_written(bench):
    work = Work()
    runner = bench.runner(work)
    async with bench.running(runner):
        await bench.ended(Outcome.DONE)
        with capture_logs() as logs:
            async with held(bench.context.database):
                bench.clock.move(seconds=70)
                runner.look()
                await until(lambda: unrecorded(logs), lambda count: count == 2)
        assert await ends(bench) == 2
        bench.clock.move(seconds=70)
        runner.look()
        await bench.ended(Outcome.DONE, Outcome.DONE)
    assert work.begun == 3


async def ends(bench, outcome=Outcome.DONE):
    return bench.figures.runs()["expiry", outcome.value]


async def unrecorded(logs):
    return [line["event"] for line in logs].count("job.unrecorded")


async def test_w57_who_lost_the_duty_stops_and_says_so(bench):
    work = Work()
    work.gate.clear()
    async with bench.running(bench.runner(work)):
        await work.has_begun(1)
        await bench.duty.stop()
        (lost,) = await bench.ended(Outcome.LOST)
    assert lost.error.startswith("this gateway lost the duty")
    assert (work.ended, work.begun) == (1, 1)


async def test_a_week_and_a_thousand_runs_of_each_job_are_kept(bench, monkeypatch):
    monkeypatch.setattr("pepeunit_gateway.registry.job_runs._KEPT_RUNS", 10)
    day = 86_400
    await write(bench, *((ago, Outcome.DONE, "one:1/x") for ago in (8 * day, 7 * day, *range(15, 0, -1))))
    assert await expire_job_runs(bench.context, {}) == 7
    left = await rows(bench.context)
    assert [int((bench.clock() - row.start_datetime).total_seconds()) for row in left] == list(range(10, 0, -1))
    assert await expire_job_runs(bench.context, {}) == 0


async def test_a_run_of_a_gateway_that_never_comes_back_is_lost_and_one_of_the_future_goes(bench):
    await write(
        bench, (500, Outcome.RUNNING, "gone:1/x"), (100, Outcome.RUNNING, "here:1/x"), (-90_000, Outcome.DONE, "x:1/x")
    )
    assert await expire_job_runs(bench.context, {JobName.EXPIRY: 300.0, JobName.FETCH: 1.0}) == 1
    assert [(row.holder, row.outcome) for row in await rows(bench.context)] == [
        ("gone:1/x", "Lost"), ("here:1/x", "Running"),
    ]  # fmt: skip
