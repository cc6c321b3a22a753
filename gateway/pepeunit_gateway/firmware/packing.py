"""From the base tar of a commit and the unit's own files to the archive that a device gets; blocking, for a thread.

Source: protocol/firmware.md 7.6. Every archive is deterministic: same input, same bytes.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO, Literal, Self

from pepeunit_gateway.errors import UnitError
from pepeunit_gateway.firmware.thread_work import Check
from pepeunit_gateway.firmware.ustar import DamagedTarError, Member, header, padding, read_members, trailer

__all__ = ["ArchiveFormat", "write_archive"]

_CHUNK = 32 * 1024  # at level 9 even this takes a board a good part of a second, if what it holds is chosen badly
_WBITS = frozenset([*range(-15, -8), *range(9, 16), *range(25, 32)])
_LEVELS = range(-1, 10)
_ZIP_EPOCH = 315_532_800  # 1980-01-01, before which zip knows no time


@dataclass(frozen=True, slots=True)
class ArchiveFormat:
    """`tar`, `zip` or `tgz`; the last is a stream of zlib whose container `wbits` chooses.

    `wbits` -15..-9 raw deflate, 9..15 zlib, 25..31 gzip; `level` -1..9. Clients in the field ask for 9 and 9.

    Raises:
        UnitError: another number.
    """

    kind: Literal["tar", "zip", "tgz"]
    wbits: int = 9
    level: int = 9

    def __post_init__(self) -> None:
        if self.wbits not in _WBITS:
            raise UnitError(f"wbits must be -15..-9, 9..15 or 25..31, not {self.wbits}")
        if self.level not in _LEVELS:
            raise UnitError(f"level must be -1..9, not {self.level}")

    @classmethod
    def tar(cls) -> Self:
        """A plain ustar."""
        return cls("tar")

    @classmethod
    def zip(cls) -> Self:
        """Deflated, names without `./`, folders included."""
        return cls("zip")

    @classmethod
    def tgz(cls, wbits: int = 9, level: int = 9) -> Self:
        """The ustar through zlib."""
        return cls("tgz", wbits, level)


def write_archive(
    base: BinaryIO, extra: Mapping[str, bytes], fmt: ArchiveFormat, out: BinaryIO, *, check: Check
) -> bytes:
    """Write the archive to `out` and return its SHA-256 (32 bytes).

    Args:
        base: a seekable tar from `trees.PackPlan`.
        extra: files for the root, e.g. env.json; the base has none of these names.
        fmt: what to write.
        out: a seekable file, empty.
        check: called before each chunk of 32 KiB at most; what it raises ends the work.

    Raises:
        DamagedTarError: the base is no good.
    """
    if fmt.kind == "zip":
        _write_zip(base, extra, out, check)
        return _digest(out, check)
    sha = hashlib.sha256()
    sink = _deflated(fmt) if fmt.kind == "tgz" else _plain
    for part in sink(_tar(base, extra, check)):
        sha.update(part)
        out.write(part)
    return sha.digest()


def _plain(parts: Iterator[bytes]) -> Iterator[bytes]:
    return parts


def _deflated(fmt: ArchiveFormat) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    def compress(parts: Iterator[bytes]) -> Iterator[bytes]:
        machine = zlib.compressobj(fmt.level, zlib.DEFLATED, fmt.wbits)
        for part in parts:
            yield machine.compress(part)
        yield machine.flush()

    return compress


def _tar(base: BinaryIO, extra: Mapping[str, bytes], check: Check) -> Iterator[bytes]:
    written = 0
    for member, source in _merged(base, extra):
        yield header(member)
        yield from _content(source, member.size, check)
        yield padding(member.size)
        written += 512 + member.size + len(padding(member.size))
    yield trailer(written)


def _write_zip(base: BinaryIO, extra: Mapping[str, bytes], out: BinaryIO, check: Check) -> None:
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for member, source in _merged(base, extra):
            when = datetime.fromtimestamp(max(member.mtime, _ZIP_EPOCH), UTC)
            info = zipfile.ZipInfo(member.path + ("/" if member.is_dir else ""), when.timetuple()[:6])
            info.create_system = 3  # UNIX, wherever this runs
            mode = 0o40755 if member.is_dir else 0o100755 if member.is_executable else 0o100644
            info.external_attr = mode << 16 | (0x10 if member.is_dir else 0)
            info.compress_type = zipfile.ZIP_STORED if member.is_dir else zipfile.ZIP_DEFLATED
            info.file_size = member.size
            with archive.open(info, "w") as entry:
                for part in _content(source, member.size, check):
                    entry.write(part)


def _merged(base: BinaryIO, extra: Mapping[str, bytes]) -> Iterator[tuple[Member, BinaryIO]]:
    """Yield all members in their order, each with a file that stands at its content."""
    mtime = 0
    waiting = sorted(extra.items(), reverse=True)
    for member in read_members(base):
        mtime = member.mtime
        while waiting and (waiting[-1][0],) < member.order:
            yield _own(*waiting.pop(), mtime)
        yield member, base
    while waiting:
        yield _own(*waiting.pop(), mtime)


def _own(name: str, data: bytes, mtime: int) -> tuple[Member, BinaryIO]:
    return Member(name, len(data), mtime), BytesIO(data)


def _content(source: BinaryIO, size: int, check: Check) -> Iterator[bytes]:
    while size:
        check()
        part = source.read(min(size, _CHUNK))
        if not part:
            raise DamagedTarError("content is missing")
        yield part
        size -= len(part)


def _digest(out: BinaryIO, check: Check) -> bytes:
    sha = hashlib.sha256()
    out.seek(0)
    while part := out.read(_CHUNK):
        check()
        sha.update(part)
    return sha.digest()
