"""Bare mirrors of the registered repositories: `<root>/<registry uuid>.git`.

What readers see is the state that the last complete sync published; syncs of one registry take turns, also between
processes. Source: protocol/firmware.md 7.1 to 7.4 without W6, W19, W34, W48 and W51 of protocol/pitfalls.md.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from pepeunit_gateway.errors import GitRepoError, RepositoryRegistryError
from pepeunit_gateway.firmware.addresses import resolve_host
from pepeunit_gateway.firmware.fetching import MirrorSync, SyncResult
from pepeunit_gateway.firmware.folders import folder_size
from pepeunit_gateway.firmware.git import Ceiling
from pepeunit_gateway.firmware.glances import glance, is_open
from pepeunit_gateway.firmware.history import Commit, History
from pepeunit_gateway.firmware.inventory import size_if_whole
from pepeunit_gateway.firmware.leftovers import remove_all_leftovers, remove_leftovers
from pepeunit_gateway.firmware.locks import hold_file_lock
from pepeunit_gateway.firmware.lru import Lru
from pepeunit_gateway.firmware.refs import REFS_FILE, Refs, load_refs, require_bounded
from pepeunit_gateway.firmware.remotes import Credentials, Remote
from pepeunit_gateway.firmware.turns import Turns
from pepeunit_gateway.firmware.upkeep import tidy_mirror
from pepeunit_gateway.firmware.urls import RepositoryUrl, check_file, parse_url
from pepeunit_gateway.firmware.web import Web
from pepeunit_gateway.topics import parse_uuid

__all__ = ["SHOWN_BRANCHES", "Commit", "Credentials", "MirrorCache", "SyncResult"]

SHOWN_BRANCHES = 10
"""How many names an error tells."""


_RESOLVE_LIMIT = 10.0
_LOOKS, _LOOKS_OF_ONE = 16, 8  # they cost next to nothing and mostly wait for a network
_FETCHES, _FETCHES_OF_ONE = 4, 3  # each git may take as much memory as Ceiling.of_mirror says
_KNOWN_REFS = 200_000  # branches and tags that are kept in memory, a few hundred bytes each

_T = TypeVar("_T")


class MirrorCache:
    """The mirrors below one folder.

    Args:
        root: made if missing, mode 0700; what killed syncs left there is removed at once (blocking, a few files).
        max_size: bytes that one mirror may take, PU_MAX_EXTERNAL_REPO_SIZE.
        allow_private: PU_GIT_ALLOW_PRIVATE.
        allow_file: PU_GIT_ALLOW_FILE.
        timeout: seconds for a sync once it is its turn, and as many to wait for each turn.
        patience: whole seconds for which a server may be silent.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_size: int,
        allow_private: bool,
        allow_file: tuple[Path, ...],
        timeout: float,
        patience: int = 20,
    ) -> None:
        self.max_size = max_size
        self.history = History(Ceiling.of_mirror(max_size))
        self.web = Web(allow_private=allow_private)
        self._root = root
        self._allow_private = allow_private
        self._allow_file = allow_file
        self._limit = timeout
        self._patience = patience
        self._looks = Turns(_LOOKS, _LOOKS_OF_ONE)
        self._fetches = Turns(_FETCHES, _FETCHES_OF_ONE)
        self._published: Lru[UUID, tuple[tuple[int, int], Refs]] = Lru(_KNOWN_REFS, lambda known: known[1].number + 1)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_all_leftovers(root)

    async def close(self) -> None:
        """Close connections to servers."""
        await self.web.close()

    def mirror(self, registry: UUID) -> Path:
        """Return the folder of a registry's mirror, whether it exists or not."""
        return self._root / f"{registry}.git"

    def exists(self, registry: UUID) -> bool:
        """Tell whether a complete mirror is there."""
        return self._find_refs(registry) is not None

    async def sync(
        self, registry: UUID, url: str, credentials: Credentials | None, *, owner: UUID | None = None
    ) -> SyncResult:
        """Fetch all branches and tags, or make the mirror if there is none.

        Of one `owner` some work at a time and never all that may, so that slow servers delay their own owner first.

        Raises:
            RepositoryRegistryError: the server cannot be reached, refuses, is too slow, or the repository is too
                large; the message says what to do. An older mirror goes on serving.
        """
        parsed = parse_url(url)
        async with self._waited(self._turn(registry)) as lock_fd:
            async with self._waited(self._looks.of(owner)), self._in_time(parsed):
                await asyncio.to_thread(self._check, parsed)
                answered, size = await self._compare(registry, Remote(parsed, credentials, ()))
            if size is not None:
                return SyncResult(changed=False, size=size)
            async with self._waited(self._fetches.of(owner)), self._in_time(parsed):
                remote = Remote(parsed, credentials, await self._addresses(parsed))
                return await self._fetch(registry, remote, lock_fd, probed=answered)

    @contextlib.asynccontextmanager
    async def _waited(self, turn: contextlib.AbstractAsyncContextManager[_T]) -> AsyncIterator[_T]:
        """Have a turn that is waited for no longer than one fetch may take."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._limit):
                    entered = await stack.enter_async_context(turn)
            except TimeoutError as error:
                raise RepositoryRegistryError(
                    f"Other fetches took all turns for {self._limit:g} s, perhaps from slow servers; try again later"
                ) from error
            yield entered

    @contextlib.asynccontextmanager
    async def _in_time(self, url: RepositoryUrl) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limit):
                yield
        except TimeoutError as error:
            raise RepositoryRegistryError(
                f"Fetching from {url.host or url.path} took longer than {self._limit:g} s; try again later"
            ) from error

    async def _compare(self, registry: UUID, remote: Remote) -> tuple[bool, int | None]:
        """Return whether the server answers, and the size of a whole mirror that has what the server announces."""
        published, mirror = self._find_refs(registry), self.mirror(registry)
        if published is None or mirror in self.history.rotten:
            return False, None
        size = await asyncio.to_thread(size_if_whole, mirror)
        if size is None or size > self.max_size:
            return False, None
        seen = await glance(self.web, remote, limit=self._patience, ceiling=Ceiling.of_mirror(self.max_size))
        if seen.refs is not None:
            require_bounded(seen.refs)
        return seen.answered, size if seen.refs == published else None

    async def _fetch(self, registry: UUID, remote: Remote, lock_fd: int, *, probed: bool) -> SyncResult:
        mirror = self.mirror(registry)
        rotten = mirror in self.history.rotten
        result = await MirrorSync(
            mirror=mirror,
            remote=remote,
            max_size=self.max_size,
            limit=self._limit,
            patience=self._patience,
            lock_fd=lock_fd,
            probed=probed,
            rotten=rotten,
        ).run()
        if rotten:
            self.history.rotten.discard(mirror)
        return result

    async def is_open(self, url: str) -> bool | None:
        """Tell whether anybody may read the repository there, without credentials; None if that cannot be found out."""
        return await is_open(self.web, parse_url(url), limit=self._patience)

    async def remove(self, registry: UUID) -> None:
        """Remove the mirror; waits for a running sync of it. None there is fine.

        Raises:
            RepositoryRegistryError: a running sync did not end in time.
        """
        mirror = self.mirror(registry)
        try:
            async with asyncio.timeout(self._limit), self._turn(registry):
                if mirror.exists():
                    mirror.rename(mirror.with_suffix(".removed"))
                await asyncio.to_thread(remove_leftovers, mirror)
                self._lock(registry).unlink(missing_ok=True)
        except TimeoutError as error:
            raise RepositoryRegistryError("A synchronisation is still running; try again later") from error
        self._published.drop_where(lambda known: known == registry)

    async def tidy(self, registry: UUID, *, now: float) -> int:
        """Free what the mirror takes for nothing and return the bytes; `now` is in seconds since 1970.

        Raises:
            GitRepoError, TimeoutError: as `tidy_mirror`.
        """
        ceiling = Ceiling.of_mirror(self.max_size)
        return await tidy_mirror(
            self.mirror(registry), self._lock(registry), now=now, limit=self._limit, ceiling=ceiling
        )

    def registries(self) -> set[UUID]:
        """Return the registries that have a mirror or something left of one."""
        found = (parse_uuid(entry.name.partition(".")[0]) for entry in self._root.glob("*.*"))
        return {uuid for uuid in found if uuid}

    async def size(self, registry: UUID) -> int:
        """Return the bytes on disk; 0 when there is no mirror."""
        return await asyncio.to_thread(folder_size, self.mirror(registry))

    async def branches(self, registry: UUID) -> list[str]:
        """Return all branches by name (W34)."""
        return sorted(self.refs(registry).heads)

    async def commits(self, registry: UUID, branch: str, *, offset: int, limit: int, only_tag: bool) -> list[Commit]:
        """Return a page of a branch, newest first; `limit` 0 gives none.

        Raises:
            GitRepoError: no mirror yet, or no such branch.
        """
        refs, head = self.refs(registry), self.head(registry, branch)
        page = self.history.tagged_page if only_tag else self.history.page
        return await page(self.mirror(registry), refs, head, offset=offset, limit=limit)

    async def read_file(self, registry: UUID, commit: str, path: str) -> bytes | None:
        """Return a file of at most 1 MiB as `commit` has it, None when it has none there.

        Raises:
            GitRepoError: no mirror yet, no such commit, or the file is larger.
        """
        self.refs(registry)
        return await self.history.read_file(self.mirror(registry), commit, path)

    async def newest_tagged(self, registry: UUID, branch: str) -> str | None:
        """Return the first tagged commit of a branch in the order of `commits`, None when it has no tag."""
        refs, head = self.refs(registry), self.head(registry, branch)
        return await self.history.newest_tagged(self.mirror(registry), refs, head)

    async def contains(self, registry: UUID, branch: str, commit: str) -> bool:
        """Tell whether `commit` (40 hex) lies on `branch`."""
        return await self.history.contains(self.mirror(registry), self.head(registry, branch), commit)

    def tag(self, registry: UUID, commit: str) -> str | None:
        """Return the tag of a commit; of several the lexicographically smallest."""
        return self.refs(registry).tag_of.get(commit)

    def tags(self, registry: UUID) -> Mapping[str, str]:
        """Return commit -> tag, as `tag` gives it; nothing before the first fetch."""
        refs = self._find_refs(registry)
        return {} if refs is None else refs.tag_of

    def key(self, registry: UUID) -> str | None:
        """Return the fingerprint of the published branches and tags; None before the first fetch."""
        refs = self._find_refs(registry)
        return None if refs is None else refs.key

    def head(self, registry: UUID, branch: str) -> str:
        """Return the newest commit of a branch.

        Raises:
            GitRepoError: no mirror yet, or no such branch; the message lists some that exist.
        """
        heads = self.refs(registry).heads
        if branch not in heads:
            known = ", ".join(sorted(heads)[:SHOWN_BRANCHES]) or "none, it is empty"
            raise GitRepoError(f"The repository has no branch {branch[:100]!r}; its branches are: {known}")
        return heads[branch]

    def refs(self, registry: UUID) -> Refs:
        """Return the published branches and tags.

        Raises:
            GitRepoError: the repository has not been fetched yet.
        """
        refs = self._find_refs(registry)
        if refs is None:
            raise GitRepoError("The repository has not been fetched yet; synchronise its registry first")
        return refs

    def _find_refs(self, registry: UUID) -> Refs | None:
        try:
            stat = (self.mirror(registry) / REFS_FILE).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        known = self._published.get(registry)
        if known is not None and known[0] == (stat.st_mtime_ns, stat.st_ino):
            return known[1]
        refs = load_refs(self.mirror(registry))
        if refs is not None:
            self._published.put(registry, ((stat.st_mtime_ns, stat.st_ino), refs))
        return refs

    def _lock(self, registry: UUID) -> Path:
        return self._root / f"{registry}.lock"

    @contextlib.asynccontextmanager
    async def _turn(self, registry: UUID) -> AsyncIterator[int]:
        async with hold_file_lock(self._lock(registry)) as descriptor:
            yield descriptor

    def _check(self, url: RepositoryUrl) -> None:
        """Check once more: settings and links in the file system may have changed since the registration."""
        if url.scheme == "file":
            check_file(url, self._allow_file)
        if url.scheme == "http" and not self._allow_private:
            raise RepositoryRegistryError("http:// needs PU_GIT_ALLOW_PRIVATE=true; use https://")

    async def _addresses(self, url: RepositoryUrl) -> tuple[str, ...]:
        """Check where the name leads just before git goes there."""
        if url.scheme == "file":
            return ()
        return await resolve_host(url.host, url.port, allow_private=self._allow_private, limit=_RESOLVE_LIMIT)
