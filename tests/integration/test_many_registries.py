"""The poll with many registries: each has its turn in every interval, whatever other git servers do."""

import asyncio
from collections import Counter
from uuid import UUID, uuid4

import pytest

from pepeunit_gateway.app import open_registry
from pepeunit_gateway.jobs import repository_poll
from pepeunit_gateway.jobs.repository_poll import RepositoryPoll
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.tables import repository_registry
from tests.support.databases import address_for
from tests.support.polling import until

INTERVAL, PATIENCE = 1.0, 0.2
SILENT, TALKING, EACH = 10, 25, 8


class Servers:
    """Git servers of which some never answer, and are given up; what they are asked is counted instead of fetched."""

    def __init__(self, silent: set[UUID], server_of: dict[UUID, str]) -> None:
        self._silent = silent
        self._server_of = server_of
        self.asked: Counter[UUID] = Counter()
        self.busiest: Counter[str] = Counter()
        self._busy: Counter[str] = Counter()

    async def sync(self, _context, uuid, **_):
        server = self._server_of[uuid]
        self.asked[uuid] += 1
        self._busy[server] += 1
        self.busiest[server] = max(self.busiest[server], self._busy[server])
        try:
            await asyncio.sleep(PATIENCE if uuid in self._silent else 0)
        finally:
            self._busy[server] -= 1
        return uuid not in self._silent, False


@pytest.fixture
async def registry(tmp_path):
    settings = Settings(data_dir=tmp_path, sqlalchemy_database_url=address_for(tmp_path), domain="a.example")
    async with open_registry(settings) as opened:
        yield opened


async def fill(registry) -> dict[UUID, str]:
    """Register EACH repositories on every server; return their servers."""
    now = registry.context.clock()
    names = [f"silent-{n}.example" for n in range(SILENT)] + [f"talking-{n}.example" for n in range(TALKING)]
    server_of = {uuid4(): name for name in names for _ in range(EACH)}
    common = {"platform": "Git", "create_datetime": now, "last_update_datetime": now, "sync_status": "Updated"}
    rows = [
        {"uuid": uuid, "repository_url": f"https://{name}/{uuid}.git", **common} for uuid, name in server_of.items()
    ]
    async with registry.context.act() as act:
        await act.connection.execute(repository_registry.insert(), rows)
    return server_of


async def test_w21_servers_that_are_silent_take_nobody_elses_turn(registry, monkeypatch):
    server_of = await fill(registry)
    silent = {uuid for uuid, name in server_of.items() if name.startswith("silent")}
    servers = Servers(silent, server_of)
    monkeypatch.setattr(repository_poll, "sync_repository", servers.sync)
    poll = RepositoryPoll(registry, INTERVAL)
    await poll.look()
    clock = asyncio.create_task(poll.keep_time())
    try:
        talking = server_of.keys() - silent

        async def fewest():
            return min(servers.asked[uuid] for uuid in talking)

        assert await until(fewest, lambda count: count >= 5) >= 5
        assert max(servers.busiest.values()) <= 2
        assert sum(servers.asked[uuid] for uuid in silent) < sum(servers.asked[uuid] for uuid in talking)
    finally:
        clock.cancel()
        await asyncio.gather(clock, return_exceptions=True)
        await poll.stop()
    assert poll._fetching == {}


async def test_a_stop_right_after_the_beginning_ends(registry, monkeypatch):
    server_of = await fill(registry)
    servers = Servers(set(server_of), server_of)
    monkeypatch.setattr(repository_poll, "sync_repository", servers.sync)
    poll = RepositoryPoll(registry, INTERVAL)
    await poll.look()
    async with asyncio.timeout(10):
        await poll.stop()
    assert poll._fetching == {}


async def test_a_server_has_one_lane_however_it_is_written(registry):
    now = registry.context.clock()
    common = {"platform": "Git", "create_datetime": now, "last_update_datetime": now, "sync_status": "Updated"}
    urls = ["https://git.example/a.git", "https://GIT.example:443/b.git", "https://git.example./c.git"]
    async with registry.context.act() as act:
        rows = [{"uuid": uuid4(), "repository_url": url, **common} for url in urls]
        await act.connection.execute(repository_registry.insert(), rows)
    found = await RepositoryPoll(registry, INTERVAL)._registered(None)
    assert {one.server for one in found.values()} == {"git.example:443"}
