"""Plain ustar, the part that devices unpack: regular files and folders, no PAX records.

512-byte headers, content padded to 512, two zero blocks at the end, the whole padded to 10,240.
Source: POSIX.1-1988 ustar; protocol/firmware.md 7.6, protocol/interop.md 13.3 (names begin with `./`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pepeunit_gateway.firmware.refusals import UnfitError

__all__ = ["BLOCK", "DamagedTarError", "Member", "header", "padding", "read_members", "trailer"]

BLOCK = 512
_RECORD = 10_240
_NAME = 100
_PREFIX = 155
_MAX_TIME = 8**11 - 1
_MAX_SIZE = 8**11 - 1


class DamagedTarError(Exception):
    """A tar of our own cannot be read; it is thrown away and made anew."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file or folder; `path` has no `./` and no slash at its end, `mtime` is in seconds since 1970."""

    path: str
    size: int
    mtime: int
    is_dir: bool = False
    is_executable: bool = False

    @property
    def order(self) -> tuple[str, ...]:
        """Sorts a folder before its content, and siblings by name."""
        return tuple(self.path.split("/"))


def header(member: Member) -> bytes:
    """Return the 512-byte header.

    Raises:
        UnfitError: the path does not fit (100 bytes, or up to 255 cut at a slash), or the file is over 8 GiB.
    """
    prefix, name = _split(f"./{member.path}{'/' if member.is_dir else ''}".encode(), member.path)
    if member.size > _MAX_SIZE:
        raise UnfitError(f"{member.path} is larger than a tar can say")
    mode = 0o755 if member.is_dir or member.is_executable else 0o644
    block = b"".join(
        (
            name.ljust(_NAME, b"\0"),
            _octal(mode, 8),
            _octal(0, 8),
            _octal(0, 8),
            _octal(member.size, 12),
            _octal(min(max(member.mtime, 0), _MAX_TIME), 12),
            b" " * 8,
            b"5" if member.is_dir else b"0",
            bytes(100),
            b"ustar\00000",
            bytes(64),
            _octal(0, 8),
            _octal(0, 8),
            prefix.ljust(_PREFIX, b"\0"),
            bytes(12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padding(size: int) -> bytes:
    """Return what follows content of `size` bytes up to the next block."""
    return bytes(-size % BLOCK)


def trailer(written: int) -> bytes:
    """Return the end of a tar of which `written` bytes are out already."""
    return bytes(2 * BLOCK + -(written + 2 * BLOCK) % _RECORD)


def read_members(file: BinaryIO, size: int) -> Iterator[Member]:
    """Walk the members of a tar that this module wrote: `size` bytes from where `file` stands, without the end.

    The file stands at the member's content when it is yielded and may be moved by the caller.

    Raises:
        DamagedTarError: a checksum is wrong, or something is missing.
    """
    position = file.tell()
    end = position + size
    while position < end:
        file.seek(position)
        try:
            member = _parse(file.read(BLOCK))
        except ValueError as error:
            raise DamagedTarError(f"at byte {position}: {error}") from error
        yield member
        position += BLOCK + member.size + len(padding(member.size))
    if position != end:
        raise DamagedTarError(f"at byte {end}: content is missing")


def _parse(block: bytes) -> Member:
    if len(block) != BLOCK:
        raise ValueError("a header is cut")
    if sum(block[:148]) + sum(block[156:]) + 8 * 32 != int(block[148:154], 8):
        raise ValueError("wrong checksum")
    name, prefix = block[:_NAME].rstrip(b"\0"), block[345 : 345 + _PREFIX].rstrip(b"\0")
    is_dir = block[156:157] == b"5"
    path = (prefix + b"/" + name if prefix else name).decode()
    return Member(
        path=path.removeprefix("./").removesuffix("/"),
        size=int(block[124:135], 8),
        mtime=int(block[136:147], 8),
        is_dir=is_dir,
        is_executable=not is_dir and bool(int(block[100:107], 8) & 0o100),
    )


def _octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def _split(name: bytes, path: str) -> tuple[bytes, bytes]:
    if len(name) <= _NAME:
        return b"", name
    cut = name.find(b"/", max(0, len(name) - _NAME - 1), len(name) - 1)
    if cut < 1 or cut > _PREFIX:
        raise UnfitError(
            f"The path {path[:120]} is too long for the archives that devices unpack (100 bytes, or 255 with the last "
            "100 beginning at a slash); shorten it or list it in .pepeignore"
        )
    return name[:cut], name[cut + 1 :]
