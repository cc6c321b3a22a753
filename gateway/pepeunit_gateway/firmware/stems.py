"""Stems on disk, one file each: the stem, for a zip its directory, and a footer with the facts and a SHA-256 of it all.

A file appears whole or not at all, and is believed only after its checksum was found right. Blocking, for a thread.
"""

import hashlib
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from pepeunit_gateway.firmware.packing import StemFacts
from pepeunit_gateway.firmware.thread_work import Check

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["DamagedStemError", "Stem", "load_stem", "mark_stem", "open_stem", "read_facts", "store_stem"]

_MAGIC = b"PUSTEM02"
_FOOTER = struct.Struct(">8sQQQIIQI")
_DIGEST = 32
_CHUNK = 256 * 1024
_KEPT = 2 * 1024 * 1024  # bytes of a stem that may stay in memory


class DamagedStemError(Exception):
    """A file of our own cannot be believed; it is thrown away and made anew."""


@dataclass(slots=True, eq=False)
class Stem:
    """A stem that was found right, with what precedes it in the archive.

    `head` is the container's header and, if `is_whole`, the stem; otherwise that is to be read from its file. `sha` is
    the running SHA-256 of all that precedes the tail: copy it. `used` is when its file was last marked as used.
    """

    facts: StemFacts
    head: bytes = field(repr=False)
    is_whole: bool
    directory: bytes = field(repr=False)
    sha: "_Hash" = field(repr=False)
    signature: tuple[int, int, int]
    used: float

    def is_of(self, stat: os.stat_result) -> bool:
        """Tell whether it was read from this file, and nobody wrote to it since."""
        return self.signature == _signature(stat)

    @property
    def weight(self) -> int:
        """Bytes of memory."""
        return len(self.head) + len(self.directory) + 1024


def store_stem(path: Path, write: Callable[[BinaryIO, Check], StemFacts], check: Check) -> None:
    """Let `write` fill a file beside the place, seal it and rename it, so that nobody ever sees a part of one.

    Raises:
        FileNotFoundError: the folder was removed meanwhile.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{uuid4()}.new")
    try:
        with temporary.open("x+b") as file:
            footer = _pack(write(file, check))
            file.seek(0, os.SEEK_END)
            file.write(footer)
            file.seek(0)
            digest = hashlib.sha256()
            while part := file.read(_CHUNK):
                check()
                digest.update(part)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def open_stem(path: Path) -> tuple[BinaryIO, os.stat_result]:
    """Open a stem's file.

    Raises:
        FileNotFoundError: it is not there.
    """
    file = path.open("rb")
    return file, os.fstat(file.fileno())


def mark_stem(stem: Stem, path: Path, now: float) -> None:
    """Note in the file's time of access that it was used; its time of change stays. None there is fine."""
    stem.used = now
    with suppress(FileNotFoundError):
        os.utime(path, ns=(int(now * 1e9), stem.signature[1]))


def read_facts(file: BinaryIO, check: Check) -> StemFacts:
    """Return what the footer says, after the whole file was found right; `file` stands at its start then.

    Raises:
        DamagedStemError: it is not.
    """
    size, facts = _footer(file)
    digest = hashlib.sha256()
    file.seek(0)
    left = size - _DIGEST
    while left:
        check()
        part = file.read(min(left, _CHUNK))
        if not part:
            raise DamagedStemError("it was cut")
        digest.update(part)
        left -= len(part)
    if file.read() != digest.digest():
        raise DamagedStemError("its checksum is wrong")
    file.seek(0)
    return facts


def load_stem(file: BinaryIO, stat: os.stat_result, header: bytes, now: float, check: Check) -> Stem:
    """Read a stem from its file: all of it if it is small.

    Args:
        file: of `open_stem`.
        stat: of `open_stem`.
        header: of the container.
        now: seconds since 1970.
        check: called before each chunk; what it raises ends the work.

    Raises:
        DamagedStemError: the file is not right.
    """
    facts = read_facts(file, check)
    sha = hashlib.sha256(header)
    is_whole = facts.size <= _KEPT
    kept = [header]
    left = facts.size
    while left:
        check()
        part = file.read(min(left, _CHUNK))
        if not part:
            raise DamagedStemError("it was cut")
        sha.update(part)
        if is_whole:
            kept.append(part)
        left -= len(part)
    return Stem(facts, b"".join(kept), is_whole, file.read(facts.directory), sha, _signature(stat), now)


def _signature(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _pack(facts: StemFacts) -> bytes:
    return _FOOTER.pack(
        _MAGIC, facts.size, facts.tar_size, facts.mtime, facts.adler, facts.crc, facts.directory, facts.entries
    )


def _footer(file: BinaryIO) -> tuple[int, StemFacts]:
    """Return the size of the file and the facts; nothing is known to be right yet."""
    size = file.seek(0, os.SEEK_END)
    if size < _FOOTER.size + _DIGEST:
        raise DamagedStemError("it was cut")
    file.seek(size - _FOOTER.size - _DIGEST)
    magic, stem, tar, mtime, adler, crc, directory, entries = _FOOTER.unpack(file.read(_FOOTER.size))
    if magic != _MAGIC or size != stem + directory + _FOOTER.size + _DIGEST:
        raise DamagedStemError("its footer is wrong")
    return size, StemFacts(stem, tar, mtime, adler, crc, directory, entries)
