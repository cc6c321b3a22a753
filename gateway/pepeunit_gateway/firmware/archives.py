"""Archives of a unit's program with its env.json and schema.json."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self
from uuid import UUID

from pepeunit_gateway.firmware.mirrors import MirrorCache

__all__ = ["Archive", "ArchiveCache", "ArchiveFormat"]


@dataclass(frozen=True, slots=True)
class ArchiveFormat:
    """`tar`, `zip` or `tgz`; wbits and level count for tgz only and are checked (UnitError)."""

    kind: Literal["tar", "zip", "tgz"]
    wbits: int = 9
    level: int = 9


class Archive:
    """A finished archive in an anonymous file: `size` bytes, `digest` is its raw SHA-256.

    Use as `async with archive:`, then send `archive.chunks()`.
    """

    def __init__(self, file: BinaryIO, size: int, digest: bytes) -> None:
        self.size = size
        self.digest = digest

    @property
    def repr_digest(self) -> str:
        """The value of the Repr-Digest header."""
        raise RuntimeError

    async def chunks(self, chunk_size: int = 65_536) -> AsyncIterator[bytes]:
        raise RuntimeError
        yield b""

    async def read(self) -> bytes:
        raise RuntimeError

    def close(self) -> None:
        raise RuntimeError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ArchiveCache:
    """Base tars under one folder; safe to delete at any time."""

    def __init__(self, root: Path, mirrors: MirrorCache, *, max_bytes: int) -> None:
        self.root = root

    async def build(
        self, registry: UUID, commit: str, env_json: bytes, schema_json: bytes, fmt: ArchiveFormat
    ) -> Archive:
        raise RuntimeError
