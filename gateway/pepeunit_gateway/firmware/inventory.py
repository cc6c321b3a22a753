"""What a complete sync left in a mirror: the names and sizes of its files, so that it need not be walked again.

A mirror that still has exactly these files has lost nothing and is as large as it was. A list that is missing, broken
or different costs one ordinary fetch, which writes a new one. Blocking; a few files.
"""

import json
import os
from contextlib import suppress
from pathlib import Path

from pepeunit_gateway.firmware.folders import folder_size

__all__ = ["size_if_whole", "take_inventory"]

_FILE = "pepeunit-files.json"
_NEW = f"{_FILE}.new"
_FOLDERS = ("", "objects/pack")  # everything that readers need; loose objects are never made


def take_inventory(mirror: Path) -> int:
    """Write down what is there and return the bytes of it all. A disk that takes no more only costs the list."""
    files = json.dumps(_files(mirror), sort_keys=True)
    (mirror / _FILE).unlink(missing_ok=True)
    with suppress(OSError):
        (mirror / _NEW).write_text(_document(files, 0))
    size = folder_size(mirror)
    with suppress(OSError):
        (mirror / _NEW).write_text(_document(files, size))
        (mirror / _NEW).replace(mirror / _FILE)
    return size


def _document(files: str, size: int) -> str:
    """Return the list, as long for any size: it is a part of what is counted."""
    return f'{{"files": {files}, "size": {size:15}}}'


def size_if_whole(mirror: Path) -> int | None:
    """Return the bytes of a mirror that has all its files, None when it has others or none were written down."""
    try:
        document = json.loads((mirror / _FILE).read_bytes())
        if document["files"] == _files(mirror):
            return int(document["size"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _files(mirror: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for folder in _FOLDERS:
        with os.scandir(mirror / folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False) and entry.name not in (_FILE, _NEW):
                    found[f"{folder}/{entry.name}"] = entry.stat(follow_symlinks=False).st_size
    return found
