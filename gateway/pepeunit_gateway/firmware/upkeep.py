"""Give back the disk that a mirror takes for nothing: what a force-push or a deleted branch left, and many small packs.

Only what no published branch or tag reaches goes, and only when they were published a while ago: whoever began to read
a commit of before has ended by then. Readers see no change, git finds every other object in the new pack.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from pepeunit_gateway.firmware.folders import folder_size
from pepeunit_gateway.firmware.git import Ceiling, GitOutput, git_environment, run_git
from pepeunit_gateway.firmware.inventory import size_if_whole, take_inventory
from pepeunit_gateway.firmware.locks import hold_file_lock
from pepeunit_gateway.firmware.refs import REFS_FILE, load_refs, parse_show_ref

__all__ = ["tidy_mirror"]

log = structlog.get_logger(__name__)

_PACK = ("-c", "pack.deltaCacheSize=16m", "repack", "-a", "-d", "-q", "--window-memory=32m")
_CALM = 600.0  # seconds since the last change of a branch or tag; a reader takes 30 s at most, and waits for its turn
_MAX_PACKS = 4
_WASTE_BYTES = 64 * 1024
_WASTE_SHARE = 0.1


async def tidy_mirror(mirror: Path, lock: Path, *, now: float, limit: float, ceiling: Ceiling) -> int:
    """Pack a mirror anew if that is worth it, and return the bytes freed; nothing is done to one that is in use.

    Args:
        mirror: a folder `<uuid>.git`.
        lock: of this mirror, which its syncs take too.
        now: seconds since 1970.
        limit: seconds for each git process, and to wait for a sync.
        ceiling: what each git process may take.

    Raises:
        TimeoutError: a sync or git took too long.
        GitRepoError: git is not installed.
    """
    async with asyncio.timeout(limit * 3), hold_file_lock(lock) as descriptor:
        try:
            calm = (mirror / REFS_FILE).stat().st_mtime <= now - _CALM
        except (FileNotFoundError, NotADirectoryError):
            return 0
        upkeep = _Upkeep(mirror, limit, ceiling, descriptor)
        if not calm or not await upkeep.is_published() or not await upkeep.is_wasteful():
            return 0
        return await upkeep.pack()


class _Upkeep:
    """The steps, under the mirror's lock."""

    def __init__(self, mirror: Path, limit: float, ceiling: Ceiling, lock_fd: int) -> None:
        self._mirror = mirror
        self._limit = limit
        self._ceiling = ceiling
        self._lock_fd = lock_fd

    async def is_published(self) -> bool:
        """Tell whether the mirror's refs are what readers see; after a killed sync they are not, until the next one."""
        listed = await self._git("show-ref", "--heads", "--tags", "--dereference")
        return parse_show_ref(listed.stdout) == load_refs(self._mirror)

    async def is_wasteful(self) -> bool:
        packs = await asyncio.to_thread(_pack_sizes, self._mirror)
        if len(packs) > _MAX_PACKS:
            return True
        counted = await self._git("rev-list", "--objects", "--all", "--disk-usage")
        if counted.code or not counted.stdout.strip().isdigit():
            return False  # git before 2.31, or a repository without a commit
        waste = sum(packs) - int(counted.stdout)
        return waste > max(_WASTE_BYTES, _WASTE_SHARE * sum(packs))

    async def pack(self) -> int:
        known = await asyncio.to_thread(size_if_whole, self._mirror)
        before = await asyncio.to_thread(folder_size, self._mirror)
        output = await self._git(*_PACK)
        if output.code:
            log.warning("git.mirror.repack_failed", mirror=self._mirror.name, reason=output.stderr[-200:])
            return 0
        after = await asyncio.to_thread(folder_size if known is None else take_inventory, self._mirror)
        return max(0, before - after)

    async def _git(self, *arguments: str) -> GitOutput:
        return await run_git(
            arguments,
            environment=git_environment(search_path=os.environ.get("PATH", os.defpath)),
            limit=self._limit,
            ceiling=self._ceiling,
            git_dir=self._mirror,
            pass_fds=(self._lock_fd,),
        )


def _pack_sizes(mirror: Path) -> Sequence[int]:
    return [pack.stat().st_size for pack in (mirror / "objects" / "pack").glob("*.pack")]
