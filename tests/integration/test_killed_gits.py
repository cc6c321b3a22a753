"""The git of a sync killed alone, at every change that it makes to the mirror: the old state stays, the next heals."""

import asyncio
import os
import signal
import threading
from pathlib import Path

import pytest

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware import fetching, git
from tests.support.git_server import GitServer
from tests.support.polling import until
from tests.support.repository import ServedRepository
from tests.support.watching import Watch

LONGEST = 80  # no fetch of this repository makes so many changes
MISSES = 4  # on a busy machine one git may end before its killer looks


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        yield served
        await served.close()


class Killer(threading.Thread):
    """Ends the next git with SIGKILL when `count` changes were seen in the watched folders: its group, or it alone."""

    def __init__(self, watches, count, kill):
        super().__init__(daemon=True)
        self.watches = watches
        self.count = count
        self.kill = kill
        self.groups = []
        self.killed = False
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            if self.groups and sum(len(watch.events()) for watch in self.watches) >= self.count:
                try:
                    self.kill(self.groups[-1], signal.SIGKILL)
                except ProcessLookupError:
                    return
                self.killed = True
                return


async def sync_killed_after(repository, count, kill, monkeypatch):
    """Synchronise and kill what fetches; tell whether it still ran then."""
    pack, refs = (repository.mirror / place for place in ("objects/pack", "refs"))
    original = asyncio.create_subprocess_exec
    with Watch(pack, changes_only=True) as packs, Watch(refs, changes_only=True) as heads:
        killer = Killer((packs, heads), count, kill)

        async def started(*arguments, **options):
            process = await original(*arguments, **options)
            if "fetch" in arguments:
                killer.groups.append(process.pid)
            return process

        with monkeypatch.context() as patched:
            patched.setattr(git.asyncio, "create_subprocess_exec", started)
            killer.start()
            problem = ""
            try:
                await repository.sync()
            except RepositoryRegistryError as error:
                problem = error.message
            finally:
                killer.ended.set()
                killer.join(20)
    assert killer.killed or not problem
    return killer.killed


@pytest.mark.parametrize("kill", [os.killpg, os.kill])
async def test_w19_a_git_that_is_killed_alone_leaves_the_old_state_and_the_next_sync_heals(
    repository, kill, monkeypatch
):
    monkeypatch.setattr(fetching, "_MAX_PACKS", 10_000)
    await repository.sync()
    served, kills, misses = repository.first, 0, 0
    for count in range(LONGEST):
        repository.tree.write("main.py", f"print({count})\n")
        repository.tree.git("tag", "--force", f"v{count}")
        newest = repository.tree.commit(f"number {count}")
        repository.tree.push()
        killed = await sync_killed_after(repository, count, kill, monkeypatch)
        assert repository.mirrors.head(repository.registry, "main") in {served, newest}
        assert await repository.main_py() is not None
        await repository.sync()
        assert repository.mirrors.head(repository.registry, "main") == newest
        assert await repository.main_py() == f"print({count})\n".encode()
        assert not [path for path in repository.mirror.rglob("*") if path.name.endswith((".lock", ".keep"))]
        assert not list(repository.mirror.glob("objects/pack/tmp_*"))
        assert repository.leftovers() == set()
        served = newest
        kills, misses = (kills + 1, 0) if killed else (kills, misses + 1)
        if misses == MISSES:
            break
    assert misses == MISSES, "git was killed however late"
    assert kills > 5


def is_gone(pid):
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


async def test_what_a_killed_git_had_started_does_not_outlive_its_sync(repository, monkeypatch):
    """Its helper hangs and holds the pipes and the lock; a program in the place of git shows that."""
    await repository.sync()
    program = repository.folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nsleep 1000 &\necho $! > {repository.folder}/helper\nkill -9 $$\n")
    program.chmod(0o755)
    repository.tree.commit("second")
    repository.tree.push()
    with monkeypatch.context() as patched:
        patched.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        with pytest.raises(RepositoryRegistryError, match="took longer than 1 s"):
            await repository.sync(repository.cache(timeout=1))
    helper = int((repository.folder / "helper").read_text())
    await until(lambda: asyncio.to_thread(is_gone, helper), bool)
    assert (await repository.sync()).changed
