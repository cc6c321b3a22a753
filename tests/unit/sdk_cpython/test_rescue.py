"""A program that cannot start gets its mend from the launcher."""

import asyncio
import contextlib
import json

import pytest

from pepeunit.backoff import Backoff
from pepeunit.launcher import Launcher
from pepeunit.rescue import Rescue
from tests.support.cpython_unit import DEADLINE, lay_out
from tests.support.device_server import Answer, DeviceServer, archive, digest, packed
from tests.support.micropython import COMMIT, UUID, env, schema

NEXT = "b" * 40
FIRMWARE = "/units/firmware/tgz/{unit}"
TARGET = "/units/get_target_version/{unit}"


class Bench:
    """A unit's folder, a gateway that answers as it is told, and what was said."""

    def __init__(self, directory, server):
        self.directory, self.server = directory, server
        lay_out(directory, env(server.port), schema(), main_py="broken(")
        self.lines = []
        self.rescue = Rescue(directory / "main.py", self.lines.append, interval=0.02, retry=Backoff(0.02, 0.02))

    def offer(self, name="main.py", commit=NEXT):
        files = {
            name: b"mended",
            "env.json": json.dumps(env(self.server.port, PU_COMMIT_VERSION=commit)).encode(),
            "schema.json": json.dumps(schema()).encode(),
        }
        body = packed(archive(files), 15)
        self.server.answers.setdefault(FIRMWARE, []).append(Answer(body=body, headers=digest(body)))

    def wants(self, commit):
        self.server.answers.pop(TARGET, None)
        self.server.json(TARGET, {"commit": commit, "tag": None})

    async def asked(self, path, times):
        await self.server.until(lambda: self.server.paths().count(path) >= times)

    async def installs(self):
        async with asyncio.timeout(DEADLINE):
            await self.rescue.run()
        return json.loads((self.directory / ".pepeunit/installed.json").read_text())["commit"]

    @contextlib.asynccontextmanager
    async def watching(self):
        task = asyncio.create_task(self.rescue.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def bench(tmp_path):
    async with DeviceServer(UUID) as server:
        yield Bench(tmp_path / "unit", server)


async def test_another_target_is_fetched_checked_and_put_in_place(bench):
    bench.wants(NEXT)
    bench.offer()
    assert await bench.installs() == NEXT
    assert (bench.directory / "main.py").read_bytes() == b"mended"
    assert bench.lines == ["the gateway wants bbbbbbbbbb instead of aaaaaaaaaa: fetching it", "bbbbbbbbbb is in place"]


async def test_the_installed_target_is_left_alone_and_asked_for_again_until_the_mend_is_pushed(bench):
    bench.wants(COMMIT)
    bench.offer()
    async with bench.watching() as task:
        await bench.asked(TARGET, 3)
        assert FIRMWARE not in bench.server.paths()
        assert bench.lines == []
        bench.wants(NEXT)
        async with asyncio.timeout(DEADLINE):
            await task
    assert (bench.directory / "main.py").read_bytes() == b"mended"


async def test_a_gateway_that_fails_is_told_once_and_asked_again(bench):
    bench.server.answers[TARGET] = [Answer(status=500)]
    bench.offer()
    async with bench.watching() as task:
        await bench.asked(TARGET, 4)
        (line,) = bench.lines
        assert "the gateway answered 500" in line
        bench.wants(NEXT)
        async with asyncio.timeout(DEADLINE):
            await task


async def test_a_gateway_that_asks_for_a_pause_gets_it(bench):
    bench.server.answers[TARGET] = [Answer(status=503, headers={"Retry-After": "3600"})]
    async with bench.watching():
        await bench.asked(TARGET, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await bench.server.until(lambda: bench.server.paths().count(TARGET) > 1)


async def test_a_version_that_cannot_run_here_changes_nothing_and_is_tried_again(bench):
    bench.wants(NEXT)
    bench.offer("other.py")
    before = (bench.directory / "main.py").read_bytes()
    async with bench.watching() as task:
        await bench.asked(FIRMWARE, 2)
        assert (bench.directory / "main.py").read_bytes() == before
        assert any("has no main.py" in line for line in bench.lines)
        bench.server.answers[FIRMWARE].clear()
        bench.offer()
        async with asyncio.timeout(DEADLINE):
            await task


async def test_a_version_that_failed_is_left_alone_for_a_while_and_another_one_is_not(bench):
    bench.rescue.retry = Backoff(1e9, 1e9)
    bench.wants(NEXT)
    bench.offer("other.py")
    async with bench.watching() as task:
        await bench.asked(TARGET, 5)
        assert bench.server.paths().count(FIRMWARE) == 1
        bench.server.answers[FIRMWARE].clear()
        bench.offer(commit="c" * 40)
        bench.wants("c" * 40)
        async with asyncio.timeout(DEADLINE):
            await task


async def test_a_broken_env_json_is_told_once_and_ends_nothing(bench):
    env_json = (bench.directory / "env.json").read_text()
    (bench.directory / "env.json").write_text("{")
    bench.wants(NEXT)
    bench.offer()
    async with bench.watching() as task:
        async with asyncio.timeout(DEADLINE):
            while not bench.lines:  # noqa: ASYNC110 - a list is filled, there is no event
                await asyncio.sleep(0.01)
        assert "env.json is not JSON" in bench.lines[0]
        (bench.directory / "env.json").write_text(env_json)
        async with asyncio.timeout(DEADLINE):
            await task
    assert len(bench.lines) == 3


async def test_the_mend_ends_a_long_wait_of_the_launcher(bench):
    launcher = Launcher(bench.directory / "main.py", say=bench.lines.append)
    launcher._rescue = bench.rescue
    bench.wants(COMMIT)
    bench.offer()
    wait = asyncio.create_task(launcher._wait(3600.0))
    await bench.asked(TARGET, 2)
    bench.wants(NEXT)
    async with asyncio.timeout(DEADLINE):
        assert await wait
    assert (bench.directory / "main.py").read_bytes() == b"mended"


async def test_the_launcher_asks_before_it_starts_a_program_again_however_short_the_wait(bench):
    launcher = Launcher(bench.directory / "main.py", say=bench.lines.append)
    launcher._rescue = bench.rescue
    bench.wants(COMMIT)
    assert not await launcher._wait(0.0)
    assert TARGET in bench.server.paths()
