"""Which commit a unit should run."""

from dataclasses import dataclass
from uuid import UUID

from pepeunit_gateway.firmware.mirrors import MirrorCache

__all__ = ["RepoRule", "Target", "UnitRule", "resolve"]


@dataclass(frozen=True, slots=True)
class RepoRule:
    """The fields of a Repo that decide about versions."""

    default_branch: str | None
    is_auto_update: bool
    is_compilable: bool
    is_only_tag_update: bool
    default_commit: str | None


@dataclass(frozen=True, slots=True)
class UnitRule:
    """The fields of a Unit that decide about versions; branch and commit count only without auto-update."""

    is_auto_update: bool
    branch: str | None
    commit: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """The commit (40 hex) to run, and its tag; several tags on it: the lexicographically smallest."""

    commit: str
    tag: str | None


async def resolve(mirrors: MirrorCache, registry: UUID, repo: RepoRule, unit: UnitRule | None) -> Target:
    """Resolve."""
    raise RuntimeError
