"""A lock on a file that outlives us as long as a child still works under it.

The descriptor is handed to git: when the gateway is killed while git still writes, the next gateway waits for git's end
instead of working in the same folder.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

__all__ = ["hold_file_lock", "try_file_lock"]

_POLL = 0.05


def try_file_lock(path: Path) -> int | None:
    """Take the lock without waiting; returns an open descriptor to close, or None when somebody else has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_same_file(descriptor, path):
            return descriptor
        os.close(descriptor)  # removed by its last holder between open and lock


@asynccontextmanager
async def hold_file_lock(path: Path) -> AsyncIterator[int]:
    """Wait for the lock, yield its descriptor, and free it. The caller sets the time limit with asyncio.timeout."""
    while (descriptor := try_file_lock(path)) is None:  # noqa: ASYNC110 - the holder is another process, no event to await
        await asyncio.sleep(_POLL)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
