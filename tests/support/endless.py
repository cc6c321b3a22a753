"""What a git server might send without end, in git's protocol version 2."""

import random
import struct
import zlib
from collections.abc import Iterator

__all__ = ["endless_list", "endless_pack", "endless_progress"]

_PIECE = 32_768
_OBJECTS = 100_000
_SECTION = b"000dpackfile\n"
_PACK, _PROGRESS = b"\1", b"\2"


def endless_pack() -> Iterator[bytes]:
    """A pack of very many files that do not compress, each of them correct."""
    yield _SECTION
    yield _packet(_PACK + b"PACK" + struct.pack(">II", 2, _OBJECTS))
    noise = random.Random(1)
    while True:
        yield _packet(_PACK + _BLOB_HEAD + zlib.compress(noise.randbytes(_PIECE), 0))


def endless_progress() -> Iterator[bytes]:
    """No pack, only news about how it is being made."""
    yield _SECTION
    while True:
        yield _packet(_PROGRESS + b"Compressing objects: 1%\r" * 100)


def endless_list() -> Iterator[bytes]:
    """Branches upon branches, in the form of protocol version 0."""
    yield b"001e# service=git-upload-pack\n0000"
    yield _packet(b"%040x refs/heads/main\0agent=git/2.39.5\n" % 1)
    number = 0
    while True:
        yield b"".join(_packet(b"%040x refs/heads/b%d\n" % (1, index)) for index in range(number, number + 1_000))
        number += 1_000


def _packet(content: bytes) -> bytes:
    return b"%04x" % (len(content) + 4) + content


_BLOB_HEAD = bytes([0xB0 | _PIECE & 15, 0x80 | _PIECE >> 4 & 0x7F, _PIECE >> 11])
"""Type blob and the size of a piece, in git's form."""
