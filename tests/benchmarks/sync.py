"""A synchronisation of 100 registries where nothing changed: what the gateway spends and which processes it starts.

The gateway runs in this process, with its rows in SQLite; the git server, a real `git http-backend`, in another one.
The same registries are then fetched the plain way, which it takes where it does not know that a mirror is whole.
Processes are counted by git itself (GIT_TRACE2_EVENT), in a round of their own: every git and all that it starts.
"""

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

from pepeunit_gateway.firmware import fetching, glances
from pepeunit_gateway.registry.syncing import sync_repository
from tests.benchmarks.figure import Figure, Goal
from tests.support.gateway import GatewayUnderTest
from tests.support.git_server import GitServer, WorkTree

__all__ = ["NAMES", "measure"]

NAMES = ("sync.cpu", "sync.processes")
REGISTRIES = 100
ROUNDS = 5
NEVER = 86_400.0


@dataclass(frozen=True)
class Spent:
    """Processor and other seconds of one round."""

    own: float
    children: float
    seconds: float

    @property
    def cpu(self) -> float:
        return self.own + self.children


@contextmanager
def git_server(root: Path) -> Iterator[str]:
    """Serve the repositories below a folder from a process of its own; yields `http://host:port`."""
    command = [sys.executable, "-m", "tests.benchmarks.sync", str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate()  # the end of its input ends it


def make_repositories(root: Path) -> None:
    """One small program with three tags, and as many copies of it as there are registries."""
    server = GitServer(root)
    tree = WorkTree.create(root.parent / "work", bare=server.bare("r0"))
    for number in range(3):
        tree.write("main.py", f"print({number})\n")
        tree.commit(f"number {number}")
        tree.tag(f"v{number}", message="one")
    tree.push()
    for number in range(1, REGISTRIES):
        subprocess.run(["cp", "-r", str(root / "r0.git"), str(root / f"r{number}.git")], check=True, timeout=60)


async def register(gateway: GatewayUnderTest, origin: str) -> list[UUID]:
    owner = await gateway.user("alice")
    made = []
    for number in range(REGISTRIES):
        body = {"platform": "Git", "repository_url": f"{origin}/r{number}.git", "is_public_repository": True}
        made.append(UUID((await owner.made("/repository_registry", body))["uuid"]))
    return made


async def sync_all(gateway: GatewayUnderTest, registries: list[UUID]) -> Spent:
    """Synchronise all at once, as far as the gateway lets them."""
    begun, before = time.perf_counter(), _cpu()
    results = await asyncio.gather(*(sync_repository(gateway.registry.context, uuid) for uuid in registries))
    own, children = (after - earlier for after, earlier in zip(_cpu(), before, strict=True))
    assert all(succeeded and not changed for succeeded, changed in (result[:2] for result in results)), results
    return Spent(own, children, time.perf_counter() - begun)


def forget(gateway: GatewayUnderTest, registries: list[UUID]) -> None:
    """Take away what tells that the mirrors are whole: the next synchronisation is a plain fetch."""
    for uuid in registries:
        (gateway.registry.context.mirrors.mirror(uuid) / "pepeunit-files.json").unlink()


async def measure(names: set[str]) -> AsyncIterator[Figure | str]:
    """Yield the settings and, for both ways, the processes and the cheapest of some rounds."""
    yield f"sync: {REGISTRIES} registries without news, SQLite, git http-backend; the cheapest of {ROUNDS} rounds"
    with tempfile.TemporaryDirectory(prefix="pepeunit-bench-sync-") as name:
        folder = Path(name)
        make_repositories(folder / "git")
        with git_server(folder / "git") as origin:
            async with GatewayUnderTest(folder / "data", repo_poll_interval=NEVER) as gateway:
                registries = await register(gateway, origin)
                quick = [await sync_all(gateway, registries) for _ in range(ROUNDS)]
                with counted(folder / "quick") as started:
                    await sync_all(gateway, registries)
                plain = []
                for _ in range(ROUNDS):
                    forget(gateway, registries)
                    plain.append(await sync_all(gateway, registries))
                forget(gateway, registries)
                with counted(folder / "plain") as started_plainly:
                    await sync_all(gateway, registries)
    for kind, rounds, counts in [("look", quick, started), ("plain fetch", plain, started_plainly)]:
        best = min(rounds, key=lambda spent: spent.cpu)
        yield (
            f"sync: {kind}: {len(counts)} processes; CPU {best.cpu:.3f} s, of that processes {best.children:.3f} s; "
            f"{best.seconds:.2f} s"
        )
    if "sync.processes" in names:
        yield Figure("sync.processes", len(started), "processes", Goal("<=", 0))
    if "sync.cpu" in names:
        cpu = min(spent.cpu for spent in quick)
        yield Figure("sync.cpu", cpu, "s")
        yield Figure("sync.cpu.of-plain", cpu / min(spent.cpu for spent in plain), "x", Goal("<=", 0.25))


@contextmanager
def counted(folder: Path) -> Iterator[list[Path]]:
    """Let every git process that is started meanwhile leave a file; the list is full at the end."""
    folder.mkdir()
    files: list[Path] = []
    original = fetching.run_git

    async def traced(arguments: Any, *, environment: Any, **options: Any) -> Any:
        return await original(arguments, environment=environment | {"GIT_TRACE2_EVENT": str(folder)}, **options)

    with patch.object(fetching, "run_git", traced), patch.object(glances, "run_git", traced):
        yield files
    files += folder.iterdir()


def _cpu() -> tuple[float, float]:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time(), usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    with GitServer(Path(sys.argv[1])) as running:
        print(f"http://127.0.0.1:{running.port}", flush=True)
        sys.stdin.read()
