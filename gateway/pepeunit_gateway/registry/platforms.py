"""For which platforms a compilable Repo offers a compiled program. Source: protocol/rest.md 2.5; W33."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.rules import require_user
from pepeunit_gateway.errors import GitRepoError, NotFoundError
from pepeunit_gateway.firmware.versions import resolve
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.releases import read_releases
from pepeunit_gateway.registry.targets import repo_rule
from pepeunit_gateway.registry.visibility import check_sight
from pepeunit_gateway.storage.tables import repos, repository_registry

__all__ = ["Platform", "available_platforms"]


@dataclass(frozen=True, slots=True)
class Platform:
    """One compiled program of a release."""

    name: str
    link: str


async def available_platforms(
    context: Context, agent: Agent, uuid: UUID, *, target_commit: str | None, target_tag: str | None
) -> list[Platform]:
    """Return the files of a release; none where the Repo is not compilable or there is no such release (W33).

    Args:
        context: the doors.
        agent: a User who sees the Repo.
        uuid: the Repo.
        target_commit: the release is the one of its tag.
        target_tag: the release; goes before `target_commit`. Without both it is the one of the Repo's target version.
    """
    require_user(agent)
    query = (
        select(repos, repository_registry.c.releases_data)
        .join(repository_registry, repos.c.repository_registry_uuid == repository_registry.c.uuid)
        .where(repos.c.uuid == uuid)
    )
    async with context.database.read() as connection:
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no Repo {uuid}")
        await check_sight(connection, agent, repos, row)
    if not row.is_compilable_repo or not row.releases_data:
        return []
    tag = target_tag or await _tag(context, row, target_commit)
    return [Platform(name, link) for name, link in read_releases(row.releases_data).get(tag or "", [])]


async def _tag(context: Context, row: Row[Any], commit: str | None) -> str | None:
    mirrors, registry = context.mirrors, row.repository_registry_uuid
    try:
        return mirrors.tag(registry, commit) if commit else (await resolve(mirrors, registry, repo_rule(row), None)).tag
    except GitRepoError:  # it was never fetched, or has no such version: then there is no release either
        return None
