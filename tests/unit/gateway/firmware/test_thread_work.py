import asyncio
import threading

import pytest

from pepeunit_gateway.firmware.thread_work import StoppedError, ThreadWork


def endless(check, begun, ended):
    begun.set()
    try:
        while not threading.Event().wait(0.001):
            check()
    finally:
        ended.set()


async def run_endless(work):
    begun, ended = threading.Event(), threading.Event()
    task = asyncio.create_task(work.run(lambda check: endless(check, begun, ended)))
    await asyncio.to_thread(begun.wait, 10)
    return task, ended


async def test_the_result_and_the_error_of_the_work_reach_the_caller():
    work = ThreadWork()
    assert await work.run(lambda check: (check(), 7)[1]) == 7
    with pytest.raises(ZeroDivisionError):
        await work.run(lambda _: 1 // 0)


async def test_a_caller_that_is_cancelled_leaves_no_thread_behind():
    task, ended = await run_endless(ThreadWork())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_closing_ends_what_runs_and_refuses_what_comes():
    work = ThreadWork()
    running = [await run_endless(work) for _ in range(3)]
    assert not work.closed
    await work.close()
    assert work.closed
    for task, ended in running:
        assert ended.is_set()
        with pytest.raises(StoppedError):
            await task
    with pytest.raises(StoppedError):
        await work.run(lambda _: 7)
    await work.close()


async def test_a_result_that_comes_too_late_is_disposed_of():
    begun, go_on, late = threading.Event(), threading.Event(), []

    def deaf(_check):
        begun.set()
        go_on.wait(10)
        return 7

    task = asyncio.create_task(ThreadWork().run(deaf, discard=late.append))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert late == [7]


async def test_a_failure_that_comes_too_late_troubles_nobody():
    begun, go_on = threading.Event(), threading.Event()

    def failing(_check):
        begun.set()
        go_on.wait(10)
        raise OSError

    task = asyncio.create_task(ThreadWork().run(failing))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
