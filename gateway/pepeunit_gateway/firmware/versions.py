"""Which commit a unit should run.

`plan` decides what is wanted from the rules alone; `resolve` looks it up in the mirror.
Source: protocol/firmware.md 7.4 and 7.5.
"""

from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.mirrors import MirrorCache

__all__ = ["BranchHead", "NewestTag", "Pinned", "RepoRule", "Target", "UnitRule", "Wanted", "plan", "resolve"]


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


@dataclass(frozen=True, slots=True)
class BranchHead:
    """Follow the branch."""

    branch: str


@dataclass(frozen=True, slots=True)
class NewestTag:
    """Follow the newest tagged commit of the branch, in the order of its history."""

    branch: str


@dataclass(frozen=True, slots=True)
class Pinned:
    """Exactly this commit, which must lie on the branch and, if so asked, carry a tag."""

    branch: str
    commit: str
    needs_tag: bool


Wanted: TypeAlias = BranchHead | NewestTag | Pinned


def plan(repo: RepoRule, unit: UnitRule | None) -> Wanted:
    """Say what the rules want, without looking into the repository.

    Args:
        repo: the Repo.
        unit: the Unit, or None for the version of the Repo itself.

    Raises:
        GitRepoError: a field that the rules need is empty; the message names it.
    """
    if unit is not None and not unit.is_auto_update:
        if not unit.branch or not unit.commit:
            raise GitRepoError("Version is missing: without auto-update the unit needs repo_branch and repo_commit")
        return Pinned(unit.branch, unit.commit, repo.is_compilable)
    if not repo.default_branch:
        raise GitRepoError("Version is missing: the repo has no default_branch; set it")
    if not repo.is_auto_update:
        if not repo.default_commit:
            raise GitRepoError("Version is missing: without auto-update the repo needs default_commit; set it")
        return Pinned(repo.default_branch, repo.default_commit, repo.is_compilable)
    if repo.is_compilable or repo.is_only_tag_update:
        return NewestTag(repo.default_branch)
    return BranchHead(repo.default_branch)


async def resolve(mirrors: MirrorCache, registry: UUID, repo: RepoRule, unit: UnitRule | None) -> Target:
    """Return the version that a unit (or with `unit=None` the repo) should run.

    Starts at most one git process, two where the last tag is far back; none when nothing changed since the last call.

    Raises:
        GitRepoError: there is no such version; the message says what is missing.
    """
    match plan(repo, unit):
        case BranchHead(branch):
            commit = mirrors.head(registry, branch)
        case NewestTag(branch):
            commit = await _newest_tagged(mirrors, registry, branch)
        case Pinned(branch, commit, needs_tag):
            if not await mirrors.contains(registry, branch, commit):
                raise GitRepoError(
                    f"Version is missing: branch {branch!r} has no commit {commit[:60]!r}; choose another"
                )
            if needs_tag and mirrors.tag(registry, commit) is None:
                raise GitRepoError(
                    f"Version is missing: commit {commit} carries no tag, which a compilable repo needs; "
                    "push a tag or choose a tagged commit"
                )
    return Target(commit, mirrors.tag(registry, commit))


async def _newest_tagged(mirrors: MirrorCache, registry: UUID, branch: str) -> str:
    commit = await mirrors.newest_tagged(registry, branch)
    if commit is None:
        raise GitRepoError(
            f"Version is missing: no commit of branch {branch!r} carries a tag; push a tag, "
            "or let the repo follow the branch with is_only_tag_update=false"
        )
    return commit
