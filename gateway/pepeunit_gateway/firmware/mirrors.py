"""Bare mirrors of the registered repositories."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

__all__ = ["Commit", "Credentials", "MirrorCache", "SyncResult"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a private repository asks for; the token never shows in a repr."""

    username: str
    pat_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """`changed`: a branch or tag differs from before; `size`: bytes of the mirror on disk."""

    changed: bool
    size: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a branch; `summary` is its whole subject (W34)."""

    commit: str
    summary: str
    tag: str | None


class MirrorCache:
    """Mirrors under one folder."""

    def __init__(
        self,
        root: Path,
        *,
        max_size: int,
        allow_private: bool,
        allow_file: tuple[Path, ...],
        timeout: float,
    ) -> None:
        self.root = root
        self.max_size = max_size

    def exists(self, registry: UUID) -> bool:
        raise RuntimeError

    async def sync(self, registry: UUID, url: str, credentials: Credentials | None) -> SyncResult:
        raise RuntimeError

    async def remove(self, registry: UUID) -> None:
        raise RuntimeError

    async def size(self, registry: UUID) -> int:
        raise RuntimeError

    async def branches(self, registry: UUID) -> list[str]:
        raise RuntimeError

    async def commits(self, registry: UUID, branch: str, *, offset: int, limit: int, only_tag: bool) -> list[Commit]:
        raise RuntimeError

    async def read_file(self, registry: UUID, commit: str, path: str) -> bytes | None:
        raise RuntimeError
