import asyncio

import pytest

from pepeunit.backoff import Backoff
from pepeunit.errand import Errand
from pepeunit.errors import RestError

DEADLINE = 10.0


class Lines:
    def __init__(self):
        self.warnings, self.errors = [], []

    def warning(self, text):
        self.warnings.append(text)

    def error(self, text):
        self.errors.append(text)


@pytest.fixture
async def start():
    """Run an errand in the background; it must be cancelled, not ended."""
    tasks = []

    def begin(action, backoff=None):
        log = Lines()
        errand = Errand("the errand", action, log, backoff or Backoff(0.0, 0.0))
        tasks.append(asyncio.create_task(errand.run()))
        return errand, log

    yield begin
    for task in tasks:
        assert not task.done()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("error", [RestError("cut"), OSError(28, "full"), KeyError("a mistake of ours")])
async def test_a_failure_is_logged_and_tried_again_until_it_succeeds(start, error):
    done = asyncio.Event()
    failures = [error] * 3

    async def action():
        if failures:
            raise failures.pop()
        done.set()

    errand, log = start(action)
    errand.request()
    async with asyncio.timeout(DEADLINE):
        await done.wait()
    assert len(log.warnings + log.errors) == 3
    assert all("the errand failed" in line for line in log.warnings + log.errors)


async def test_many_requests_are_one_run_and_one_more_for_those_that_came_meanwhile(start):
    runs = 0
    begun, go_on, second = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def action():
        nonlocal runs
        runs += 1
        begun.set()
        await go_on.wait()
        if runs == 2:
            second.set()

    errand, _log = start(action)
    for _ in range(5):
        errand.request()
    async with asyncio.timeout(DEADLINE):
        await begun.wait()
        for _ in range(5):
            errand.request()
        go_on.set()
        await second.wait()
    await asyncio.sleep(0)
    assert runs == 2


async def test_a_new_request_ends_a_long_pause(start):
    failed, done = asyncio.Event(), asyncio.Event()

    async def action():
        if not failed.is_set():
            failed.set()
            raise RestError("busy", status=429, retry_after=3600)
        done.set()

    errand, _log = start(action)
    errand.request()
    async with asyncio.timeout(DEADLINE):
        await failed.wait()
        await asyncio.sleep(0)
        errand.request()
        await done.wait()
