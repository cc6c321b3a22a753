"""Which commit a unit should run: answered on a repository of 10,000 commits and 500 tags.

Warm: the gateway was asked before and nothing changed. Cold: the first question after a start, in a fresh process; the
time runs from the opening of the mirrors to the answer, without the start of the interpreter.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

from pepeunit_gateway.firmware.mirrors import MirrorCache
from pepeunit_gateway.firmware.versions import RepoRule, resolve
from tests.benchmarks.figure import Figure, Goal
from tests.benchmarks.long_history import COMMITS, TAGS, make_history

__all__ = ["NAMES", "measure"]

NAMES = ("versions.cold", "versions.page", "versions.warm")
ROUNDS = 200
STARTS = 9
PAGE = 20
WARM, COLD = Goal("<=", 5), Goal("<=", 200)
Question = Callable[[MirrorCache, UUID], Awaitable[object]]


def questions(oldest: str) -> dict[str, Question]:
    """The three ways to a version, the costliest of each kind, and pages of a branch."""

    def rule(*, auto: bool = True, only_tag: bool = False) -> RepoRule:
        return RepoRule("main", auto, is_compilable=False, is_only_tag_update=only_tag, default_commit=oldest)

    def page(offset: int, *, only_tag: bool = False) -> Question:
        return lambda mirrors, registry: mirrors.commits(registry, "main", offset=offset, limit=PAGE, only_tag=only_tag)

    return {
        "head": lambda mirrors, registry: resolve(mirrors, registry, rule(), None),
        "tag": lambda mirrors, registry: resolve(mirrors, registry, rule(only_tag=True), None),
        "commit": lambda mirrors, registry: resolve(mirrors, registry, rule(auto=False), None),
        "page.first": page(0),
        "page.last": page(COMMITS - PAGE),
        "page.tagged": page(TAGS - PAGE, only_tag=True),
    }


def open_mirrors(folder: Path) -> MirrorCache:
    return MirrorCache(folder / "mirrors", max_size=50 * 2**20, allow_private=False, allow_file=(folder,), timeout=60.0)


async def _ask_once(folder: Path, registry: UUID, name: str, oldest: str) -> float:
    begun = time.perf_counter()
    await questions(oldest)[name](open_mirrors(folder), registry)
    return (time.perf_counter() - begun) * 1000


def _cold(folder: Path, registry: UUID, name: str, oldest: str) -> float:
    """The median of fresh processes, in ms."""
    command = [sys.executable, "-m", "tests.benchmarks.versions", str(folder), str(registry), name, oldest]
    return statistics.median(
        json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout) for _ in range(STARTS)
    )


async def _warm(mirrors: MirrorCache, registry: UUID, question: Question) -> float:
    """The median, in ms."""
    times = []
    await question(mirrors, registry)
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        await question(mirrors, registry)
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


async def measure(names: set[str]) -> AsyncIterator[Figure | str]:
    """Yield the settings, each case, and the slowest of them."""
    yield f"versions: {COMMITS} commits, {TAGS} tags, the last tenth without"
    yield f"versions: warm: median of {ROUNDS} questions; cold and page: median of {STARTS} fresh processes"
    with tempfile.TemporaryDirectory(prefix="pepeunit-bench-versions-") as name:
        folder = Path(name)
        oldest = make_history(folder / "long.git")
        mirrors, registry = open_mirrors(folder), uuid4()
        await mirrors.sync(registry, f"file://{folder}/long.git", None)
        asked = questions(oldest)
        ways = [way for way in asked if not way.startswith("page")]
        pages = [way for way in asked if way.startswith("page")]
        for figure, chosen, goal in [("warm", ways, WARM), ("cold", ways, COLD), ("page", pages, COLD)]:
            if f"versions.{figure}" not in names:
                continue
            times = {}
            for way in chosen:
                if figure == "warm":
                    times[way] = await _warm(mirrors, registry, asked[way])
                else:
                    times[way] = await asyncio.to_thread(_cold, folder, registry, way, oldest)
                yield f"versions.{figure}: {way} {times[way]:.3f} ms"
            yield Figure(f"versions.{figure}", max(times.values()), "ms", goal)


if __name__ == "__main__":
    print(asyncio.run(_ask_once(Path(sys.argv[1]), UUID(sys.argv[2]), sys.argv[3], sys.argv[4])))
