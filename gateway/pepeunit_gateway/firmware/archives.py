"""Archives of a unit's program: the files of a commit, packed once, with the unit's own env.json and schema.json.

`<root>/<registry uuid>/<commit>.<layout>.tar` is the plain ustar of a commit without anything of a unit; the cache may
be deleted at any time. A finished archive, which holds secrets, is an anonymous file that nobody else can open, cut or
delete (W49); it is gone with its last reader. Work that nobody waits for any more ends soon.
"""

import asyncio
import base64
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import UUID, uuid4

import structlog

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.folders import remove_folder
from pepeunit_gateway.firmware.history import check_commit
from pepeunit_gateway.firmware.mirrors import MirrorCache
from pepeunit_gateway.firmware.packing import ArchiveFormat, write_archive
from pepeunit_gateway.firmware.thread_work import Check, StoppedError, ThreadWork
from pepeunit_gateway.firmware.trees import PackPlan, pack_tree
from pepeunit_gateway.firmware.ustar import DamagedTarError

__all__ = ["Archive", "ArchiveCache", "ArchiveFormat"]

log = structlog.get_logger(__name__)

_LAYOUT = 1  # raise it when the same commit must be packed differently
_PARALLEL = 2
_ATTEMPTS = 3
_STALE = 3_600.0  # seconds after which an unfinished tar belongs to nobody


class Archive:
    """A finished archive: `size` bytes, `digest` is its raw SHA-256.

    Use as `async with archive:` and send `archive.chunks()`; the file is gone afterwards.
    """

    def __init__(self, file: BinaryIO, size: int, digest: bytes) -> None:
        self._file = file
        self.size = size
        self.digest = digest

    @property
    def repr_digest(self) -> str:
        """The value of the header Repr-Digest (decisions.md 13)."""
        return f"sha-256=:{base64.b64encode(self.digest).decode()}:"

    async def chunks(self, chunk_size: int = 65_536) -> AsyncIterator[bytes]:
        """Yield the whole content from its start, read in a thread."""
        await asyncio.to_thread(self._file.seek, 0)
        while part := await asyncio.to_thread(self._file.read, chunk_size):
            yield part

    async def read(self) -> bytes:
        """Return the whole content."""
        return b"".join([part async for part in self.chunks()])

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _ClosedError(GitRepoError):
    """The gateway is stopping; the same request may succeed after its next start."""

    status = 503


@dataclass(slots=True)
class _Packing:
    """A commit that is being packed, and how many wait for it."""

    task: asyncio.Task[None]
    waiting: int = 0


class ArchiveCache:
    """Builds archives; keeps the base tars of commits below one folder.

    Args:
        root: made when needed, mode 0700.
        mirrors: where commits are read.
        max_bytes: of all base tars together; those used longest ago go first.
    """

    def __init__(self, root: Path, mirrors: MirrorCache, *, max_bytes: int) -> None:
        self._root = root
        self._mirrors = mirrors
        self._max_bytes = max_bytes
        self._slots = asyncio.Semaphore(_PARALLEL)
        self._packing: dict[Path, _Packing] = {}
        self._threads = ThreadWork()

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
        """Return the archive of one unit; deterministic, mtimes are the commit's time.

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
        extra = {"env.json": env_json, "schema.json": schema_json}
        base = self._root / str(registry) / f"{commit}.{_LAYOUT}{'' if with_program else '.bare'}.tar"
        try:
            for _ in range(_ATTEMPTS):
                async with self._slots:
                    try:
                        return await self._threads.run(partial(_finish, base, extra, fmt), discard=Archive.close)
                    except FileNotFoundError:
                        pass  # not packed yet, or evicted
                    except DamagedTarError as error:
                        log.warning("firmware.archive.damaged", base=base.name, reason=str(error))
                        base.unlink(missing_ok=True)
                with suppress(FileNotFoundError):  # the cache was deleted under our hands
                    await self._pack_once(base, registry, commit, with_program=with_program)
        except StoppedError:
            raise _ClosedError("The gateway is stopping; ask again when it runs") from None
        raise GitRepoError("The archive's files vanish as soon as they are packed; check the gateway's data folder")

    async def remove(self, registry: UUID) -> None:
        """Forget the commits of a removed registry; whoever waits for one of them is told so.

        Remove its mirror first, or a later build packs a commit again.
        """
        folder = self._root / str(registry)
        await self._end([packing.task for base, packing in self._packing.items() if base.parent == folder])
        await asyncio.to_thread(remove_folder, folder)

    async def close(self) -> None:
        """Stop every build within the time that one chunk takes; those and later ones fail with status 503."""
        await self._threads.close()
        await self._end([packing.task for packing in self._packing.values()])

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _pack_once(self, base: Path, registry: UUID, commit: str, *, with_program: bool) -> None:
        """Pack a commit; callers at the same time share one run, which ends when the last of them has gone."""
        packing = self._packing.get(base)
        if packing is None:
            packing = _Packing(asyncio.create_task(self._pack(base, registry, commit, with_program=with_program)))
            packing.task.add_done_callback(partial(self._packed, base))
            self._packing[base] = packing
        packing.waiting += 1
        try:
            await asyncio.wait({packing.task})
        finally:
            packing.waiting -= 1
            if not packing.waiting and not packing.task.done():
                del self._packing[base]  # who comes now begins anew
                await self._end([packing.task])
        if not packing.task.cancelled():
            packing.task.result()
        elif not self._threads.closed:
            raise GitRepoError("The repository was removed meanwhile")

    def _packed(self, base: Path, task: asyncio.Task[None]) -> None:
        if base in self._packing and self._packing[base].task is task:
            del self._packing[base]
        if not task.cancelled():
            task.exception()  # every waiter may be gone; then nobody else asks for it

    async def _pack(self, base: Path, registry: UUID, commit: str, *, with_program: bool) -> None:
        if self._threads.closed:
            raise StoppedError
        self._mirrors.refs(registry)
        history, mirror = self._mirrors.history, self._mirrors.mirror(registry)
        if with_program:
            plan = await pack_tree(history, mirror, commit, max_size=self._mirrors.max_size)
        else:
            plan = PackPlan([], await history.commit_time(mirror, commit), BytesIO())
        try:
            await self._threads.run(partial(_store, base, plan.write))
        finally:
            plan.close()
        await asyncio.to_thread(_evict, self._root, self._max_bytes, base, time.time())


def _finish(base: Path, extra: dict[str, bytes], fmt: ArchiveFormat, check: Check) -> Archive:
    with base.open("rb") as source:
        os.utime(source.fileno())
        out = tempfile.TemporaryFile()  # noqa: SIM115 - owned by the Archive, which closes it
        try:
            digest = write_archive(source, extra, fmt, out, check=check)
            size = out.seek(0, os.SEEK_END)
        except BaseException:
            out.close()
            raise
    return Archive(out, size, digest)


def _store(base: Path, write: Callable[[BinaryIO, Check], None], check: Check) -> None:
    """Write a base tar beside its place and rename it, so that nobody ever sees a part of one."""
    base.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = base.with_suffix(f".{uuid4()}.new")
    try:
        with temporary.open("xb") as file:
            write(file, check)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(base)
    finally:
        temporary.unlink(missing_ok=True)


def _evict(root: Path, max_bytes: int, keep: Path, now: float) -> None:
    """Delete the tars used longest ago until the rest fits, never `keep`; leftovers of a killed gateway go as well."""
    found: list[tuple[float, int, Path]] = []
    for path in (Path(folder, name) for folder, _, names in os.walk(root) for name in names):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if path.suffix == ".tar":
            found.append((stat.st_mtime, stat.st_size, path))
        elif path.suffix == ".new" and stat.st_mtime < now - _STALE:
            path.unlink(missing_ok=True)
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= max_bytes:
            return
        if path != keep:
            path.unlink(missing_ok=True)
            total -= size
