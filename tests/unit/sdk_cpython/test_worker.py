import asyncio
import threading

import pytest

from pepeunit.worker import Workers

DEADLINE = 10.0


async def test_the_result_and_the_exception_of_a_thread_reach_the_caller():
    workers = Workers()
    assert await workers.run(threading.get_ident, time_limit=DEADLINE, abort=lambda: None) != threading.get_ident()

    def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        await workers.run(fail, time_limit=DEADLINE, abort=lambda: None)


async def test_a_call_that_takes_too_long_is_aborted_and_its_turn_comes_back():
    workers = Workers(1)
    over = threading.Event()
    with pytest.raises(TimeoutError):
        await workers.run(lambda: over.wait(DEADLINE), time_limit=0.01, abort=over.set)
    assert await workers.run(lambda: 5, time_limit=DEADLINE, abort=lambda: None) == 5


async def test_a_cancelled_caller_aborts_its_call():
    workers = Workers()
    begun, over = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait():
        loop.call_soon_threadsafe(begun.set)
        over.wait(DEADLINE)

    task = asyncio.create_task(workers.run(wait, time_limit=DEADLINE, abort=over.set))
    async with asyncio.timeout(DEADLINE):
        await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert over.is_set()
