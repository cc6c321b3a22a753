"""What goes from the folder of stems: leftovers, the stems of registries that are gone, and those that are too many.

Blocking, for a thread. Several gateways may do it at once, and everything may be built again.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pepeunit_gateway.topics import parse_uuid

__all__ = ["RARE", "STEM", "UNFINISHED", "Cleaned", "evict", "remove_orphans"]

STEM = ".stem"
"""The suffix of stems."""

RARE = ".rare"
"""The suffix of stems that hardly anybody asks for."""

UNFINISHED = ".new"
"""The suffix of files that are being written."""

_STALE = 3_600.0  # seconds after which an unfinished file belongs to nobody
_IDLE = 86_400.0  # seconds after which a stem is nobody's share any more
_RARE_OF_A_COMMIT = 4


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed: files and their bytes."""

    files: int = 0
    size: int = 0

    def __add__(self, other: "Cleaned") -> "Cleaned":
        return Cleaned(self.files + other.files, self.size + other.size)


@dataclass(frozen=True, slots=True)
class _File:
    """A stem: `used` is when, in seconds since 1970, `size` its bytes."""

    path: Path
    used: float
    size: int

    @property
    def is_rare(self) -> bool:
        return self.path.suffix == RARE

    @property
    def commit(self) -> tuple[Path, str]:
        return self.path.parent, self.path.name.partition(".")[0]


class _Shelf:
    """The stems that are there, while some of them go."""

    def __init__(self, files: Iterable[_File]) -> None:
        self.files = {file.path: file for file in files}
        self.total = sum(file.size for file in self.files.values())
        self.of_folder = Counter[Path]()
        for file in self.files.values():
            self.of_folder[file.path.parent] += file.size
        self.gone = Cleaned()

    def drop(self, order: Iterable[_File], is_due: Callable[[_File], bool]) -> None:
        """Remove, in this order, those that are due when it is their turn."""
        for file in order:
            if file.path in self.files and is_due(file):
                self.gone += _remove(file.path, file.size)
                self.total -= file.size
                self.of_folder[file.path.parent] -= file.size
                del self.files[file.path]

    def by_use(self) -> list[_File]:
        """Return them, those used longest ago first."""
        return sorted(self.files.values(), key=lambda file: (file.used, file.size))


def evict(root: Path, max_bytes: int, *, keep: Path | None, now: float) -> Cleaned:
    """Delete what is too much: leftovers of a killed gateway, rare stems of one commit, and what is over the limit.

    Over the limit, those go first that nobody used for a day; then those of registries that take more than an even
    share, so that nobody drives out what others use, their rare ones before the usual; each time the one used longest
    ago.

    Args:
        root: of the cache.
        max_bytes: of all stems together.
        keep: never deleted.
        now: seconds since 1970.
    """
    found, gone = _find(root, now)
    shelf = _Shelf(found)
    shelf.drop(_surplus(shelf.by_use()), lambda file: file.path != keep)

    def is_over(file: _File) -> bool:
        return shelf.total > max_bytes and file.path != keep

    shelf.drop(shelf.by_use(), lambda file: is_over(file) and file.used < now - _IDLE)
    share = max_bytes / max(1, len({file.path.parent for file in shelf.files.values()}))
    rare_first = sorted(shelf.by_use(), key=lambda file: not file.is_rare)
    shelf.drop(rare_first, lambda file: is_over(file) and shelf.of_folder[file.path.parent] > share)
    shelf.drop(shelf.by_use(), is_over)
    return gone + shelf.gone


def _find(root: Path, now: float) -> tuple[list[_File], Cleaned]:
    """Return the stems, without leftovers, which are removed."""
    found: list[_File] = []
    gone = Cleaned()
    for path in (Path(folder, name) for folder, _, names in os.walk(root) for name in names):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if path.suffix != UNFINISHED:
            found.append(_File(path, stat.st_atime, stat.st_size))
        elif stat.st_mtime < now - _STALE:
            gone += _remove(path, stat.st_size)
    return found, gone


def _surplus(by_use: list[_File]) -> list[_File]:
    """Return the rare stems beyond the last few of each commit."""
    counted = Counter[tuple[Path, str]]()
    surplus: list[_File] = []
    for file in reversed(by_use):
        if file.is_rare:
            counted[file.commit] += 1
            if counted[file.commit] > _RARE_OF_A_COMMIT:
                surplus.append(file)
    return surplus


def remove_orphans(root: Path, known: Collection[UUID]) -> Cleaned:
    """Delete the folders of registries that are not `known`."""
    gone = Cleaned()
    for folder in root.glob("*/"):
        registry = parse_uuid(folder.name)
        if registry is not None and registry not in known:
            for path in folder.iterdir():
                gone += _remove(path, path.lstat().st_size)
            shutil.rmtree(folder, ignore_errors=True)
    return gone


def _remove(path: Path, size: int) -> Cleaned:
    try:
        path.unlink()
    except FileNotFoundError:
        return Cleaned()
    return Cleaned(1, size)
