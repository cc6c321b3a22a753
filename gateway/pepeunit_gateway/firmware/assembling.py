"""The steps of an archive: a commit's files into the stem of a tar, that into the other stems, each into an archive.

Blocking, for a thread, but for `assemble` where stem and own files are small.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pepeunit_gateway.firmware.archive import Archive, Piece, kept_outside_memory
from pepeunit_gateway.firmware.containers import container_header
from pepeunit_gateway.firmware.packing import ArchiveFormat, StemFacts, derive_stem, make_tail
from pepeunit_gateway.firmware.stems import Stem, load_stem, open_stem, read_facts, store_stem
from pepeunit_gateway.firmware.thread_work import Check
from pepeunit_gateway.firmware.trees import PackPlan

__all__ = ["Order", "assemble", "derive", "finish", "pack"]


@dataclass(frozen=True, slots=True)
class Order:
    """What one archive is made of: the stem at `path` and the unit's own files, in their order."""

    path: Path
    fmt: ArchiveFormat
    own: Mapping[str, bytes] = field(repr=False)

    @property
    def header(self) -> bytes:
        """What precedes the stem."""
        return container_header(self.fmt.wbits, self.fmt.effort) if self.fmt.kind == "tgz" else b""

    @property
    def key(self) -> tuple[Path, bytes]:
        """Tells apart what `Stem` objects hold: containers share a file, but not the running SHA-256."""
        return self.path, self.header

    @property
    def scratch(self) -> Path:
        """The folder of temporary files: that of the whole cache, because a registry's own may go meanwhile."""
        return self.path.parents[1]

    @property
    def own_size(self) -> int:
        """Bytes of the own files."""
        return sum(map(len, self.own.values()))


def pack(path: Path, plan: PackPlan, check: Check) -> None:
    """Write the stem of a tar.

    Raises:
        GitRepoError: git did not deliver a file, or a name does not fit.
    """

    def write(out: BinaryIO, check: Check) -> StemFacts:
        size = plan.write(out, check)
        return StemFacts(size, size, plan.mtime)

    store_stem(path, write, check)


def derive(tar: Path, path: Path, fmt: ArchiveFormat, check: Check) -> None:
    """Write the stem of another format from that of the tar.

    Raises:
        FileNotFoundError: the tar's stem is not there.
        DamagedStemError: the tar's stem cannot be believed.
        GitRepoError: it is more than a zip can hold.
    """
    source, _ = open_stem(tar)
    with source:
        facts = read_facts(source, check)
        store_stem(path, lambda out, check: derive_stem(source, facts, fmt, out, check=check), check)


def finish(order: Order, known: Stem | None, now: float, check: Check) -> tuple[Stem, Archive]:
    """Return an archive and the stem that it was made of, which is read unless it is known and still the same.

    Raises:
        FileNotFoundError: the stem is not there.
        DamagedStemError: it cannot be believed.
    """
    if known is not None and known.is_whole:
        return known, assemble(known, order, check)
    file, stat = open_stem(order.path)
    try:
        os.utime(file.fileno(), ns=(int(now * 1e9), stat.st_mtime_ns))
        stem = known if known is not None and known.is_of(stat) else load_stem(file, stat, order.header, now, check)
        if not stem.is_whole:
            return stem, assemble(stem, order, check, file)
    except BaseException:
        file.close()
        raise
    file.close()
    return stem, assemble(stem, order, check)


def assemble(stem: Stem, order: Order, check: Check, file: BinaryIO | None = None) -> Archive:
    """Return an archive of a stem in memory, or of one in `file`, which the archive closes."""
    tail = make_tail(stem.facts, order.own, order.fmt, stem.directory, check=check)
    sha = stem.sha.copy()
    sha.update(tail)
    middle: tuple[Piece, ...] = () if file is None else ((file, stem.facts.size),)
    return Archive((stem.head, *middle, kept_outside_memory(tail, order.scratch)), sha.digest())
