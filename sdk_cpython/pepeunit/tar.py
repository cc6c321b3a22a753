"""Reading the tar inside a firmware archive, strictly: whatever is not certainly right is refused.

The standard library's reader is not used because it takes a damaged header in the middle for the end of the archive.
Source: protocol/firmware.md 7.6, protocol/device.md 2.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from .errors import ArchiveError

__all__ = ["BLOCK", "Member", "Source", "clean_name", "members"]

BLOCK: Final = 512
_MAX_RECORD = 64 * 1024
_MAX_PATH = 1024
_FILE_TYPES = (b"0", b"\0")
_DIRECTORY_TYPE = b"5"
_RECORD_TYPE = b"x"


class Source(Protocol):
    """Where the bytes of a tar come from."""

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; fewer only at the end."""


@dataclass(frozen=True)
class Member:
    """A file or directory of an archive. A file's bytes must be read before the next member is taken."""

    name: str
    size: int
    is_directory: bool
    is_executable: bool


@dataclass(frozen=True)
class _Record:
    """What a PAX record says about the member behind it; archives of gateways in the field are full of them."""

    path: str | None = None
    size: int | None = None


def clean_name(name: str) -> str:
    """A member's name as a path below the unit's directory: `./` taken off, `""` for the top. Raises ArchiveError."""
    parts = [part for part in name.rstrip("/").split("/") if part != "."]
    is_odd = not name or name.startswith("/") or "\0" in name or any(part in {"", ".."} for part in parts)
    if is_odd or len(name.encode("utf-8", "replace")) > _MAX_PATH:
        raise ArchiveError(f"the archive names {name[:80]!r}, which is no path below the unit's directory")
    return "/".join(parts)


def members(source: Source) -> Iterator[Member]:
    """The members of a tar up to its end marker, each after the bytes of the one before have been taken from `source`.

    Raises ArchiveError for a wrong checksum, a missing end marker, anything but plain files and directories, and data
    behind the end.
    """
    record = _Record()
    while True:
        header = source.read(BLOCK)
        if len(header) < BLOCK:
            raise ArchiveError("the archive is cut: its end marker is missing")
        if not any(header):
            _check_end(source)
            return
        _check_sum(header)
        kind = header[156:157]
        size = _octal(header[124:136])
        if kind == _RECORD_TYPE:
            record = _read_record(source, size)
            continue
        name = clean_name(record.path if record.path is not None else _name(header))
        if record.size is not None:
            size = record.size
        record = _Record()
        if kind not in (*_FILE_TYPES, _DIRECTORY_TYPE):
            raise ArchiveError(f"{name} in the archive is neither file nor directory; links and devices are refused")
        is_directory = kind == _DIRECTORY_TYPE
        if (is_directory and size) or (not is_directory and not name):
            raise ArchiveError(f"{name or '.'} in the archive has a header that makes no sense")
        yield Member(name, size, is_directory, is_executable=bool(_octal(header[100:108]) & 0o100))


def _check_sum(header: bytes) -> None:
    found = sum(header[:148]) + 8 * 32 + sum(header[156:])
    if found != _octal(header[148:156]):
        raise ArchiveError("the archive is damaged: a header has a wrong checksum")


def _check_end(source: Source) -> None:
    if source.read(BLOCK) != bytes(BLOCK):
        raise ArchiveError("the archive is cut: its end marker is not complete")
    while rest := source.read(BLOCK):
        if any(rest):
            raise ArchiveError("the archive has data behind its end")


def _octal(field: bytes) -> int:
    digits = field.split(b"\0", 1)[0].strip()
    if not digits:
        return 0
    if not digits.isdigit():
        raise ArchiveError("the archive is damaged: a header holds no number where one must be")
    try:
        return int(digits, 8)
    except ValueError:
        raise ArchiveError("the archive is damaged: a header holds no octal number where one must be") from None


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:262] == b"ustar" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ArchiveError("the archive holds a name that is not UTF-8") from None


def _read_record(source: Source, size: int) -> _Record:
    """A PAX record: lines `<length> <key>=<value>`, of which only path and size matter here."""
    if size > _MAX_RECORD:
        raise ArchiveError("the archive holds a PAX record of unlikely size")
    padded = source.read(-(-size // BLOCK) * BLOCK)
    data = padded[:size]
    path: str | None = None
    length: int | None = None
    while data:
        digits, _, _ = data.partition(b" ")
        if not digits.isdigit() or not len(digits) < int(digits) <= len(data):
            raise ArchiveError("the archive holds a PAX record that cannot be read")
        line, data = data[len(digits) + 1 : int(digits) - 1], data[int(digits) :]
        key, _, value = line.partition(b"=")
        if key == b"path":
            path = _text(value)
        elif key == b"size":
            if not value.isdigit():
                raise ArchiveError("the archive holds a PAX record that cannot be read")
            length = int(value)
    return _Record(path, length)
