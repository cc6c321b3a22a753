"""Archives in two parts: a stem, the same for all units of a commit, and a tail with the unit's own files.

    tar   headers and files | own files, end
    tgz   the same through deflate, cut where a byte ends, so that both parts are compressed apart | sums
    zip   entries | own entries, the directory of all

Source: protocol/firmware.md 7.6. Everything is deterministic: same input, same bytes. Blocking, for a thread, but for
short tails.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal, Self

from pepeunit_gateway.errors import UnitError
from pepeunit_gateway.firmware.containers import container_trailer, window_of
from pepeunit_gateway.firmware.thread_work import Check
from pepeunit_gateway.firmware.ustar import DamagedTarError, Member, header, padding, trailer
from pepeunit_gateway.firmware.zipping import write_zip_stem, zip_tail

__all__ = ["ArchiveFormat", "StemFacts", "derive_stem", "make_tail"]

_CHUNK = 32 * 1024  # at level 9 even this takes a board a good part of a second, if what it holds is chosen badly
_TAIL_MEMORY = 5  # of 9: for a few KiB it packs as well, and begins five times as fast
_WBITS = frozenset([*range(-15, -8), *range(9, 16), *range(25, 32)])
_LEVELS = range(-1, 10)
_SMALLEST = 9
_USUAL_WINDOWS = frozenset({9, 15})
_BEST = 9
_DEFAULT_LEVEL = 6  # what -1 means to zlib


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

    @property
    def effort(self) -> int:
        """The level, 0..9."""
        return _DEFAULT_LEVEL if self.level < 0 else self.level

    @property
    def quick(self) -> int:
        """Bytes of own files that are packed in 2 ms at most, whatever they hold: it depends on how far zlib looks."""
        looks_far = self.kind == "zip" or (self.kind == "tgz" and window_of(self.wbits) > _SMALLEST)
        return 4 * 1024 if looks_far else 16 * 1024

    @property
    def is_usual(self) -> bool:
        """Tell whether programs in the field or people ask for it; the other 68 windows and efforts are rare."""
        return self.kind != "tgz" or (window_of(self.wbits) in _USUAL_WINDOWS and self.effort == _BEST)

    @property
    def stem_name(self) -> str:
        """Tells the stems of a commit apart: `tar`, `zip` or `tgz-<window>-<effort>`; containers share one."""
        return f"tgz-{window_of(self.wbits)}-{self.effort}" if self.kind == "tgz" else self.kind


@dataclass(frozen=True, slots=True)
class StemFacts:
    """What a tail must know of its stem.

    `size` is the stem's own, `tar_size` that of its tar, whose running sums `adler` and `crc` are; `mtime` is the
    commit's time. `directory` bytes on `entries` members are what a zip's directory says of them.
    """

    size: int
    tar_size: int
    mtime: int
    adler: int = 1
    crc: int = 0
    directory: int = 0
    entries: int = 0


def derive_stem(source: BinaryIO, tar: StemFacts, fmt: ArchiveFormat, out: BinaryIO, *, check: Check) -> StemFacts:
    """Write the stem of a tgz or, with its directory behind it, of a zip; `source` stands at the stem of the tar.

    Args:
        source: seekable.
        tar: its facts.
        fmt: no tar.
        out: a seekable file, empty.
        check: called before each chunk of 32 KiB at most; what it raises ends the work.

    Raises:
        GitRepoError: it is more than a zip can hold.
        DamagedTarError: the source is no good.
    """
    if fmt.kind == "zip":
        size, directory, entries = write_zip_stem(source, tar.size, out, check)
        return StemFacts(size, tar.size, tar.mtime, directory=directory, entries=entries)
    machine = zlib.compressobj(fmt.effort, zlib.DEFLATED, -window_of(fmt.wbits))
    adler, crc, size = 1, 0, 0
    for part in _pieces(source, tar.size, check):
        adler, crc = zlib.adler32(part, adler), zlib.crc32(part, crc)
        size += out.write(machine.compress(part))
    size += out.write(machine.flush(zlib.Z_FULL_FLUSH))
    return StemFacts(size, tar.size, tar.mtime, adler, crc)


def make_tail(
    facts: StemFacts, own: Mapping[str, bytes], fmt: ArchiveFormat, directory: bytes, *, check: Check
) -> bytes:
    """Return what follows the stem, to the archive's last byte.

    Args:
        facts: of the stem.
        own: the unit's files for the root, in their order; the stem has none of these names.
        fmt: the stem's.
        directory: of a zip's stem.
        check: as for `derive_stem`.

    Raises:
        GitRepoError: it is more than a zip can hold.
    """
    if fmt.kind == "zip":
        return zip_tail(facts.size, facts.mtime, directory, facts.entries, own, check=check)
    tar = _tar_tail(facts, own)
    if fmt.kind == "tar":
        return tar
    machine = zlib.compressobj(fmt.effort, zlib.DEFLATED, -window_of(fmt.wbits), _TAIL_MEMORY)
    parts = []
    for position in range(0, len(tar), _CHUNK):
        check()
        parts.append(machine.compress(tar[position : position + _CHUNK]))
    parts.append(machine.flush())
    sums = container_trailer(
        fmt.wbits,
        adler=zlib.adler32(tar, facts.adler),
        crc=zlib.crc32(tar, facts.crc),
        size=facts.tar_size + len(tar),
    )
    return b"".join((*parts, sums))


def _tar_tail(facts: StemFacts, own: Mapping[str, bytes]) -> bytes:
    parts = [
        part
        for name, data in own.items()
        for part in (header(Member(name, len(data), facts.mtime)), data, padding(len(data)))
    ]
    return b"".join((*parts, trailer(facts.tar_size + sum(map(len, parts)))))


def _pieces(source: BinaryIO, size: int, check: Check) -> Iterator[bytes]:
    while size:
        check()
        part = source.read(min(size, _CHUNK))
        if not part:
            raise DamagedTarError("content is missing")
        yield part
        size -= len(part)
