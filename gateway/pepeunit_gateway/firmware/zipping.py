"""Zip in two parts: the entries of a commit with their directory, and the end with a unit's own entries.

Names without `./`, folders included, deflated; no zip64, which small readers do not know.
Source: APPNOTE 4.3, protocol/firmware.md 7.6.
"""

import struct
import zipfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, BinaryIO

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.thread_work import Check
from pepeunit_gateway.firmware.ustar import DamagedTarError, Member, read_members

__all__ = ["write_zip_stem", "zip_tail"]

_CHUNK = 32 * 1024
_LEVEL = 9
_EPOCH = 315_532_800  # 1980-01-01, before which zip knows no time
_LAST = 4_354_819_199  # 2107-12-31, after which it knows none either
_MAX_SIZE = 2**32 - 1
_MAX_ENTRIES = 2**16 - 1
_VERSION = 20  # 2.0: deflate and folders
_UNIX = 3
_FILE, _EXECUTABLE, _FOLDER = 0o100644, 0o100755, 0o40755
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s2B5H3I5H2I")
_END = struct.Struct("<4s4H2IH")


def write_zip_stem(source: BinaryIO, size: int, out: BinaryIO, check: Check) -> tuple[int, int, int]:
    """Write the members of a tar's stem as entries, then their directory.

    Args:
        source: seekable, stands at the stem.
        size: bytes of the stem.
        out: a seekable file, empty.
        check: called before each chunk of 32 KiB at most; what it raises ends the work.

    Returns:
        bytes of the entries, bytes of the directory, number of entries.

    Raises:
        GitRepoError: it is more than a zip can hold.
        DamagedTarError: the source is no good.
    """
    entries = 0
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=False, compresslevel=_LEVEL) as archive:
            for member in read_members(source, size):
                entries += 1
                with archive.open(_info(member), "w") as entry:
                    _copy(source, entry, member.size, check)
            start = archive.start_dir
    except zipfile.LargeZipFile:
        raise _too_large() from None
    end = out.seek(0, 2) - _END.size
    out.truncate(end)
    return start, end - start, entries


def zip_tail(
    start: int, mtime: int, directory: bytes, entries: int, own: Mapping[str, bytes], *, check: Check
) -> bytes:
    """Return the own entries, the directory of all entries and the end.

    Args:
        start: bytes before the tail.
        mtime: seconds since 1970.
        directory: on the entries before.
        entries: their number.
        own: files for the root, in their order; ASCII names.
        check: called before each chunk of 32 KiB at most; what it raises ends the work.

    Raises:
        GitRepoError: it is more than a zip can hold.
    """
    when = _dos_time(mtime)
    local, central, position = [], [directory], start
    for text, data in own.items():
        name, packed = text.encode(), _deflate(data, check)
        facts = (0, zipfile.ZIP_DEFLATED, *when, zlib.crc32(data), len(packed), len(data), len(name), 0)
        entry = _LOCAL.pack(b"PK\x03\x04", _VERSION, *facts) + name + packed
        record = _CENTRAL.pack(b"PK\x01\x02", _VERSION, _UNIX, _VERSION, *facts, 0, 0, 0, _FILE << 16, position)
        local.append(entry)
        central.append(record + name)
        position += len(entry)
    whole = b"".join(central)
    count = entries + len(own)
    if position + len(whole) > _MAX_SIZE or count > _MAX_ENTRIES:
        raise _too_large()
    return b"".join((*local, whole, _END.pack(b"PK\x05\x06", 0, 0, count, count, len(whole), position, 0)))


def _too_large() -> GitRepoError:
    return GitRepoError("The commit is more than a zip can hold; list what devices do not need in .pepeignore")


def _copy(source: BinaryIO, entry: IO[bytes], size: int, check: Check) -> None:
    while size:
        check()
        part = source.read(min(size, _CHUNK))
        if not part:
            raise DamagedTarError("content is missing")
        entry.write(part)
        size -= len(part)


def _deflate(data: bytes, check: Check) -> bytes:
    machine = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = []
    for position in range(0, len(data), _CHUNK):
        check()
        parts.append(machine.compress(data[position : position + _CHUNK]))
    return b"".join((*parts, machine.flush()))


def _info(member: Member) -> zipfile.ZipInfo:
    when = datetime.fromtimestamp(min(max(member.mtime, _EPOCH), _LAST), UTC)
    info = zipfile.ZipInfo(member.path + ("/" if member.is_dir else ""), when.timetuple()[:6])
    info.create_system = _UNIX  # wherever this runs
    mode = _FOLDER if member.is_dir else _EXECUTABLE if member.is_executable else _FILE
    info.external_attr = mode << 16 | (0x10 if member.is_dir else 0)
    info.compress_type = zipfile.ZIP_STORED if member.is_dir else zipfile.ZIP_DEFLATED
    info.file_size = member.size
    return info


def _dos_time(mtime: int) -> tuple[int, int]:
    """Return time and date as zip writes them."""
    when = datetime.fromtimestamp(min(max(mtime, _EPOCH), _LAST), UTC)
    return (
        when.hour << 11 | when.minute << 5 | when.second // 2,
        (when.year - 1980) << 9 | when.month << 5 | when.day,
    )
