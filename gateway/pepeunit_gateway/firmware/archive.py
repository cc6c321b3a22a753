"""One finished archive of one unit, read whole or in parts."""

import asyncio
import base64
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pepeunit_gateway.firmware.evicting import UNFINISHED

__all__ = ["Archive", "Piece", "kept_outside_memory", "scratch_file"]

_CHUNK = 65_536
_IN_MEMORY = 65_536

Piece = bytes | tuple[BinaryIO, int]
"""Bytes, or a file of which so many from its start count; the archive closes it."""


class Archive:
    """A finished archive: `size` bytes, `digest` is its raw SHA-256.

    Use as `async with archive:` and send `archive.chunks()`; its files are closed afterwards. Nobody else can change
    what it reads (W49).
    """

    def __init__(self, pieces: tuple[Piece, ...], digest: bytes) -> None:
        self._pieces = pieces
        self._files = ExitStack()
        for piece in pieces:
            if isinstance(piece, tuple):
                self._files.callback(piece[0].close)
        self.size = sum(map(_size, pieces))
        self.digest = digest

    @property
    def etag(self) -> str:
        """A strong entity tag, quotes included: other bytes, another tag."""
        return f'"{self.digest.hex()}"'

    @property
    def repr_digest(self) -> str:
        """The value of the header Repr-Digest (decisions.md 13)."""
        return f"sha-256=:{base64.b64encode(self.digest).decode()}:"

    async def chunks(
        self, start: int = 0, stop: int | None = None, *, chunk_size: int = _CHUNK
    ) -> AsyncIterator[bytes]:
        """Yield the bytes `[start:stop]`; what is not in memory is read in a thread."""
        stop = self.size if stop is None else min(stop, self.size)
        for piece in self._pieces:
            size = _size(piece)
            position, end = max(start, 0), min(stop, size)
            while position < end:
                count = min(chunk_size, end - position)
                yield (
                    piece[position : position + count]
                    if isinstance(piece, bytes)
                    else await asyncio.to_thread(_read, piece[0], position, count)
                )
                position += count
            start, stop = start - size, stop - size

    async def read(self) -> bytes:
        """Return the whole content."""
        return b"".join([part async for part in self.chunks()])

    def close(self) -> None:
        """Give the files back."""
        self._files.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def scratch_file(folder: Path) -> BinaryIO:
    """Open an anonymous temporary file in a folder, which is made if missing; nobody else can open it.

    Raises:
        FileNotFoundError: the folder was removed meanwhile.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, suffix=UNFINISHED)


def kept_outside_memory(data: bytes, scratch: Path) -> Piece:
    """Return the same bytes; if they are many, in a temporary file in the folder `scratch`; blocking.

    Raises:
        FileNotFoundError: the folder was removed meanwhile.
    """
    if len(data) <= _IN_MEMORY:
        return data
    file = scratch_file(scratch)
    try:
        file.write(data)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file, len(data)


def _size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1]


def _read(file: BinaryIO, position: int, count: int) -> bytes:
    """Read exactly so many bytes.

    Raises:
        OSError: the file was cut by somebody else.
    """
    data = os.pread(file.fileno(), count, position)
    if len(data) != count:
        raise OSError("a file of the cache was cut while it was sent")
    return data
