"""A Redis that cannot be read is tried again more and more seldom."""

import asyncio
from random import Random

import pytest

from pepeunit_gateway.bus import redis
from pepeunit_gateway.bus.redis import RedisBus
from tests.support.ports import free_port
from tests.support.redis import RedisServer

PAUSES = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


class Naps:
    """asyncio as the bus sees it, whose sleeps are noted and take no time."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self.enough = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)

    async def sleep(self, delay: float) -> None:
        self.taken.append(delay)
        if len(self.taken) == len(PAUSES):
            self.enough.set()
            await asyncio.Event().wait()


class NoJitter(Random):
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@pytest.fixture(params=["away", "unreadable", "read only"])
def url(request, tmp_path):
    if request.param == "away":
        yield f"redis://127.0.0.1:{free_port()}/0"
        return
    with RedisServer(tmp_path / "redis") as server:
        if request.param == "unreadable":
            server.command("SET pepeunit:changes text")  # every read of the stream is answered with an error
        else:
            server.command(f"REPLICAOF 127.0.0.1 {free_port()}")
        yield server.url


async def test_b15_a_stream_that_cannot_be_read_is_tried_with_growing_pauses(url, monkeypatch):
    """B15: the reader went round as fast as it could."""
    naps = Naps()
    monkeypatch.setattr(redis, "asyncio", naps)
    bus = RedisBus(url, random=NoJitter())
    try:
        async with asyncio.timeout(20):
            await bus.start()
            await naps.enough.wait()
    finally:
        await bus.stop()
    assert naps.taken == pytest.approx(PAUSES)
