"""Fetches that requests wait for."""

import asyncio
from uuid import uuid4

import pytest

from pepeunit_gateway.registry.catch_ups import CatchUps


class GitServer:
    """Counts fetches, which end when they are told to."""

    def __init__(self):
        self.asked = 0
        self.begun = asyncio.Event()
        self.answer = asyncio.get_running_loop().create_future()

    async def fetch(self):
        self.asked += 1
        self.begun.set()
        return await asyncio.shield(self.answer)


@pytest.fixture
async def server():
    return GitServer()


@pytest.fixture
async def catch_ups():
    made = CatchUps(patience=60, pause=60)
    yield made
    await made.close()


async def test_however_many_wait_the_server_is_asked_once(server, catch_ups):
    registry = uuid4()
    waiting = [asyncio.create_task(catch_ups.run(registry, server.fetch)) for _ in range(50)]
    await server.begun.wait()
    server.answer.set_result(True)
    assert await asyncio.gather(*waiting) == [True] * 50
    assert server.asked == 1
    assert await catch_ups.run(registry, server.fetch)
    assert server.asked == 2


async def test_after_a_failure_the_server_is_left_alone_for_a_while_and_others_are_not(server, catch_ups):
    registry = uuid4()
    server.answer.set_result(False)
    assert [await catch_ups.run(registry, server.fetch) for _ in range(3)] == [False] * 3
    assert server.asked == 1
    assert not await catch_ups.run(uuid4(), server.fetch)
    assert server.asked == 2


async def test_after_the_pause_it_is_asked_again(server):
    catch_ups, registry = CatchUps(pause=0), uuid4()
    server.answer.set_result(False)
    assert [await catch_ups.run(registry, server.fetch) for _ in range(3)] == [False] * 3
    assert server.asked == 3


async def test_nobody_waits_longer_than_the_patience_while_the_fetch_goes_on(server):
    catch_ups, registry = CatchUps(patience=0), uuid4()
    assert not await catch_ups.run(registry, server.fetch)
    await server.begun.wait()
    assert not await catch_ups.run(registry, server.fetch)
    assert server.asked == 1
    await catch_ups.close()


async def test_a_fetch_that_breaks_counts_as_failed(catch_ups):
    async def broken():
        raise ValueError("unforeseen")

    assert not await catch_ups.run(uuid4(), broken)
