"""The files of one commit as they go into archives: listed, filtered by .pepeignore, packed into one plain ustar.

Left out are links and submodules, `.git` in any spelling (W6), env.json and schema.json (generated per unit).
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pathspec import GitIgnoreSpec

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.history import History
from pepeunit_gateway.firmware.thread_work import Check
from pepeunit_gateway.firmware.ustar import Member, header, padding, trailer

__all__ = ["PackPlan", "TreeFile", "apply_ignore", "pack_tree", "parse_ls_tree", "parse_pepeignore"]

PEPEIGNORE = ".pepeignore"
_GENERATED = frozenset({"env.json", "schema.json"})
_REGULAR = {b"100644": False, b"100755": True}
_MAX_IGNORE_LINES = 1_000
_MAX_FILES = 20_000
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A regular file of a commit: `blob` is its object name, `size` its bytes."""

    path: str
    blob: str
    size: int
    is_executable: bool


def parse_ls_tree(output: bytes) -> list[TreeFile]:
    """Read `git ls-tree -r -z --long`; only regular files that belong into an archive.

    Raises:
        GitRepoError: a name is not UTF-8 or cannot be unpacked safely, or there are more than 20,000 files.
    """
    files: list[TreeFile] = []
    for row in output.split(b"\0")[:-1]:
        facts, _, raw = row.partition(b"\t")
        mode, _kind, blob, size = facts.split()
        if mode not in _REGULAR:
            continue
        try:
            path = raw.decode()
        except UnicodeDecodeError as error:
            raise GitRepoError(f"The file name {raw!r:.100} is not UTF-8; rename it") from error
        parts = path.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise GitRepoError(f"The path {path[:100]!r} cannot be unpacked safely; remove it from the repository")
        if parts[0] not in _GENERATED and not any(part.lower() == ".git" for part in parts):
            files.append(TreeFile(path, blob.decode(), int(size), _REGULAR[mode]))
    if len(files) > _MAX_FILES:
        raise GitRepoError(f"The commit has {len(files)} files; archives take at most {_MAX_FILES}")
    return files


def parse_pepeignore(data: bytes | None) -> GitIgnoreSpec:
    """Read .pepeignore, lines in the syntax of .gitignore; none of it ignores nothing.

    Raises:
        GitRepoError: not UTF-8, over 1,000 lines, or a line without meaning.
    """
    try:
        lines = (data or b"").decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise GitRepoError(f"{PEPEIGNORE} is not UTF-8 text; save it as UTF-8") from error
    if len(lines) > _MAX_IGNORE_LINES:
        raise GitRepoError(f"{PEPEIGNORE} has {len(lines)} lines; at most {_MAX_IGNORE_LINES}")
    for number, line in enumerate(lines, 1):
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError as error:
            raise GitRepoError(f"{PEPEIGNORE}, line {number}: {line[:80]!r} is no pattern; correct it") from error
    return GitIgnoreSpec.from_lines(lines)


def apply_ignore(spec: GitIgnoreSpec, files: Iterable[TreeFile]) -> list[TreeFile]:
    """Return the files that neither match themselves nor lie in a folder that matches.

    As in git, nothing inside an ignored folder can be brought back by a line with `!`.
    """
    folders: dict[PurePosixPath, bool] = {PurePosixPath(): False}

    def ignored(folder: PurePosixPath) -> bool:
        if folder not in folders:
            folders[folder] = ignored(folder.parent) or spec.match_file(f"{folder}/") or spec.match_file(str(folder))
        return folders[folder]

    return [file for file in files if not ignored(PurePosixPath(file.path).parent) and not spec.match_file(file.path)]


async def pack_tree(history: History, mirror: Path, commit: str, *, max_size: int) -> "PackPlan":
    """Read a commit and prepare its ustar; `PackPlan.write` does the rest in a thread.

    Raises:
        GitRepoError: no such commit, a name that does not fit, or more than `max_size` bytes of files.
    """
    mtime = await history.commit_time(mirror, commit)
    spec = parse_pepeignore(await history.read_file(mirror, commit, PEPEIGNORE))
    listing = await history.git(mirror, "ls-tree", "-r", "-z", "--long", "--full-tree", "--end-of-options", commit)
    if listing.code:
        raise GitRepoError(f"Commit {commit} cannot be read ({listing.stderr[-200:]}); synchronise its registry again")
    files = apply_ignore(spec, parse_ls_tree(listing.stdout))
    total = sum(file.size for file in files)
    if total > max_size:
        raise GitRepoError(
            f"The files of commit {commit} take {total} bytes, more than the {max_size} of PU_MAX_EXTERNAL_REPO_SIZE; "
            "list what devices do not need in .pepeignore"
        )
    blobs = tempfile.TemporaryFile()  # noqa: SIM115 - owned by the plan, which closes it
    try:
        wanted = "".join(f"{file.blob}\n" for file in files).encode()
        if files:
            await history.git(mirror, "cat-file", "--batch", stdin=wanted, stdout=blobs)
    except BaseException:
        blobs.close()
        raise
    return PackPlan(files, mtime, blobs)


@dataclass(frozen=True, slots=True)
class PackPlan:
    """The files of a commit in their order and, in `blobs`, what `git cat-file --batch` said of them."""

    files: list[TreeFile]
    mtime: int
    blobs: BinaryIO

    def close(self) -> None:
        """Give the temporary file back."""
        self.blobs.close()

    def write(self, out: BinaryIO, check: Check) -> None:
        """Write the ustar; blocking. `check` is called before each MiB at most; what it raises ends the work.

        Raises:
            GitRepoError: git did not deliver a file, or a name does not fit.
        """
        offsets = self._offsets()
        paths = {file.path: file for file in self.files}
        members = [
            Member(file.path, file.size, self.mtime, is_executable=file.is_executable) for file in self.files
        ] + [Member(folder, 0, self.mtime, is_dir=True) for folder in _folders(paths)]
        written = 0
        for member in sorted(members, key=lambda member: member.order):
            out.write(header(member))
            written += 512 + member.size + len(padding(member.size))
            if not member.is_dir:
                self.blobs.seek(offsets[paths[member.path].blob])
                _copy(self.blobs, out, member.size, check)
                out.write(padding(member.size))
        out.write(trailer(written))

    def _offsets(self) -> dict[str, int]:
        """Return where in `blobs` each blob's content begins."""
        offsets: dict[str, int] = {}
        self.blobs.seek(0)
        for file in self.files:
            if self.blobs.readline() != f"{file.blob} blob {file.size}\n".encode():
                raise GitRepoError(f"{file.path} cannot be read from the repository; synchronise its registry again")
            offsets[file.blob] = self.blobs.tell()
            self.blobs.seek(file.size + 1, 1)
        return offsets


def _folders(paths: Iterable[str]) -> set[str]:
    return {str(parent) for path in paths for parent in PurePosixPath(path).parents} - {"."}


def _copy(source: BinaryIO, out: BinaryIO, size: int, check: Check) -> None:
    while size:
        check()
        part = source.read(min(size, _CHUNK))
        if not part:
            raise GitRepoError("git delivered less than it announced; try again")
        out.write(part)
        size -= len(part)
