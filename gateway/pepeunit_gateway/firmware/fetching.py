"""One sync of one mirror: fetch beside or into it, check its size, publish its refs.

A first fetch, and one that finds the mirror damaged or grown too large, builds a new mirror beside the old one and
exchanges the two. An ordinary fetch adds objects to the mirror in place; readers see nothing of it until the refs
are published (refs.py). Whatever fails leaves the last published state as it was (W19, W51).
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.folders import folder_size, remove_folder
from pepeunit_gateway.firmware.git import Ceiling, GitOutput, git_environment, run_git
from pepeunit_gateway.firmware.inventory import take_inventory
from pepeunit_gateway.firmware.leftovers import install, remove_leftovers
from pepeunit_gateway.firmware.probing import probe
from pepeunit_gateway.firmware.refs import Refs, load_refs, parse_show_ref, publish_refs, require_bounded
from pepeunit_gateway.firmware.remotes import Remote, fetch_error, is_damage, is_oversize

__all__ = ["MirrorSync", "SyncResult"]

log = structlog.get_logger(__name__)

_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_FETCH = ("fetch", "--no-tags", "--prune", "--no-auto-maintenance", "--no-write-fetch-head", "--no-recurse-submodules")
_REMOTE_COMMANDS = {"fetch", "ls-remote"}
_PACKET = " packet: "  # what GIT_TRACE_PACKET writes for each line of git's own protocol
_SERVED_BY = "git -c safe.directory=* upload-pack"  # a file:// repository may belong to somebody else
_WATCH_INTERVAL = 0.1
_MAX_PACKS = 16


@dataclass(frozen=True, slots=True)
class SyncResult:
    """`changed`: a branch or tag differs from what was published before; `size`: bytes of the mirror on disk."""

    changed: bool
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSync:
    """Brings one mirror up to date. The caller holds the lock `lock_fd` of this mirror.

    Args:
        mirror: the folder `<uuid>.git`; scratch folders are named after it.
        remote: where to fetch from.
        max_size: bytes that a mirror may take.
        limit: seconds for each git process.
        patience: seconds for which the server may be silent.
        lock_fd: handed to git, which so keeps the lock while it runs.
        probed: the server was heard of just now.
        rotten: readers found the mirror damaged, so that only a fresh one helps.
    """

    mirror: Path
    remote: Remote
    max_size: int
    limit: float
    patience: int
    lock_fd: int
    probed: bool
    rotten: bool

    async def run(self) -> SyncResult:
        """Do it.

        Raises:
            RepositoryRegistryError: with what to do; the old mirror goes on serving.
            TimeoutError: a git process took longer than `limit`.
        """
        await asyncio.to_thread(remove_leftovers, self.mirror)
        if self.remote.addresses and not self.probed:
            await probe(self.remote, limit=self.patience)
        before = load_refs(self.mirror)
        if before is None or self.rotten:
            return await self._build(before)
        try:
            after = await self._fetch(self.mirror)
        except (_DamagedError, _TooLargeError) as error:
            log.warning("git.mirror.rebuilt", mirror=self.mirror.name, reason=error.message)
            return await self._build(before)
        self._require_sound(before, after)
        changed = after != before
        if changed:
            await asyncio.to_thread(publish_refs, self.mirror, after)
            await self._repack()
        return SyncResult(changed, await asyncio.to_thread(take_inventory, self.mirror))

    async def _build(self, before: Refs | None) -> SyncResult:
        built = self.mirror.with_suffix(".building")
        try:
            output = await self._git(None, "init", "--quiet", "--bare", "--template=", "--end-of-options", str(built))
            if output.code:
                raise RepositoryRegistryError(f"No mirror can be made: {output.stderr[-200:]}")
            after = await self._fetch(built)
            self._require_sound(before, after)
            if not after.heads and not after.tags and self.remote.url.scheme != "file":
                await self._require_git_server()
            await asyncio.to_thread(publish_refs, built, after)
            size = await asyncio.to_thread(take_inventory, built)
            await asyncio.to_thread(install, built, self.mirror)
        finally:
            await asyncio.to_thread(remove_folder, built)
        return SyncResult(after != before, size)

    def _require_sound(self, before: Refs | None, after: Refs) -> None:
        require_bounded(after)
        if before is not None and before.heads and not after.heads:
            raise RepositoryRegistryError(
                f"The server at {self.remote.url.host or self.remote.url.path} announces no branches any more; "
                "the last good copy stays in use. If the repository was really emptied, remove its registry"
            )

    async def _require_git_server(self) -> None:
        """Tell an empty repository from a page, which git takes for one of a plain file server: no packet comes."""
        output = await self._git(None, "ls-remote", "--end-of-options", self.remote.url.text, GIT_TRACE_PACKET="1")
        if output.code:
            raise fetch_error(self.remote, output.stderr)
        if _PACKET not in output.stderr:
            raise RepositoryRegistryError(
                f"The server at {self.remote.url.host} answers, but not as a git server does; check that the URL is "
                "the repository's HTTPS clone URL and leads to no login page"
            )

    async def _fetch(self, git_dir: Path) -> Refs:
        """Fetch into `git_dir` under the size limit and return the refs it has now."""
        options = (f"--upload-pack={_SERVED_BY}",) if self.remote.url.scheme == "file" else ()
        arguments = (*_FETCH, *options, "--end-of-options", self.remote.url.text, *_REFSPECS)
        output = await self._watched(git_dir, arguments)
        if output.code:
            await self._check_size(git_dir)  # ended by the limit on files, git says nothing and leaves what it wrote
            raise self._failure(output.stderr)
        await self._check_size(git_dir)
        listed = await self._git(git_dir, "show-ref", "--heads", "--tags", "--dereference")
        if listed.code and listed.stderr:  # an empty repository: code 1 without a word
            raise _DamagedError(f"the mirror cannot be read: {listed.stderr[-200:]}")
        return parse_show_ref(listed.stdout)

    def _failure(self, stderr: str) -> RepositoryRegistryError:
        if is_oversize(stderr):
            return self._too_large()
        error = fetch_error(self.remote, stderr)
        return _DamagedError(error.message) if is_damage(stderr) else error

    def _too_large(self) -> "_TooLargeError":
        return _TooLargeError(
            f"The repository takes more than {self.max_size / 1024 / 1024:g} MiB; remove large files from its "
            "history, or the operator raises PU_MAX_EXTERNAL_REPO_SIZE (MiB)"
        )

    async def _watched(self, git_dir: Path, arguments: Sequence[str]) -> GitOutput:
        await self._check_size(git_dir)
        fetch = asyncio.create_task(self._git(git_dir, *arguments))
        try:
            while not (await asyncio.wait({fetch}, timeout=_WATCH_INTERVAL))[0]:
                await self._check_size(git_dir)
            return fetch.result()
        finally:
            fetch.cancel()
            await asyncio.wait({fetch})

    async def _check_size(self, git_dir: Path) -> None:
        if await asyncio.to_thread(folder_size, git_dir) > self.max_size:
            raise self._too_large()

    async def _repack(self) -> None:
        """Join many small packs into one, without what no ref reaches any more. A failure costs only disk."""
        packs = await asyncio.to_thread(_count_packs, self.mirror)
        if packs <= _MAX_PACKS:
            return
        try:
            output = await self._git(self.mirror, "repack", "-a", "-d", "-q", "--window-memory=32m")
        except TimeoutError:
            log.warning("git.mirror.repack_failed", mirror=self.mirror.name, reason="timeout", packs=packs)
            return
        if output.code:
            log.warning("git.mirror.repack_failed", mirror=self.mirror.name, reason=output.stderr[-200:], packs=packs)

    async def _git(self, git_dir: Path | None, *arguments: str, **variables: str) -> GitOutput:
        environment = git_environment(
            search_path=os.environ.get("PATH", os.defpath),
            protocols=self.remote.protocols,
            config=self._network_config() if arguments[0] in _REMOTE_COMMANDS else (),
        )
        output = await run_git(
            arguments,
            environment=environment | variables,
            limit=self.limit,
            ceiling=Ceiling.of_mirror(self.max_size),
            git_dir=git_dir,
            pass_fds=(self.lock_fd,),
        )
        return output.relative_to(self.mirror.parent)

    def _network_config(self) -> tuple[tuple[str, str], ...]:
        return (*self.remote.config(), ("http.lowSpeedTime", str(self.patience)))


class _DamagedError(RepositoryRegistryError):
    """The mirror on disk is of no more use."""


class _TooLargeError(RepositoryRegistryError):
    """Over the limit, perhaps only because of what earlier fetches left behind."""


def _count_packs(mirror: Path) -> int:
    return sum(1 for _ in (mirror / "objects" / "pack").glob("*.pack"))
