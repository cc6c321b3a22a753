"""Syncs, a removal and the packing of an archive, killed at every step: before and after each file effect and program.

    python -m tests.support.killed_syncs FOLDER OLD_URL NEW_URL fetch rebuild        prints one JSON report per act

Per act a mirror of the old repository is made and kept, a whole run counts the points, then the act runs again once
per point and is ended there by SIGKILL. A git that it had started lives on, as it would. What is there then must be the
old or the new repository, complete; the next sync must bring the new one and leave nothing beside it.
"""

import hashlib
import json
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware import fetching
from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from pepeunit_gateway.firmware.mirrors import MirrorCache
from pepeunit_gateway.logs import configure_logs
from tests.support.killing import Points, Report, checked, forked

__all__ = ["ACTS"]

REGISTRY = UUID(int=7)
MAX_SIZE = 300_000
JUNK = 350_000

State = dict[str, Any]


class Place:
    """The caches of one gateway below a folder, and the two repositories."""

    def __init__(self, folder: Path, old: str, new: str) -> None:
        self.kept = folder / "kept"
        self.used = folder / "used"
        self.old = old
        self.new = new

    @property
    def mirror(self) -> Path:
        return self.used / "mirrors" / f"{REGISTRY}.git"

    def set_back(self) -> None:
        """Let `used` be a copy of `kept`; a git of the last round may still write into it."""
        while self.used.exists():
            shutil.rmtree(self.used, ignore_errors=True)
        shutil.copytree(self.kept, self.used)

    @asynccontextmanager
    async def opened(self):
        """Open the caches as a start of the gateway does."""
        mirrors = MirrorCache(
            self.used / "mirrors", max_size=MAX_SIZE, allow_private=True, allow_file=(), timeout=40, patience=20
        )
        archives = ArchiveCache(self.used / "archives", mirrors, max_bytes=MAX_SIZE)
        try:
            yield mirrors, archives
        finally:
            await archives.close()
            await mirrors.close()


async def _prepare(place: Place, act: str) -> None:
    """Make the world before the act in `used`, and keep it."""
    place.used.mkdir()
    async with place.opened() as (mirrors, archives):
        if act != "first":
            await mirrors.sync(REGISTRY, place.old, None)
        if act == "rebuild_oversized":
            (place.mirror / "objects" / "junk").write_bytes(bytes(JUNK))
        if act == "rebuild_damaged":
            (place.mirror / "refs" / "heads" / "broken").write_text("no object\n")
        if act == "archive_again":
            await _build(mirrors, archives)
            for stem in (place.used / "archives").rglob("*.*"):
                stem.write_bytes(stem.read_bytes()[:-9] + b"123456789")
    place.used.rename(place.kept)


async def _build(mirrors: MirrorCache, archives: ArchiveCache) -> None:
    commit = mirrors.head(REGISTRY, "main")
    for fmt in (ArchiveFormat.tgz(), ArchiveFormat.zip()):
        async with await archives.build(REGISTRY, commit, b"{}", b"{}", fmt) as archive:
            await archive.read()


async def _sync(place: Place, mirrors: MirrorCache, _archives: ArchiveCache) -> None:
    await mirrors.sync(REGISTRY, place.new, None)


async def _remove(_place: Place, mirrors: MirrorCache, archives: ArchiveCache) -> None:
    await mirrors.remove(REGISTRY)
    await archives.remove(REGISTRY)


async def _archive(_place: Place, mirrors: MirrorCache, archives: ArchiveCache) -> None:
    await _build(mirrors, archives)


Act = Callable[[Place, MirrorCache, ArchiveCache], Awaitable[None]]
ACTS: dict[str, Act] = {
    "first": _sync,
    "fetch": _sync,
    "rebuild_oversized": _sync,
    "rebuild_damaged": _sync,
    "remove": _remove,
    "archive": _archive,
    "archive_again": _archive,
}


async def _act(place: Place, act: str, last: int | None) -> list[str]:
    points = Points(last)
    fetching._MAX_PACKS = 0  # every fetch is followed by a repack, which so is killed too
    run_git = fetching.run_git

    async def counted(arguments: Any, **options: Any) -> Any:
        output = await run_git(arguments, **options)
        points.passed(f"after git {arguments[0]}")
        return output

    fetching.run_git = counted
    async with place.opened() as (mirrors, archives):
        with points.watch_files(half_written=True):
            await ACTS[act](place, mirrors, archives)
        return points.labels


async def _look(place: Place) -> State:
    """Return what a gateway that starts now serves: every branch with its history, and the digest of an archive."""
    async with place.opened() as (mirrors, archives):
        try:
            refs = mirrors.refs(REGISTRY)
        except GitRepoError:
            return {}
        state: State = {"heads": dict(refs.heads), "tags": dict(refs.tags)}
        for branch in refs.heads:
            page = await mirrors.commits(REGISTRY, branch, offset=0, limit=100, only_tag=False)
            state[f"history of {branch}"] = [one.commit for one in page]
        async with await archives.build(REGISTRY, refs.heads["main"], b"{}", b"{}", ArchiveFormat.tgz()) as archive:
            state["archive"] = hashlib.sha256(await archive.read()).hexdigest()
        return state


async def _go_on(place: Place) -> list[str]:
    """Synchronise once more, as the next poll does, and return what lies where nothing should."""
    async with place.opened() as (mirrors, _):
        await mirrors.sync(REGISTRY, place.new, None)
    beside = {path.name for path in place.mirror.parent.iterdir()} - {f"{REGISTRY}.git", f"{REGISTRY}.lock"}
    scratch = [path for path in place.mirror.rglob("*") if path.name.startswith(("tmp_", ".tmp-"))]
    scratch += [path for path in place.mirror.rglob("*") if path.name.endswith((".lock", ".keep", ".new"))]
    return sorted([*beside, *(path.name for path in scratch)])


async def _judge(place: Place) -> tuple[State, list[str], State]:
    """Return what is served now, what the next sync leaves, and what is served then."""
    return await _look(place), await _go_on(place), await _look(place)


def _state(place: Place) -> State:
    return checked(forked(partial(_look, place)), "looking")


def sweep(place: Place, act: str) -> Report:
    """Kill one act at each of its points."""
    checked(forked(partial(_prepare, place, act)), f"the world before {act}")
    place.set_back()
    before = _state(place)
    place.set_back()
    labels = checked(forked(partial(_act, place, act, None)), act)
    after = _state(place)
    checked(forked(partial(_go_on, place)), "the next sync")
    newest = _state(place)
    report = Report(act, points=len(labels))
    for number, label in enumerate(labels, 1):
        place.set_back()
        status, _ = forked(partial(_act, place, act, number))
        if status not in (-signal.SIGKILL, 0):
            raise RuntimeError(f"{act} was not killed at point {number} of {len(labels)}: {status}")
        report.missed += status == 0
        where = f"{number}: {label}"
        now, left, then = checked(forked(partial(_judge, place)), f"{act}, killed at {where}")
        report.nothing += now == before
        report.whole += now == after
        if now not in (before, after):
            report.mixtures.append(f"{where}: {sorted(key for key in now if now[key] != before.get(key))}")
        if left or then != newest:
            report.mixtures.append(f"{where}: the next sync left {left} or did not bring the new repository")
    return report


def main(arguments: list[str]) -> None:
    folder, old, new, *acts = arguments
    configure_logs("json", "CRITICAL")  # standard output is for the reports
    for act in acts:
        place = Place(Path(folder) / act, old, new)
        place.kept.parent.mkdir()
        print(json.dumps(asdict(sweep(place, act))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
