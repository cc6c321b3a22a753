"""Servers that answer a byte at a time hold what their own user may have at work, and nobody else's fetches."""

import asyncio
import shutil
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from pepeunit_gateway.errors import RepositoryRegistryError
from tests.support.gateway import GatewayUnderTest
from tests.support.git_server import Fault, GitServer
from tests.support.polling import until
from tests.support.repository import ServedRepository
from tests.support.sample_program import sample_tree

MANY = 17  # more than work at once in any case


def dribbling(released: threading.Event) -> Fault:
    """A fetch is answered with a word of progress now and then, never with a pack."""

    def drops():
        yield b"000dpackfile\n"
        while not released.wait(0.2):
            yield b"0006\2."

    return Fault(endless=drops)


@pytest.fixture
def released():
    event = threading.Event()
    yield event
    event.set()


def body(url: str) -> dict[str, object]:
    return {"platform": "Git", "repository_url": url, "is_public_repository": True}


async def test_w21_many_dribbling_servers_of_one_user_stop_no_fetch_of_another(tmp_path, released):
    with GitServer(tmp_path / "slow") as slow, GitServer(tmp_path / "honest") as honest:
        sample_tree(honest, tmp_path / "work")
        sample_tree(slow, tmp_path / "other")
        for number in range(MANY):
            shutil.copytree(slow.bare("sample"), slow.root / f"r{number}.git")
        slow.fault = dribbling(released)
        async with GatewayUnderTest(tmp_path / "data", repo_poll_interval=3600) as gateway:
            alice, mallory = await gateway.user("alice"), await gateway.user("mallory")
            urls = [slow.url(f"r{number}") for number in range(MANY)]
            held = [asyncio.create_task(mallory.post("/repository_registry", body(url))) for url in urls]

            async def begun() -> tuple[int, int]:
                """How many are registered, and how many fetches the slow server has begun to answer."""
                count = (await alice.get("/repository_registry", {"limit": 1})).body["count"]
                return count, sum(request.startswith("POST") for request, _ in slow.requests)

            await until(begun, lambda seen: seen[0] == MANY and seen[1] >= 6)
            made = await alice.made("/repository_registry", body(honest.url("sample")))
            assert (made["sync_status"], made["branches"]) == ("Updated", ["main"])
            assert not any(task.done() for task in held)
            released.set()
            replies = await asyncio.gather(*held)
    assert {reply.body["sync_status"] for reply in replies} == {"Error"}


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        await served.sync()
        yield served
        await served.close()


async def test_w21_many_silent_first_looks_of_one_user_stop_no_look_of_another(repository):
    """The turns are held here as looks at silent servers would hold them."""
    cache, owner, ended = repository.mirrors, uuid4(), asyncio.Event()

    async def look() -> None:
        async with cache._looks.of(owner):
            await ended.wait()

    held = [asyncio.create_task(look()) for _ in range(MANY)]
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        assert not (await cache.sync(repository.registry, repository.url, None, owner=uuid4())).changed
    ended.set()
    await asyncio.gather(*held)


async def test_who_waits_for_a_turn_too_long_is_told_so_and_not_that_the_server_is_slow(repository):
    cache, owner = repository.cache(timeout=0.5), uuid4()
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(cache._fetches.of(owner))
        with pytest.raises(RepositoryRegistryError, match=r"Other fetches took all turns for 0\.5 s"):
            await cache.sync(uuid4(), repository.url, None, owner=owner)
    assert repository.server.requests[-1][0].startswith("POST"), "nothing was asked since the first sync"
