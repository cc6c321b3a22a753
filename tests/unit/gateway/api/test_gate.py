"""How many requests are worked on at a time."""

import asyncio

import pytest
from aiohttp import web

from pepeunit_gateway.api.failures import RequestError
from pepeunit_gateway.api.gate import Gate


class _Request:
    def __init__(self, path="/x"):
        self.path = path


async def test_one_too_many_is_told_to_come_again_and_health_always_passes():
    gate = Gate(most=2)
    enter = gate.middleware()
    go_on = asyncio.Event()

    arrived = asyncio.Semaphore(0)

    async def work(_request):
        arrived.release()
        await go_on.wait()
        return web.Response()

    waiting = [asyncio.create_task(enter(_Request(), work)) for _ in range(2)]
    for _ in waiting:
        await arrived.acquire()
    with pytest.raises(RequestError, match="too many requests") as caught:
        await enter(_Request(), work)
    assert caught.value.status == 503
    health = asyncio.create_task(enter(_Request("/healthz"), work))
    go_on.set()
    assert {(await task).status for task in (*waiting, health)} == {200}
    assert gate.inside == 0


async def test_a_failure_gives_its_place_back():
    gate = Gate(most=1)

    async def fail(_request):
        raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError, match=r"^$"):
            await gate.middleware()(_Request(), fail)
    assert gate.inside == 0
