"""Mirrors whose sync fails, is cut or killed: what is left, and how it heals."""

import asyncio
import contextlib
import random
import socket
import sys
import threading
from pathlib import Path

import pytest

from pepeunit_gateway.errors import ApiError, RepositoryRegistryError
from tests.support.endless import endless_list, endless_pack, endless_progress
from tests.support.git_server import Fault, GitServer
from tests.support.repository import MIB, ServedRepository


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        yield served
        await served.close()


async def arrived(fault: Fault):
    assert await asyncio.to_thread(fault.arrived.wait, 20), "no request reached the server"


def noise(size):
    return random.Random(size).randbytes(size)


ADVERTISED = "application/x-git-upload-pack-advertisement"
FAULTS = [
    (Fault(status=500), "error of its own"),
    (Fault(status=404), "no git repository"),
    (Fault(status=403), "refuses access"),
    (Fault(status=301, headers={"Location": "http://127.0.0.1:1/x.git/info/refs"}), "register the final URL"),
    (Fault(cut_after=0), "broke off"),
    (Fault(cut_after=100), "broke off"),
    (Fault(status=200, headers={"Content-Type": "text/html"}, body=b"<html>"), "announces no branches"),
    (Fault(status=200, headers={"Content-Type": ADVERTISED}, body=b"\0" * 999), "failed: "),
    (Fault(endless=endless_pack), r"more than 2 MiB; .* PU_MAX_EXTERNAL_REPO_SIZE"),
]


@pytest.mark.parametrize(("fault", "hint"), FAULTS)
async def test_w19_whatever_the_server_does_the_old_mirror_goes_on_serving(repository, fault, hint):
    await repository.sync()
    repository.tree.write("main.py", noise(200_000))
    second = repository.tree.commit("second")
    repository.tree.push()
    repository.server.fault = fault
    with pytest.raises(RepositoryRegistryError, match=hint):
        await repository.sync(repository.cache(max_size=2 * MIB))
    assert repository.mirrors.head(repository.registry, "main") == repository.first
    assert await repository.main_py() == b"print('one')\n"
    assert repository.leftovers() == set()
    repository.server.fault = Fault()
    assert (await repository.sync()).changed
    assert repository.mirrors.head(repository.registry, "main") == second


async def test_w19_a_server_that_is_down_leaves_the_old_mirror(repository):
    await repository.sync()
    url = repository.url
    repository.server.stop()
    with pytest.raises(RepositoryRegistryError, match=r"127\.0\.0\.1:\d+ cannot be reached; check that it runs"):
        await repository.mirrors.sync(repository.registry, url, None)
    assert await repository.main_py() == b"print('one')\n"


async def test_an_unreachable_server_leaves_no_half_made_mirror(repository):
    repository.server.fault = Fault(status=500)
    with pytest.raises(RepositoryRegistryError):
        await repository.sync()
    assert not repository.mirrors.exists(repository.registry)
    assert repository.leftovers() == set()


async def test_a_server_that_does_not_answer_is_given_up_after_the_time_limit(repository):
    await repository.sync()
    repository.server.fault = Fault(release=threading.Event())
    with pytest.raises(RepositoryRegistryError, match=r"longer than 0\.5 s"):
        await repository.sync(repository.cache(timeout=0.5))
    assert await repository.main_py() == b"print('one')\n"


@pytest.mark.parametrize("command", ["GET", "POST"])
async def test_a_server_that_takes_a_request_and_is_silent_is_given_up_soon(repository, command):
    silent = repository.cache(patience=1)
    repository.server.fault = Fault(release=threading.Event(), held=command)
    async with asyncio.timeout(10):
        with pytest.raises(RepositoryRegistryError, match="sent nothing for too long"):
            await repository.sync(silent)
    repository.server.fault.release.set()
    assert repository.leftovers() == set()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_server_that_takes_a_connection_and_is_silent_is_given_up_soon(repository, scheme):
    silent = repository.cache(patience=1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        async with asyncio.timeout(10):
            with pytest.raises(RepositoryRegistryError, match=r"did not answer within 1 s|sent nothing for too long"):
                await silent.sync(repository.registry, f"{scheme}://127.0.0.1:{port}/sample.git", None)


async def test_a_server_that_only_talks_is_given_up_after_the_time_limit(repository):
    await repository.sync()
    repository.tree.commit("second")
    repository.tree.push()
    repository.server.fault = Fault(endless=endless_progress)
    with pytest.raises(RepositoryRegistryError, match=r"longer than 1 s"):
        await repository.sync(repository.cache(timeout=1))
    assert await repository.main_py() == b"print('one')\n"


async def test_a_first_answer_without_end_takes_neither_memory_nor_the_old_version(repository):
    """The list of branches is read by git too, which is ended by the limit on its memory."""
    await repository.sync()
    repository.server.fault = Fault(endless=endless_list, held="GET")
    with pytest.raises(RepositoryRegistryError, match="too much memory"):
        await repository.sync(repository.cache(max_size=MIB))
    assert await repository.main_py() == b"print('one')\n"


async def test_a_slow_server_that_lives_is_waited_for(repository):
    repository.server.fault = Fault(pause=0.5)
    await repository.sync(repository.cache(patience=1))
    assert await repository.main_py() == b"print('one')\n"


async def test_a_private_address_needs_the_operators_permission(repository):
    with pytest.raises(RepositoryRegistryError, match="PU_GIT_ALLOW_PRIVATE"):
        await repository.sync(repository.cache(allow_private=False))
    assert repository.server.requests == []


async def test_a_damaged_mirror_heals_at_the_next_sync(repository):
    await repository.sync()
    for pack in repository.mirror.glob("objects/pack/*"):
        pack.unlink()
    repository.tree.commit("second")
    repository.tree.push()
    assert (await repository.sync()).changed
    assert await repository.main_py() == b"print('one')\n"


async def test_locks_and_packs_of_a_killed_git_do_not_stand_in_the_way(repository):
    await repository.sync()
    (repository.mirror / "packed-refs.lock").touch()
    (repository.mirror / "refs/heads/main.lock").touch()
    (repository.mirror / "objects/pack/tmp_pack_x").write_bytes(b"half")
    second = repository.tree.commit("second")
    repository.tree.push()
    assert (await repository.sync()).changed
    assert repository.mirrors.head(repository.registry, "main") == second
    assert not list(repository.mirror.rglob("tmp_pack_*"))


async def test_two_syncs_of_one_registry_take_turns(repository):
    results = await asyncio.gather(*(repository.sync() for _ in range(4)))
    assert sorted(result.changed for result in results) == [False, False, False, True]


async def test_readers_are_served_while_a_sync_is_running(repository):
    await repository.sync()
    fault = repository.server.fault = Fault(release=threading.Event())
    running = asyncio.create_task(repository.sync())
    await arrived(fault)
    assert await repository.main_py() == b"print('one')\n"
    commits = await repository.mirrors.commits(repository.registry, "main", offset=0, limit=1, only_tag=False)
    assert commits[0].commit == repository.first
    fault.release.set()
    assert not (await running).changed


KILLED = """
import asyncio, sys
from pathlib import Path
from uuid import UUID
from pepeunit_gateway.firmware.mirrors import MirrorCache

mirrors = MirrorCache(Path(sys.argv[1]), max_size=2**30, allow_private=True, allow_file=(), timeout=60)
asyncio.run(mirrors.sync(UUID(sys.argv[2]), sys.argv[3], None))
"""


@pytest.mark.parametrize("synced_before", [True, False])
async def test_w19_a_gateway_killed_during_a_sync_leaves_the_old_state(repository, synced_before):
    if synced_before:
        await repository.sync()
    second = repository.tree.commit("second")
    repository.tree.push()
    fault = repository.server.fault = Fault(release=threading.Event())
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(repository.folder / "mirrors"), str(repository.registry), repository.url
    )
    await arrived(fault)
    gateway.kill()
    await gateway.wait()

    after = repository.cache()  # the next start, while the orphaned git still runs
    assert after.exists(repository.registry) is synced_before
    if synced_before:
        assert after.head(repository.registry, "main") == repository.first
    fault.release.set()
    repository.server.fault = Fault()
    assert (await repository.sync(after)).changed
    assert after.head(repository.registry, "main") == second
    repository.cache()
    assert repository.leftovers() == set()


async def test_a_half_built_mirror_is_removed_at_the_next_start(repository):
    half = repository.folder / "mirrors" / f"{repository.registry}.building"
    (half / "objects").mkdir(parents=True)
    mirrors = repository.cache()
    assert not half.exists()
    assert not mirrors.exists(repository.registry)


async def test_a_gateway_killed_between_the_renames_of_an_exchange_gets_its_mirror_back(repository):
    await repository.sync()
    repository.mirror.rename(repository.mirror.with_suffix(".old"))
    assert repository.cache().head(repository.registry, "main") == repository.first
    assert repository.leftovers() == set()


@pytest.mark.parametrize("step", ["make", "fetch", "read"])
async def test_where_the_mirrors_lie_is_in_no_error(repository, monkeypatch, step):
    """What `sync_error` and answers say, strangers read; a program in the place of git tells what it was given."""
    if step != "make":
        await repository.sync()
        repository.tree.commit("second")
        repository.tree.push()
    program = repository.folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor last; do :; done\necho "fatal: strange: $1 $last" >&2\nexit 128\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    reading = repository.mirrors.commits(repository.registry, "main", offset=0, limit=1, only_tag=False)
    with contextlib.closing(reading), pytest.raises(ApiError, match=f"{repository.registry}") as caught:
        await (reading if step == "read" else repository.sync())
    assert str(repository.folder) not in caught.value.message
