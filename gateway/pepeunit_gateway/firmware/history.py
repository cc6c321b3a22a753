"""Questions about the commits of a mirror, each answered by at most one git process and remembered (W48).

Everything remembered is keyed by object names or by the fingerprint of the published refs, so it never goes stale.
"""

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.git import Ceiling, GitOutput, git_environment, run_git
from pepeunit_gateway.firmware.lru import Lru
from pepeunit_gateway.firmware.refs import Refs
from pepeunit_gateway.firmware.remotes import is_rot

__all__ = ["Commit", "History", "check_commit"]

_READ_LIMIT = 30.0
_PARALLEL = 4
_NEAR = 500  # commits that are looked through for a tag before all are
_MAX_FILE = 1024 * 1024
_MAX_KEPT = 64 * 1024
_MAX_LISTING = 64 * 1024 * 1024
_MAX_SUMMARY = 4_096
_MAX_TIME = 2**33 - 1  # what a tar can say
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a branch; `summary` is its whole subject (W34) up to 4,096 characters.

    `tag` is the lexicographically smallest on it.
    """

    commit: str
    summary: str
    tag: str | None


class History:
    """Reads any mirror; at most four git processes at once, 30 s each.

    Attributes:
        rotten: mirrors that turned out to be damaged while they were read; only a fresh one helps them.

    Args:
        ceiling: memory of each process; what it writes goes to us, so its files are counted elsewhere.
    """

    def __init__(self, ceiling: Ceiling) -> None:
        self.rotten: set[Path] = set()
        self._ceiling = replace(ceiling, file=None)
        self._slots = asyncio.Semaphore(_PARALLEL)
        self._tagged: Lru[tuple[str, str], tuple[str, ...]] = Lru(256)
        self._newest: Lru[tuple[str, str], str] = Lru(1_024)
        self._contained: Lru[tuple[str, str], bool] = Lru(4_096)
        self._files: Lru[tuple[Path, str, str], tuple[bytes | None]] = Lru(512)

    async def git(
        self,
        mirror: Path,
        *arguments: str,
        stdin: bytes = b"",
        stdout: BinaryIO | None = None,
        max_output: int = _MAX_LISTING,
    ) -> GitOutput:
        """Run a reading git command.

        Raises:
            GitRepoError: it took longer than 30 s, or printed more than `max_output` bytes.
        """
        async with self._slots:
            try:
                output = await run_git(
                    arguments,
                    environment=git_environment(search_path=os.environ.get("PATH", os.defpath)),
                    limit=_READ_LIMIT,
                    ceiling=self._ceiling,
                    git_dir=mirror,
                    stdin=stdin,
                    stdout=stdout,
                    max_output=max_output,
                )
            except TimeoutError as error:
                raise GitRepoError(
                    f"Reading the repository took longer than {_READ_LIMIT:g} s; try again later"
                ) from error
        if output.stderr and is_rot(output.stderr):
            self.rotten.add(mirror)
        return output.relative_to(mirror.parent)

    async def page(self, mirror: Path, refs: Refs, head: str, *, offset: int, limit: int) -> list[Commit]:
        """Return the commits below `head`, newest first in git's default order."""
        if limit <= 0:
            return []
        return await self._list(mirror, refs, f"--skip={offset}", f"--max-count={limit}", commits=[head])

    async def tagged_page(self, mirror: Path, refs: Refs, head: str, *, offset: int, limit: int) -> list[Commit]:
        """Return the tagged commits below `head` in the same order."""
        commits = (await self.tagged(mirror, refs, head))[offset : offset + limit] if limit > 0 else ()
        return await self._list(mirror, refs, "--no-walk=unsorted", commits=commits) if commits else []

    async def tagged(self, mirror: Path, refs: Refs, head: str) -> tuple[str, ...]:
        """Return all tagged commits below `head`, newest first."""
        known = self._tagged.get((head, refs.key))
        if known is not None:
            return known
        output = await self.git(mirror, "rev-list", "--end-of-options", head, "--") if refs.tags else None
        found = tuple(commit for commit in _lines(output) if commit in refs.tag_of) if output else ()
        self._tagged.put((head, refs.key), found)
        return found

    async def newest_tagged(self, mirror: Path, refs: Refs, head: str) -> str | None:
        """Return the first of `tagged`, mostly without walking the whole history; None when there is none."""
        known = self._tagged.get((head, refs.key))
        if known is None and refs.tags:
            found = self._newest.get((head, refs.key))
            if found is not None:
                return found
            limit = f"--max-count={_NEAR}"
            output = await self.git(mirror, "rev-list", limit, "--end-of-options", head, "--")
            found = next((commit for commit in _lines(output) if commit in refs.tag_of), None)
            if found is not None:
                self._newest.put((head, refs.key), found)
                return found
        return next(iter(await self.tagged(mirror, refs, head)), None)

    async def contains(self, mirror: Path, head: str, commit: str) -> bool:
        """Tell whether `commit` (40 hex) lies on the branch that ends at `head`."""
        if commit == head:
            return True
        if not _COMMIT.fullmatch(commit):
            return False
        known = self._contained.get((head, commit))
        if known is None:
            output = await self.git(mirror, "merge-base", "--is-ancestor", "--end-of-options", commit, head)
            known = output.code == 0
            self._contained.put((head, commit), known)
        return known

    async def read_file(self, mirror: Path, commit: str, path: str) -> bytes | None:
        """Return a file of at most 1 MiB as `commit` has it, or None when it has none there.

        Raises:
            GitRepoError: no such commit, or the file is larger.
        """
        known = self._files.get((mirror, commit, path))
        if known is not None:
            return known[0]
        check_commit(commit)
        output = await self.git(
            mirror, "cat-file", "--batch", stdin=f"{commit}\n{commit}:{path}\n".encode(), max_output=_MAX_FILE * 2
        )
        data = _second_blob(output.stdout, commit)
        if data is not None and len(data) > _MAX_FILE:
            raise GitRepoError(f"{path} has {len(data)} bytes; at most {_MAX_FILE} are read")
        if data is None or len(data) <= _MAX_KEPT:
            self._files.put((mirror, commit, path), (data,))
        return data

    async def commit_time(self, mirror: Path, commit: str) -> int:
        """Return the committer's time in seconds since 1970, 0 to 2**33 - 1.

        Raises:
            GitRepoError: no such commit.
        """
        check_commit(commit)
        output = await self.git(
            mirror, "rev-list", "--no-walk", "--no-commit-header", "--format=%H %ct", "--end-of-options", commit, "--"
        )
        found, _, when = output.stdout.strip().partition(b" ")  # of a tag, git tells the commit
        if output.code or found != commit.encode():
            raise _no_commit(commit)
        return min(int(when), _MAX_TIME) if when.isdigit() else 0  # a commit may have any date or none

    async def _list(self, mirror: Path, refs: Refs, *options: str, commits: Sequence[str]) -> list[Commit]:
        output = await self.git(
            mirror,
            "rev-list",
            "--no-commit-header",
            "--encoding=UTF-8",
            "--format=tformat:%H %s",
            *options,
            "--end-of-options",
            *commits,
            "--",
        )
        rows = [line.partition(" ") for line in _lines(output)]
        return [Commit(commit, summary[:_MAX_SUMMARY], refs.tag_of.get(commit)) for commit, _, summary in rows]


def check_commit(commit: str) -> None:
    """Refuse what is not the full name of a commit.

    Raises:
        GitRepoError: not 40 lower-case hexadecimal digits.
    """
    if not _COMMIT.fullmatch(commit):
        raise GitRepoError(f"There is no commit {commit[:60]!r}; write its 40 hexadecimal digits")


def _lines(output: GitOutput) -> list[str]:
    if output.code:
        raise GitRepoError(f"The repository's history cannot be read ({output.stderr[-200:]}); synchronise it again")
    return output.stdout.decode(errors="replace").split("\n")[:-1]


def _second_blob(output: bytes, commit: str) -> bytes | None:
    """Take the second answer of `cat-file --batch` apart; the first one tells whether the commit exists."""
    head, _, rest = output.partition(b"\n")
    words = head.split()
    if len(words) != 3 or words[1] != b"commit":  # noqa: PLR2004 - name, type, size
        raise _no_commit(commit)
    head, _, rest = rest[int(words[2]) + 1 :].partition(b"\n")
    words = head.split()
    if len(words) != 3 or words[1] != b"blob":  # noqa: PLR2004 - name, type, size
        return None
    return rest[: int(words[2])]


def _no_commit(commit: str) -> GitRepoError:
    return GitRepoError(f"The repository has no commit {commit}; synchronise it or choose another commit")
