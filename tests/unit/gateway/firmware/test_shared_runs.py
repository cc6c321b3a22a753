import asyncio

import pytest

from pepeunit_gateway.firmware.shared_runs import SharedRuns


class Work:
    """Work that ends when it is told to."""

    def __init__(self):
        self.begun, self.go_on = 0, asyncio.Event()

    async def __call__(self):
        self.begun += 1
        await self.go_on.wait()


async def join(runs, work, count=1, key="a"):
    tasks = [asyncio.create_task(runs.join(key, work)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_who_comes_meanwhile_shares_the_run_and_who_comes_later_begins_another():
    runs, work = SharedRuns(), Work()
    tasks = [*await join(runs, work, 3), *await join(runs, work, key="b")]
    assert work.begun == 2
    work.go_on.set()
    assert await asyncio.gather(*tasks) == [True] * 4
    assert await runs.join("a", work)
    assert work.begun == 3


async def test_a_run_ends_with_the_last_who_waits():
    runs, work = SharedRuns(), Work()
    first, second = await join(runs, work, 2)
    first.cancel()
    await asyncio.wait({first})
    assert not second.done()
    second.cancel()
    await asyncio.wait({second})
    (third,) = await join(runs, work)
    assert work.begun == 2
    await runs.end()
    assert await third is False


async def test_only_chosen_runs_are_ended():
    runs, work = SharedRuns(), Work()
    (one,), (other,) = await join(runs, work), await join(runs, work, key="b")
    await runs.end(lambda key: key == "a")
    assert await one is False
    work.go_on.set()
    assert await other is True


async def test_a_failure_reaches_everybody_who_waits():
    runs = SharedRuns()

    async def fail():
        raise OSError("no")

    for task in await join(runs, fail, 2):
        with pytest.raises(OSError, match="no"):
            await task
