"""Jobs go on whatever happens to one run (W57)."""

import asyncio

import pytest
from structlog.testing import capture_logs

from pepeunit_gateway.jobs.periodic import keep_running, run_periodically


async def _until(task: asyncio.Task[None], enough: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_w57_a_failing_run_is_logged_and_the_next_one_comes():
    """W57."""
    runs, enough = [], asyncio.Event()

    async def act() -> None:
        runs.append(len(runs))
        if len(runs) == 3:
            enough.set()
        if len(runs) == 1:
            raise ValueError("the first run fails")

    with capture_logs() as logs:
        await _until(asyncio.create_task(run_periodically("poll", 0.01, act)), enough)
    assert [(entry["event"], entry["job"]) for entry in logs] == [("job.failed", "poll")]


async def test_a_task_that_fails_is_started_again():
    """W57."""
    runs, enough = [], asyncio.Event()

    async def act() -> None:
        runs.append(len(runs))
        if len(runs) == 2:
            enough.set()
            await asyncio.Event().wait()
        raise ValueError("it ends")

    with capture_logs() as logs:
        await _until(asyncio.create_task(keep_running("sender", act)), enough)
    assert [(entry["event"], entry["task"]) for entry in logs] == [("task.failed", "sender")]
