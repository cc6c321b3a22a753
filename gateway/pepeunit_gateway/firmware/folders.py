"""Sizes and removal of folders; blocking, so call from a thread where the folder may be large."""

import os
import shutil
from pathlib import Path

__all__ = ["folder_size", "remove_folder"]


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below; whatever vanishes meanwhile counts nothing. Links are not followed."""
    total = 0
    pending = [str(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += _file_size(entry)
        except FileNotFoundError:
            continue
    return total


def remove_folder(folder: Path) -> None:
    """Remove a folder with all it holds; none there is fine."""
    shutil.rmtree(folder, ignore_errors=True)


def _file_size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
