"""Unpacking a downloaded firmware archive into an empty directory: a zlib stream of a tar.

Nothing is believed before it is checked: names, kinds, sizes, checksums, the end marker and the stream's own checksum.
An archive that fails leaves files only in that directory, which nobody runs.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .errors import ArchiveError
from .files import PRIVATE_FILE, PUBLIC_FILE, Disk
from .tar import BLOCK, Member, members

__all__ = ["Limits", "unpack"]

WINDOW_BITS = 15
_CHUNK = 64 * 1024
_EXECUTABLE_FILE = 0o755
_SECRET_FILES = ("env.json",)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold at most: bytes in all when unpacked, and members."""

    total: int = 256 * 1024 * 1024
    count: int = 10_000


class _Inflated:
    """The unpacked bytes of a zlib stream, never more than `limit` and never more than a chunk ahead of the reader."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._left = limit
        self._inflater = zlib.decompressobj(WINDOW_BITS)
        self._buffer = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size and (more := self._more()):
            self._buffer += more
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _more(self) -> bytes:
        while not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_CHUNK)
            if not packed:
                raise ArchiveError("the archive is cut: its compressed stream has no end")
            try:
                data = self._inflater.decompress(packed, _CHUNK)
            except zlib.error:
                raise ArchiveError("the archive is damaged: its compressed stream cannot be read") from None
            self._left -= len(data)
            if self._left < 0:
                raise ArchiveError("the archive is larger than a unit accepts")
            if data:
                return data
        if self._inflater.unused_data or self._file.read(1):
            raise ArchiveError("the archive has data behind its end")
        return b""


def unpack(disk: Disk, file: BinaryIO, directory: Path, limits: Limits) -> tuple[str, ...]:
    """Unpack the archive in `file` into the empty `directory`; the names of its files, sorted.

    Raises ArchiveError if anything in it is not certainly right, OSError if the disk refuses.
    """
    source = _Inflated(file, limits.total)
    kinds: dict[str, bool] = {}
    for member in members(source):
        if len(kinds) >= limits.count:
            raise ArchiveError("the archive holds more files than a unit accepts")
        if not member.name:
            continue
        _admit(kinds, member)
        _make_parents(disk, directory, member.name if member.is_directory else member.name.rpartition("/")[0])
        if not member.is_directory:
            disk.write(directory / member.name, _contents(source, member), mode=_mode(member))
    for folder in sorted({directory, *(directory / name for name, is_directory in kinds.items() if is_directory)}):
        disk.sync_directory(folder)
    return tuple(sorted(name for name, is_directory in kinds.items() if not is_directory))


def _admit(kinds: dict[str, bool], member: Member) -> None:
    """Note the member and the directories above it; refuse a name that stands there twice or as file and directory."""
    parts = member.name.split("/")
    for depth in range(1, len(parts)):
        if not kinds.setdefault("/".join(parts[:depth]), True):
            raise ArchiveError(f"the archive holds {'/'.join(parts[:depth])} as a file and as a directory")
    known = kinds.get(member.name)
    # A directory may be named after files below it were; anything else twice is refused.
    if known is not None and not (known and member.is_directory):
        raise ArchiveError(f"the archive holds {member.name} twice")
    kinds[member.name] = member.is_directory


def _make_parents(disk: Disk, directory: Path, name: str) -> None:
    folder = directory
    for part in name.split("/") if name else ():
        folder /= part
        if not folder.is_dir():
            disk.make_directory(folder)


def _contents(source: _Inflated, member: Member) -> Iterator[bytes]:
    left = member.size
    while left:
        chunk = source.read(min(left, _CHUNK))
        if not chunk:
            raise ArchiveError(f"the archive is cut in the middle of {member.name}")
        left -= len(chunk)
        yield chunk
    padding = -member.size % BLOCK
    if len(source.read(padding)) != padding:
        raise ArchiveError(f"the archive is cut behind {member.name}")


def _mode(member: Member) -> int:
    if member.name in _SECRET_FILES:
        return PRIVATE_FILE
    return _EXECUTABLE_FILE if member.is_executable else PUBLIC_FILE
