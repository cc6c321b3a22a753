"""Archives made of bytes in memory, as the gateway makes them of files."""

import io
from collections.abc import Callable, Mapping

from pepeunit_gateway.firmware.containers import container_header
from pepeunit_gateway.firmware.packing import ArchiveFormat, StemFacts, derive_stem, make_tail

__all__ = ["archive_of", "stem_of"]


def _wanted() -> None:
    """Nobody gives up."""


def stem_of(
    tar: bytes,
    fmt: ArchiveFormat,
    *,
    size: int | None = None,
    mtime: int = 9,
    check: Callable[[], None] = _wanted,
) -> tuple[StemFacts, bytes]:
    """The stem of a format, its directory behind it, from that of the tar."""
    size = len(tar) if size is None else size
    facts = StemFacts(size, size, mtime)
    if fmt.kind == "tar":
        return facts, tar
    out = io.BytesIO()
    return derive_stem(io.BytesIO(tar), facts, fmt, out, check=check), out.getvalue()


def archive_of(
    tar: bytes,
    own: Mapping[str, bytes],
    fmt: ArchiveFormat,
    *,
    mtime: int = 9,
    check: Callable[[], None] = _wanted,
) -> bytes:
    """A whole archive; `tar` is the stem of its tar."""
    facts, data = stem_of(tar, fmt, mtime=mtime, check=check)
    assert len(data) == facts.size + facts.directory
    header = container_header(fmt.wbits, fmt.effort) if fmt.kind == "tgz" else b""
    return header + data[: facts.size] + make_tail(facts, own, fmt, data[facts.size :], check=check)
