"""Files that are there completely or not at all, whatever happens meanwhile."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["written_whole"]


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give the block an empty file beside `path`, mode 0600, and put it in the place of `path` for good afterwards.

    If the block raises, the file is removed and `path` stays as it was. Blocks for as long as the disk needs.

    Raises:
        OSError: the folder cannot be written, or `path` is a folder.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(descriptor)
    try:
        yield Path(name)
        _sync(name)
        Path(name).replace(path)
        _sync(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
