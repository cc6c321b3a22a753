"""What stands around a deflate stream: nothing, zlib (RFC 1950) or gzip (RFC 1952), chosen by `wbits` as in zlib.

Written here because zlib itself writes a container only around a stream that it makes in one go.
"""

import struct

__all__ = ["container_header", "container_trailer", "window_of"]

_GZIP = 16  # added to the window
_FASTEST, _DEFAULT, _BEST = 1, 6, 9


def window_of(wbits: int) -> int:
    """Return the window of the deflate stream inside, 9..15: two to this power is its size in bytes."""
    return -wbits if wbits < 0 else wbits - _GZIP if wbits > _GZIP else wbits


def container_header(wbits: int, level: int) -> bytes:
    """Return what precedes the stream; `level` 0..9 is a hint in it."""
    if wbits < 0:
        return b""
    if wbits > _GZIP:
        effort = 2 if level == _BEST else 4 if level <= _FASTEST else 0
        return struct.pack("<2sBBIBB", b"\x1f\x8b", 8, 0, 0, effort, 3)  # deflate, no flags, no time, UNIX
    hint = 0 if level <= _FASTEST else 1 if level < _DEFAULT else 2 if level == _DEFAULT else 3
    head = (wbits - 8 << 4 | 8) << 8 | hint << 6
    return struct.pack(">H", head + -head % 31)


def container_trailer(wbits: int, *, adler: int, crc: int, size: int) -> bytes:
    """Return what follows the stream; the sums and the size are of the content."""
    if wbits < 0:
        return b""
    if wbits > _GZIP:
        return struct.pack("<II", crc, size & 0xFFFFFFFF)
    return struct.pack(">I", adler)
