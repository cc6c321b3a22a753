"""What a killed sync leaves behind, and the exchange of two mirrors, which leaves nothing in between. Blocking."""

import ctypes
import os
from pathlib import Path

from pepeunit_gateway.firmware.folders import find_entries, remove_folder
from pepeunit_gateway.firmware.locks import try_file_lock

__all__ = ["install", "remove_all_leftovers", "remove_leftovers"]

_SCRATCH = ("tmp_", ".tmp-")
_UNFINISHED = (".pack", ".rev", ".mtimes")
_HERE = -100  # AT_FDCWD
_EXCHANGE = 2  # RENAME_EXCHANGE


def remove_leftovers(mirror: Path) -> None:
    """Remove what a killed sync of this mirror left: folders beside it, unfinished packs and stale locks in it.

    The caller holds the mirror's lock, so that nobody is still using any of it. Killed between the two renames that
    take the place of an exchange, the old mirror comes back.
    """
    old = mirror.with_suffix(".old")
    if old.exists() and not mirror.exists():
        old.rename(mirror)
    for folder in (old, mirror.with_suffix(".building"), mirror.with_suffix(".removed")):
        remove_folder(folder)
    objects, refs = f"{mirror}/objects/", f"{mirror}/refs/"
    for entry in find_entries(mirror):
        if entry.is_dir(follow_symlinks=False):
            continue
        if entry.path.startswith(objects):
            stale = _is_unfinished(entry)
        else:  # no branch may end with `.lock`, but any with `.new`
            stale = entry.name.endswith(".lock" if entry.path.startswith(refs) else (".lock", ".new"))
        if stale:
            Path(entry.path).unlink(missing_ok=True)


def remove_all_leftovers(root: Path) -> None:
    """Remove half-built mirrors of a killed gateway; those that another process is building right now stay."""
    for folder in (folder for suffix in ("building", "old", "removed") for folder in root.glob(f"*.{suffix}")):
        descriptor = try_file_lock(folder.with_suffix(".lock"))
        if descriptor is None:
            continue
        try:
            remove_leftovers(folder.with_suffix(".git"))
        finally:
            os.close(descriptor)


def install(built: Path, mirror: Path) -> None:
    """Put a complete mirror in the place of the old one, if there is one, which is then called `built`.

    Readers find the one or the other at any time, where the file system can exchange names.
    """
    if not mirror.exists():
        built.rename(mirror)
    elif not _exchange(built, mirror):
        old = mirror.with_suffix(".old")
        mirror.rename(old)
        built.rename(mirror)
        old.rename(built)


def _is_unfinished(entry: os.DirEntry[str]) -> bool:
    """Tell whether git began the file and did not end it; a pack counts when its index does, which comes last."""
    if entry.name.startswith(_SCRATCH) or entry.name.endswith((".keep", ".lock")):
        return True
    path = Path(entry.path)
    return path.suffix in _UNFINISHED and not path.with_suffix(".idx").exists()


def _exchange(left: Path, right: Path) -> bool:
    """Exchange two names in one step; False where that is not possible."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # an old C library
        return False
    return bool(rename(_HERE, os.fsencode(left), _HERE, os.fsencode(right), _EXCHANGE) == 0)
