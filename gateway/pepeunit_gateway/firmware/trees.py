"""The files of one commit as they go into archives: listed, filtered by .pepeignore, packed into one plain ustar.

Left out are links and submodules, `.git` in any spelling (W6), env.json and schema.json (generated per unit). Trees
come from strangers: git lets them hold any bytes as names, also twice, and any number of each other.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.archive import scratch_file
from pepeunit_gateway.firmware.history import History
from pepeunit_gateway.firmware.pepeignore import PEPEIGNORE, PepeIgnore, parse_pepeignore
from pepeunit_gateway.firmware.refusals import UnfitError
from pepeunit_gateway.firmware.thread_work import Check, ThreadWork
from pepeunit_gateway.firmware.ustar import Member, header, padding

__all__ = ["PackPlan", "TreeFile", "apply_ignore", "check_paths", "pack_tree", "parse_ls_tree"]

_GENERATED = frozenset({"env.json", "schema.json"})
_REGULAR = {b"100644": False, b"100755": True}
_MAX_FILES = 20_000
_MAX_PATH = 1_024
_MAX_LISTING = 16 * 1024 * 1024
_SELECT_LIMIT = 5.0  # seconds of a processor
_CHUNK = 1024 * 1024
_HIDDEN_IN_HFS = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])
_GIT_FOLDER = re.compile(r"(\.git|git~1)[ .]*(:.*)?", re.IGNORECASE | re.DOTALL)
_FACTS = re.compile(rb"(\d+) \w+ ([0-9a-f]{40}) +(\d+|-|BAD)")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]")


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
        GitRepoError: a path is not UTF-8, leaves its folder or has over 1,024 bytes, a file is missing, or there are
            more than 20,000.
    """
    rows = output.split(b"\0")[:-1]
    if len(rows) > _MAX_FILES:
        raise UnfitError(f"The commit has {len(rows)} files; archives take at most {_MAX_FILES}")
    files: list[TreeFile] = []
    for row in rows:
        facts, _, raw = row.partition(b"\t")
        found = _FACTS.fullmatch(facts)
        if found is None:
            raise GitRepoError(
                f"The list of files holds {row!r:.100}, which is no file; synchronise the registry again"
            )
        mode, blob, size = found.groups()
        if mode not in _REGULAR:
            continue
        try:
            path = raw.decode()
        except UnicodeDecodeError as error:
            raise UnfitError(f"The file name {raw!r:.100} is not UTF-8; rename it") from error
        if len(raw) > _MAX_PATH:
            raise UnfitError(f"The path {path[:100]!r}... has {len(raw)} bytes; at most {_MAX_PATH}, shorten it")
        parts = path.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise UnfitError(f"The path {path[:100]!r} cannot be unpacked safely; remove it from the repository")
        if not size.isdigit():  # BAD: git has not got it
            raise GitRepoError(f"{path[:100]!r} cannot be read from the repository; synchronise its registry again")
        if parts[0] not in _GENERATED and not any(map(_is_git_folder, parts)):
            files.append(TreeFile(path, blob.decode(), int(size), _REGULAR[mode]))
    return files


def _is_git_folder(name: str) -> bool:
    """Tell whether some file system takes the name for `.git`, in which a git on a desk would find commands to run."""
    return _GIT_FOLDER.fullmatch(name.translate(_HIDDEN_IN_HFS)) is not None


def apply_ignore(spec: PepeIgnore, files: Iterable[TreeFile], check: Check = lambda: None) -> list[TreeFile]:
    """Return the files that neither match themselves nor lie in a folder that matches.

    As in git, nothing inside an ignored folder can be brought back by a line with `!`. `check` is called before each
    few lines that are tried; what it raises ends the work.

    Raises:
        GitRepoError: more than 20,000 folders.
    """
    folders: dict[str, bool] = {}

    def is_ignored(folder: str) -> bool:
        ignored = False
        end = 0
        while not ignored and end != len(folder):
            end = folder.find("/", end + 1)
            end = len(folder) if end < 0 else end
            above = folder[:end]
            if above not in folders:
                folders[above] = spec.ignores(above, is_dir=True, check=check)
                if len(folders) > _MAX_FILES:
                    raise UnfitError(f"The commit has more than {_MAX_FILES} folders; list some in {PEPEIGNORE}")
            ignored = folders[above]
        return ignored

    kept: list[TreeFile] = []
    for file in files:
        check()
        if not is_ignored(file.path.rpartition("/")[0]) and not spec.ignores(file.path, is_dir=False, check=check):
            kept.append(file)
    return kept


def check_paths(files: Iterable[TreeFile]) -> None:
    """Refuse what not every device and every desk unpacks as the repository has it.

    Raises:
        GitRepoError: a name holds a backslash or a control character, or two files want one place; names the path.
    """
    paths = [file.path for file in files]
    unsafe = next((path for path in paths if _UNSAFE.search(path)), None)
    if unsafe is not None:
        raise UnfitError(
            f"The path {unsafe[:100]!r} holds a backslash or a control character and cannot be unpacked safely; rename "
            f"it or list it in {PEPEIGNORE}"
        )
    seen: set[str] = set()
    twice = next((path for path in [*paths, *_folders(paths)] if path in seen or seen.add(path)), None)  # type: ignore[func-returns-value]
    if twice is not None:
        raise UnfitError(f"The path {twice[:100]!r} stands in the commit twice; remove it from the repository")


def _select(patterns: bytes | None, listing: bytes, stop: Check) -> list[TreeFile]:
    """Return the files that are packed; blocking, for a few seconds of a processor at most."""
    deadline = time.thread_time() + _SELECT_LIMIT

    def check() -> None:
        stop()
        if time.thread_time() > deadline:
            raise UnfitError(f"{PEPEIGNORE} takes more than {_SELECT_LIMIT:g} s; write fewer or simpler lines")

    files = apply_ignore(parse_pepeignore(patterns), parse_ls_tree(listing), check)
    check_paths(files)
    return files


async def _list_tree(history: History, mirror: Path, commit: str) -> bytes:
    try:
        listing = await history.git(
            mirror, "ls-tree", "-r", "-z", "--long", "--full-tree", "--end-of-options", commit, max_output=_MAX_LISTING
        )
    except GitRepoError as error:  # a tree that unfolds without end
        raise UnfitError(error.message) from error
    if listing.code:
        raise GitRepoError(f"Commit {commit} cannot be read ({listing.stderr[-200:]}); synchronise its registry again")
    return listing.stdout


async def pack_tree(
    history: History, mirror: Path, commit: str, *, max_size: int, threads: ThreadWork, scratch: Path
) -> "PackPlan":
    """Read a commit and prepare its ustar; `PackPlan.write` does the rest in a thread.

    Args:
        history: reads the mirror.
        mirror: which has the commit.
        commit: 40 hex.
        max_size: bytes of all its files.
        threads: where .pepeignore is applied.
        scratch: the folder of the plan's temporary file.

    Raises:
        UnfitError: a name that does not fit, a .pepeignore without meaning, or more than `max_size` bytes of files.
        GitRepoError: no such commit, or it cannot be read.
        FileNotFoundError: the folder was removed meanwhile.
        StoppedError: the threads are closed.
    """
    mtime = await history.commit_time(mirror, commit)
    patterns = await history.read_file(mirror, commit, PEPEIGNORE)
    listing = await _list_tree(history, mirror, commit)
    files = await threads.run(partial(_select, patterns, listing))
    total = sum(file.size for file in files)
    if total > max_size:
        raise UnfitError(
            f"The files of commit {commit} take {total} bytes, more than the {max_size} of PU_MAX_EXTERNAL_REPO_SIZE; "
            "list what devices do not need in .pepeignore"
        )
    blobs = scratch_file(scratch)
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

    def write(self, out: BinaryIO, check: Check) -> int:
        """Write the members of the ustar without its end, and return their bytes; blocking.

        `check` is called before each MiB at most; what it raises ends the work.

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
        return written

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
    """Return every folder above the paths."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _copy(source: BinaryIO, out: BinaryIO, size: int, check: Check) -> None:
    while size:
        check()
        part = source.read(min(size, _CHUNK))
        if not part:
            raise GitRepoError("git delivered less than it announced; try again")
        out.write(part)
        size -= len(part)
