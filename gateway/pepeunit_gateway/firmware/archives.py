"""Archives of a unit's program: what all units of a commit share, packed once, and the unit's own files behind it.

`<root>/<registry uuid>/<commit>.<layout>.<what>.stem` holds the shared part and nothing of a unit, and ends with
`.rare` where hardly anybody asks for it; the folder may be deleted at any time, and several gateways may use it. Small
ones stay in memory as well, and archives made of them need no thread. Work that nobody waits for any more ends soon
(W49).
"""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import structlog

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.archive import Archive
from pepeunit_gateway.firmware.assembling import Order, assemble, derive, finish, pack
from pepeunit_gateway.firmware.evicting import RARE, STEM, Cleaned, evict, remove_orphans
from pepeunit_gateway.firmware.folders import remove_folder
from pepeunit_gateway.firmware.history import check_commit
from pepeunit_gateway.firmware.lru import Lru
from pepeunit_gateway.firmware.mirrors import MirrorCache
from pepeunit_gateway.firmware.packing import ArchiveFormat
from pepeunit_gateway.firmware.refusals import Refusals, UnfitError
from pepeunit_gateway.firmware.shared_runs import SharedRuns
from pepeunit_gateway.firmware.stems import DamagedStemError, Stem, mark_stem
from pepeunit_gateway.firmware.thread_work import Check, StoppedError, ThreadWork
from pepeunit_gateway.firmware.trees import PackPlan, pack_tree
from pepeunit_gateway.firmware.turns import Turns

__all__ = ["Archive", "ArchiveCache", "ArchiveFormat", "Cleaned"]

log = structlog.get_logger(__name__)

T = TypeVar("T")
_LAYOUT = 2  # raise it when the same commit must be packed differently
_PARALLEL = 2  # stems that are made at once, and as many archives that are finished
_SHARE = 1  # of these, for one registry
_ATTEMPTS = 3
_MEMORY = 16 * 1024 * 1024  # of all stems in memory
_RARE_MEMORY = 4 * 1024 * 1024  # of the rare ones, which never take the place of others
_MARK_INTERVAL = 60.0  # seconds in which a stem in memory is marked as used once


class _ClosedError(GitRepoError):
    """The gateway is stopping; the same request may succeed after its next start."""

    status = 503


@dataclass(frozen=True, slots=True)
class _Program:
    """A commit whose stems lie in `folder`, with or without its files."""

    folder: Path
    registry: UUID
    commit: str
    with_files: bool

    def path(self, fmt: ArchiveFormat) -> Path:
        what = "" if self.with_files else "bare-"
        return self.folder / f"{self.commit}.{_LAYOUT}.{what}{fmt.stem_name}{STEM if fmt.is_usual else RARE}"


def _wanted() -> None:
    """Nobody gives up work that takes no time."""


class ArchiveCache:
    """Builds archives; keeps the stems of commits below one folder.

    Args:
        root: made when needed, mode 0700.
        mirrors: where commits are read.
        max_bytes: of all files together; each registry is sure of an even share, see `evict`.
    """

    def __init__(self, root: Path, mirrors: MirrorCache, *, max_bytes: int) -> None:
        self._root = root
        self._mirrors = mirrors
        self._max_bytes = max_bytes
        self._usual: Lru[tuple[Path, bytes], Stem] = Lru(_MEMORY, lambda stem: stem.weight)
        self._rare: Lru[tuple[Path, bytes], Stem] = Lru(_RARE_MEMORY, lambda stem: stem.weight)
        self._refusals = Refusals()
        self._finishing = Turns(_PARALLEL, _SHARE)
        self._producing = Turns(_PARALLEL, _SHARE)
        self._making = SharedRuns[Path]()
        self._threads = ThreadWork(2 * _PARALLEL)

    async def build(
        self,
        registry: UUID,
        commit: str,
        env_json: bytes,
        schema_json: bytes,
        fmt: ArchiveFormat,
        *,
        with_program: bool = True,
    ) -> Archive:
        """Return the archive of one unit; deterministic, mtimes are the commit's time, its own files come last.

        Args:
            registry: whose mirror has the commit.
            commit: 40 hex.
            env_json: the unit's own.
            schema_json: the unit's own.
            fmt: what to write.
            with_program: the files of the commit too; without, .pepeignore is not even read (compiled Repos).

        Raises:
            GitRepoError: no such commit, or its files cannot be packed; the message says what to do.
        """
        check_commit(commit)
        program = _Program(self._root / str(registry), registry, commit, with_program)
        order = Order(program.path(fmt), fmt, {"env.json": env_json, "schema.json": schema_json})
        stems = self._usual if fmt.is_usual else self._rare
        known = stems.get(order.key)
        if known and known.is_whole and order.own_size <= fmt.quick and not self._threads.closed:
            now = time.time()
            if known.used < now - _MARK_INTERVAL:
                mark_stem(known, order.path, now)
            with suppress(FileNotFoundError):  # many small files have a long tail, and its folder was deleted just now
                return assemble(known, order, _wanted)

        def begin() -> Callable[[Check], tuple[Stem, Archive]]:
            return partial(finish, order, stems.get(order.key), time.time())

        try:
            stem, archive = await self._reading(
                program, fmt, self._finishing, begin, discard=lambda made: made[1].close()
            )
        except StoppedError:
            raise _ClosedError("The gateway is stopping; ask again when it runs") from None
        stems.put(order.key, stem)
        return archive

    async def remove(self, registry: UUID) -> None:
        """Forget the commits of a removed registry; whoever waits for one of them is told so.

        Remove its mirror first, or a later build packs a commit again.
        """
        folder = self._root / str(registry)
        await self._making.end(lambda path: path.parent == folder)
        for stems in (self._usual, self._rare):
            stems.drop_where(lambda key: key[0].parent == folder)
        self._refusals.forget(folder)
        await asyncio.to_thread(remove_folder, folder)

    async def clean(self, known: Collection[UUID], *, now: float) -> Cleaned:
        """Remove what killed gateways left, the stems of registries that are not `known`, and what is over the limit.

        `now` is in seconds since 1970. It may run at any time, also in several gateways.
        """
        kept = {self._root / str(registry) for registry in known}
        for stems in (self._usual, self._rare):
            stems.drop_where(lambda key: key[0].parent not in kept)
        orphans = await asyncio.to_thread(remove_orphans, self._root, known)
        return orphans + await asyncio.to_thread(evict, self._root, self._max_bytes, keep=None, now=now)

    async def close(self) -> None:
        """Stop every build within the time that one chunk takes; those and later ones fail with status 503."""
        await self._threads.close()
        await self._making.end()

    async def _reading(
        self,
        program: _Program,
        fmt: ArchiveFormat,
        turns: Turns,
        begin: Callable[[], Callable[[Check], T]],
        *,
        discard: Callable[[T], object] | None = None,
    ) -> T:
        """Return what a thread makes of a stem, which is made where it is missing or damaged.

        `begin` is called when it is our turn and returns what the thread does: who waited knows what others found out.
        """
        for _ in range(_ATTEMPTS):
            async with turns.of(program.registry):
                try:
                    return await self._threads.run(begin(), discard=discard)
                except FileNotFoundError:
                    pass  # not made yet, evicted, or deleted under our hands
                except DamagedStemError as error:
                    path = program.path(fmt)
                    log.warning("firmware.archive.damaged", file=path.name, reason=str(error))
                    path.unlink(missing_ok=True)
            with suppress(FileNotFoundError):  # the folder was deleted under our hands
                await self._make_once(program, fmt)
        raise GitRepoError("The archive's files vanish as soon as they are packed; check the gateway's data folder")

    async def _make_once(self, program: _Program, fmt: ArchiveFormat) -> None:
        """Make a stem; callers at the same time share one run, which ends when the last of them has gone."""
        made = await self._making.join(program.path(fmt), partial(self._make, program, fmt))
        if not made and not self._threads.closed:
            raise GitRepoError("The repository was removed meanwhile")

    async def _make(self, program: _Program, fmt: ArchiveFormat) -> None:
        begun = time.monotonic()
        path = program.path(fmt)
        if fmt.kind == "tar":
            await self._pack(program, path)
        else:
            tar = ArchiveFormat.tar()
            act = partial(derive, program.path(tar), path, fmt)
            await self._reading(program, tar, self._producing, lambda: act)
        log.info(
            "firmware.archive.made",
            registry=str(program.registry),
            commit=program.commit,
            stem=fmt.stem_name,
            seconds=round(time.monotonic() - begun, 3),
        )
        await asyncio.to_thread(evict, self._root, self._max_bytes, keep=path, now=time.time())

    async def _pack(self, program: _Program, path: Path) -> None:
        if self._threads.closed:
            raise StoppedError
        self._mirrors.refs(program.registry)
        self._refusals.check(path, time.monotonic())
        try:
            async with self._producing.of(program.registry):
                plan = await self._plan(program)
                try:
                    await self._threads.run(partial(pack, path, plan))
                finally:
                    plan.close()
        except UnfitError as error:
            self._refusals.note(path, error, time.monotonic())
            raise

    async def _plan(self, program: _Program) -> PackPlan:
        history, mirror = self._mirrors.history, self._mirrors.mirror(program.registry)
        if not program.with_files:
            return PackPlan([], await history.commit_time(mirror, program.commit), BytesIO())
        return await pack_tree(
            history,
            mirror,
            program.commit,
            max_size=self._mirrors.max_size,
            threads=self._threads,
            scratch=self._root,
        )
