"""What goes from the folder of stems: leftovers, the stems of registries that are gone, and those used longest ago.

Blocking, for a thread. Several gateways may do it at once, and everything may be built again.
"""

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pepeunit_gateway.topics import parse_uuid

__all__ = ["UNFINISHED", "Cleaned", "evict", "remove_orphans"]

UNFINISHED = ".new"
"""The suffix of files that are being written."""

_STALE = 3_600.0  # seconds after which an unfinished file belongs to nobody


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed: files and their bytes."""

    files: int = 0
    size: int = 0

    def __add__(self, other: "Cleaned") -> "Cleaned":
        return Cleaned(self.files + other.files, self.size + other.size)


def evict(root: Path, max_bytes: int, *, keep: Path | None, now: float) -> Cleaned:
    """Delete the files used longest ago until the rest fits, never `keep`; leftovers of a killed gateway go as well."""
    found: list[tuple[float, int, Path]] = []
    gone = Cleaned()
    for path in (Path(folder, name) for folder, _, names in os.walk(root) for name in names):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if path.suffix != UNFINISHED:
            found.append((stat.st_atime, stat.st_size, path))
        elif stat.st_mtime < now - _STALE:
            gone += _remove(path, stat.st_size)
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= max_bytes:
            break
        if path != keep:
            gone += _remove(path, size)
            total -= size
    return gone


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
