"""Sizes and removal of folders; blocking, so call from a thread where the folder may be large.

Folders may be nested as deep as a path can be long: a branch may be called `a/a/a/...`. Nothing here recurs or keeps a
descriptor per level, and links are never followed.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["find_entries", "folder_size", "remove_folder"]

_ENTRY = 512  # bytes that the smallest file or folder counts: many empty ones fill a disk as well


def find_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything below, a folder before its content; whatever vanishes meanwhile is left out."""
    pending = [] if folder.is_symlink() else [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                found = list(entries)  # before the caller removes some of them
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            yield entry


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below; each file and folder counts at least 512."""
    return sum(map(_entry_size, find_entries(folder)))


def remove_folder(folder: Path) -> None:
    """Remove a folder with all it holds; none there is fine, and what the disk refuses to remove stays."""
    folders = [folder]
    for entry in find_entries(folder):
        if entry.is_dir(follow_symlinks=False):
            folders.append(Path(entry.path))
        else:
            with suppress(OSError):
                Path(entry.path).unlink()
    for emptied in reversed(folders):
        with suppress(OSError):
            emptied.rmdir()


def _entry_size(entry: os.DirEntry[str]) -> int:
    if entry.is_dir(follow_symlinks=False):
        return _ENTRY
    try:
        return max(_ENTRY, entry.stat(follow_symlinks=False).st_size)
    except FileNotFoundError:
        return 0
