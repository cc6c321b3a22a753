"""A unit beside its Repo, and which commit it should run. Source: protocol/firmware.md 7.5."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.errors import CustomJSONDecodeError, GitRepoError, NotFoundError, UnitError
from pepeunit_gateway.firmware.env import parse_env_example
from pepeunit_gateway.firmware.jsonfile import JSON
from pepeunit_gateway.firmware.mirrors import MirrorCache
from pepeunit_gateway.firmware.schema import SchemaExample, parse_schema_example
from pepeunit_gateway.firmware.versions import Pinned, RepoRule, Target, UnitRule, plan, resolve
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.queries import FixedQuery, parameter
from pepeunit_gateway.storage.tables import repos, units

__all__ = [
    "REPO_COLUMNS",
    "check_unit_rule",
    "former_examples",
    "load_unit",
    "look_at_unit",
    "read_examples",
    "repo_rule",
    "select_units",
    "target_of",
    "unchanged",
    "unit_rule",
]

REPO_COLUMNS = (
    repos.c.repository_registry_uuid,
    repos.c.default_branch,
    repos.c.is_auto_update_repo,
    repos.c.is_compilable_repo,
    repos.c.is_only_tag_update,
    repos.c.default_commit,
    repos.c.visibility_level.label("repo_visibility_level"),
)
"""What `select_units` tells of a unit's Repo."""

_LARGE = {"cipher_state_storage"}

_DECIDING = (
    "repository_registry_uuid",
    "default_branch",
    "is_auto_update_repo",
    "is_compilable_repo",
    "is_only_tag_update",
    "default_commit",
    "is_auto_update_from_repo_unit",
    "repo_branch",
    "repo_commit",
    "target_firmware_platform",
)
"""The columns that decide about a target."""


def select_units() -> Select[Any]:
    """Select all columns of units and those of their Repos that decide about versions."""
    return select(units, *REPO_COLUMNS).select_from(units.join(repos, units.c.repo_uuid == repos.c.uuid))


_ONE = FixedQuery(
    select(*(column for column in units.c if column.name not in _LARGE), *REPO_COLUMNS)
    .select_from(units.join(repos, units.c.repo_uuid == repos.c.uuid))
    .where(units.c.uuid == parameter("uuid"))
)


async def look_at_unit(database: Database, uuid: UUID) -> Row[Any]:
    """Return what `load_unit` does without its cipher_state_storage and outside any transaction: the cheapest way.

    Raises:
        NotFoundError: there is none.
    """
    for record in await database.records(_ONE, uuid=uuid):
        return cast("Row[Any]", record)  # it has the columns and the _mapping of one
    raise NotFoundError(f"there is no unit {uuid}")


async def load_unit(connection: AsyncConnection, uuid: UUID) -> Row[Any]:
    """Return the row of `select_units` for one unit.

    Raises:
        NotFoundError: there is none.
    """
    row: Row[Any] | None = (await connection.execute(select_units().where(units.c.uuid == uuid))).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no unit {uuid}")
    return row


async def unchanged(connection: AsyncConnection, seen: Sequence[Row[Any]], target: Target) -> list[Row[Any]]:
    """Return the rows of `seen` as they are now, without those whose target may be another one by now.

    A target is resolved before the transaction that uses it, because git answers; in between a unit may have been
    deleted, moved to another version, or synchronised by somebody who knows a newer commit.
    """
    before = {row.uuid: row for row in seen}
    query = select_units().where(units.c.uuid.in_(list(before))).order_by(units.c.uuid)
    rows = (await connection.execute(query)).all()
    return [row for row in rows if _is_as_seen(before[row.uuid], row, target)]


def _is_as_seen(seen: Row[Any], row: Row[Any], target: Target) -> bool:
    before, now = seen._mapping, row._mapping  # noqa: SLF001 - SQLAlchemy's documented access to the columns
    same = all(before[name] == now[name] for name in _DECIDING)
    return same and row.synced_commit in (seen.synced_commit, target.commit)


def repo_rule(row: Row[Any]) -> RepoRule:
    """Return the Repo's part of the decision; `row` is of `repos` or of `select_units`."""
    return RepoRule(
        default_branch=row.default_branch,
        is_auto_update=row.is_auto_update_repo,
        is_compilable=row.is_compilable_repo,
        is_only_tag_update=row.is_only_tag_update,
        default_commit=row.default_commit,
    )


def unit_rule(values: Mapping[Any, Any]) -> UnitRule:
    """Return the unit's part of the decision."""
    return UnitRule(
        is_auto_update=values["is_auto_update_from_repo_unit"],
        branch=values["repo_branch"],
        commit=values["repo_commit"],
    )


def check_unit_rule(rule: UnitRule, platform: str | None, *, is_compilable: bool) -> None:
    """Refuse a unit that could have no version; `platform` is its target_firmware_platform, the rest is of its Repo.

    Raises:
        UnitError: branch or commit are missing, or there is a platform without anything compiled for it.
    """
    if not rule.is_auto_update and not (rule.branch and rule.commit):
        raise UnitError("a unit that does not follow its Repo needs repo_branch and repo_commit")
    if platform is not None and not is_compilable:
        raise UnitError("target_firmware_platform is for units of compilable Repos only")


async def target_of(mirrors: MirrorCache, row: Row[Any]) -> Target:
    """Return the commit that the unit of `select_units` should run.

    Raises:
        GitRepoError: there is no such version.
    """
    rule = unit_rule(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented access to the columns
    return await resolve(mirrors, row.repository_registry_uuid, repo_rule(row), rule)


_SMALL = 16 * 1024  # bytes of a file whose content is remembered: that of the units that are asked for again and again
_known_schema = lru_cache(maxsize=64)(parse_schema_example)
_known_env = lru_cache(maxsize=64)(parse_env_example)


async def read_examples(mirrors: MirrorCache, registry: UUID, commit: str) -> tuple[SchemaExample, dict[str, JSON]]:
    """Return schema_example.json and env_example.json of a commit.

    Raises:
        GitRepoError, CustomJSONDecodeError: a file is missing or broken; the message says which and where.
    """
    schema = await mirrors.read_file(registry, commit, "schema_example.json")
    env = await mirrors.read_file(registry, commit, "env_example.json")
    parse_schema = _known_schema if len(schema or b"") <= _SMALL else parse_schema_example
    parse_env = _known_env if len(env or b"") <= _SMALL else parse_env_example
    return parse_schema(schema), dict(parse_env(env))


async def former_examples(mirrors: MirrorCache, row: Row[Any]) -> tuple[str, SchemaExample, dict[str, JSON]] | None:
    """Return the commit that the nodes of a unit follow, with its example files, where its own target is gone.

    A push took the commit away at which the unit or its Repo stays, or its tag; the unit runs on and needs its
    settings. The commit was its target before, of the same repository. None: the unit's target is there, or moves with
    a branch, or git has cleaned the objects away.
    """
    rule = unit_rule(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented access to the columns
    try:
        if row.synced_commit is None or not isinstance(plan(repo_rule(row), rule), Pinned):
            return None
    except GitRepoError:
        return None
    registry = row.repository_registry_uuid
    try:
        await resolve(mirrors, registry, repo_rule(row), rule)
    except GitRepoError:
        try:
            return row.synced_commit, *await read_examples(mirrors, registry, row.synced_commit)
        except (GitRepoError, CustomJSONDecodeError):
            return None
    return None
