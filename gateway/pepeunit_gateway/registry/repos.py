"""Repos: how units of one kind follow a repository. Source: protocol/entities.md 1.3, protocol/rest.md 2.5."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, VisibilityLevel
from pepeunit_gateway.access.rules import (
    check_child_visibility,
    require_admin,
    require_creator,
    require_creator_or_admin,
    require_user,
)
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import GitRepoError, NotFoundError, RepoError
from pepeunit_gateway.firmware.mirrors import SHOWN_BRANCHES
from pepeunit_gateway.firmware.versions import RepoRule, resolve
from pepeunit_gateway.registry.audit import Subject, record_deletion
from pepeunit_gateway.registry.changes import UNSET, Unset, sent
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.current_mirrors import current_state
from pepeunit_gateway.registry.entities import Page, Repo, Version, Versions, from_row
from pepeunit_gateway.registry.job_runs import JobName, job_uuid
from pepeunit_gateway.registry.listing import FIRST_PAGE, OrderBy, Paging, fetch_page, ordered, search
from pepeunit_gateway.registry.naming import check_name
from pepeunit_gateway.registry.repositories import require_registry_access
from pepeunit_gateway.registry.updates import Updates
from pepeunit_gateway.registry.visibility import check_sight, insert_permissions, visible
from pepeunit_gateway.storage.tables import repos, repository_registry, units

__all__ = ["NewRepo", "RepoChange", "RepoFilter", "Repos"]

_PINNING = frozenset({"is_auto_update_repo", "default_branch", "default_commit", "is_compilable_repo"})
"""The columns that decide about the commit of a Repo that does not update itself."""


@dataclass(frozen=True, slots=True)
class NewRepo:
    """`is_only_tag_update` and the rest below are optional for clients; the contract's defaults stand here."""

    repository_registry_uuid: UUID
    default_branch: str
    visibility_level: VisibilityLevel
    name: str
    is_compilable_repo: bool
    is_auto_update_repo: bool = True
    default_commit: str | None = None
    is_only_tag_update: bool = True


@dataclass(frozen=True, slots=True)
class RepoChange:
    """UNSET fields stay as they are; null clears `default_branch` and `default_commit` (W37)."""

    visibility_level: VisibilityLevel | Unset = UNSET
    name: str | Unset = UNSET
    is_auto_update_repo: bool | Unset = UNSET
    default_branch: str | Unset | None = UNSET
    default_commit: str | Unset | None = UNSET
    is_only_tag_update: bool | Unset = UNSET
    is_compilable_repo: bool | Unset = UNSET


@dataclass(frozen=True, slots=True)
class RepoFilter:
    """Absent means "all"; every filter narrows what the others leave."""

    uuids: Sequence[UUID] = ()
    repository_registry_uuid: UUID | None = None
    creator_uuid: UUID | None = None
    creators_uuids: Sequence[UUID] = ()
    search_string: str | None = None
    is_auto_update_repo: bool | None = None
    visibility_level: Sequence[VisibilityLevel] = ()
    order_by_create_date: OrderBy = OrderBy.DESC
    order_by_last_update: OrderBy = OrderBy.DESC
    paging: Paging = FIRST_PAGE


class Repos:
    """Creating, reading and changing Repos."""

    def __init__(self, context: Context, updates: Updates) -> None:
        self._context = context
        self._updates = updates

    async def create(self, agent: Agent, new: NewRepo) -> Repo:
        """Create a Repo on a repository that the caller may use."""
        user = require_user(agent)
        check_name(new.name, "the name", RepoError)
        async with self._context.database.read() as connection:
            query = select(repository_registry).where(repository_registry.c.uuid == new.repository_registry_uuid)
            registry = (await connection.execute(query)).one_or_none()
        if registry is None:
            raise NotFoundError(f"there is no repository {new.repository_registry_uuid}")
        require_registry_access(self._context, agent, registry)
        await self._check_branch(new.repository_registry_uuid, new.default_branch)
        uuid = uuid4()
        values = {
            "uuid": uuid,
            "visibility_level": new.visibility_level.value,
            "name": new.name,
            "default_branch": new.default_branch,
            "is_compilable_repo": new.is_compilable_repo,
            "is_auto_update_repo": new.is_auto_update_repo,
            "default_commit": new.default_commit,
            "is_only_tag_update": new.is_only_tag_update,
            "creator_uuid": user,
            "repository_registry_uuid": new.repository_registry_uuid,
        }
        _check_rule(values)
        await self._check_commit(values)
        async with self._context.act(agent) as act:
            with unique(RepoError(f"the name {new.name} is taken", conflict=True)):
                await act.connection.execute(
                    repos.insert().values(**values, create_datetime=act.now, last_update_datetime=act.now)
                )
            await insert_permissions(
                act.connection,
                [
                    {
                        "uuid": uuid4(),
                        "agent_type": "User",
                        "agent_user_uuid": user,
                        "resource_type": "Repo",
                        "resource_repo_uuid": uuid,
                    }
                ],
            )
            return from_row(Repo, await _load(act.connection, uuid))

    async def get(self, agent: Agent, uuid: UUID) -> Repo:
        """Return one Repo."""
        async with self._context.database.read() as connection:
            row = await _load(connection, uuid)
            await check_sight(connection, agent, repos, row)
        return from_row(Repo, row)

    async def page(self, agent: Agent, wanted: RepoFilter) -> Page[Repo]:
        """Return a page of the Repos that the caller may see."""
        query = _query(wanted).where(visible(agent, repos, wanted.visibility_level))
        async with self._context.database.read() as connection:
            count, rows = await fetch_page(connection, query, wanted.paging)
        return Page(count, [from_row(Repo, row) for row in rows])

    async def edit(self, agent: Agent, uuid: UUID, change: RepoChange) -> Repo:
        """Change a Repo; its units follow at once where the target commit moved."""
        require_user(agent)
        values = _changed(change)
        if isinstance(change.default_branch, str):
            async with self._context.database.read() as connection:
                row = await _load(connection, uuid)
            require_creator(agent, row.creator_uuid)
            await self._check_branch(row.repository_registry_uuid, change.default_branch)
        await self._check_pin(agent, uuid, values)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            require_creator(agent, row.creator_uuid)
            _check_rule({**row._mapping, **values})  # noqa: SLF001 - SQLAlchemy's documented access to the columns
            if isinstance(change.visibility_level, VisibilityLevel):
                await _check_units(act.connection, uuid, change.visibility_level)
            with unique(RepoError(f"the name {change.name} is taken", conflict=True)):
                await act.connection.execute(
                    repos.update().where(repos.c.uuid == uuid).values(**values, last_update_datetime=act.now)
                )
            row = await _load(act.connection, uuid)
        await self._updates.follow(uuid)
        return from_row(Repo, row)

    async def update_units_firmware(self, agent: Agent, uuid: UUID) -> None:
        """Send Update to every auto-updating unit that does not run its target."""
        require_user(agent)
        async with self._context.database.read() as connection:
            row = await _load(connection, uuid)
        require_creator(agent, row.creator_uuid)
        await self._updates.update_repo(uuid, again=True)

    async def bulk_update(self, agent: Agent) -> None:
        """Ask the gateway on duty for the same for every auto-updating Repo: the job `update`; an Admin may.

        Where nobody is on duty at the moment, the gateway that takes the duty next does it.
        """
        require_admin(agent)
        self._context.bus.publish(Change.JOB, [job_uuid(JobName.UPDATE)])

    async def versions(self, agent: Agent, uuid: UUID) -> Versions:
        """Count the units of a Repo by the commit they report."""
        count = func.count().label("unit_count")
        query = (
            select(units.c.current_commit_version, count)
            .where(units.c.repo_uuid == uuid, units.c.current_commit_version.is_not(None))
            .group_by(units.c.current_commit_version)
            .order_by(count.desc(), units.c.current_commit_version)
        )
        async with self._context.database.read() as connection:
            row = await _load(connection, uuid)
            await check_sight(connection, agent, repos, row)
            rows = (await connection.execute(query)).all()
        tags = self._context.mirrors.tags(row.repository_registry_uuid)
        versions = [Version(r.current_commit_version, r.unit_count, tags.get(r.current_commit_version)) for r in rows]
        return Versions(sum(version.unit_count for version in versions), versions)

    async def delete(self, agent: Agent, uuid: UUID) -> None:
        """Delete a Repo that has no units."""
        require_user(agent)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            require_creator_or_admin(agent, row.creator_uuid)
            used = select(func.count()).select_from(units).where(units.c.repo_uuid == uuid)
            if (await act.connection.execute(used)).scalar_one():
                raise RepoError("the Repo still has units; delete them first", conflict=True)
            await record_deletion(act, agent, row.creator_uuid, Subject("Repo", uuid, row.name))
            await act.connection.execute(repos.delete().where(repos.c.uuid == uuid))

    async def _check_branch(self, registry: UUID, branch: str) -> None:
        branches = await self._branches(registry)
        if branch not in branches and self._context.bus.shared:
            await current_state(self._context, registry)
            branches = await self._branches(registry)
        if branch not in branches:
            known = ", ".join(branches[:SHOWN_BRANCHES]) or "none; has the repository been synchronised?"
            raise RepoError(f"the repository has no branch {branch[:100]}; it has: {known}")

    async def _check_pin(self, agent: Agent, uuid: UUID, values: dict[str, Any]) -> None:
        """Look the pinned commit up if a change is about it; what is stored already may be echoed."""
        if not values.keys() & _PINNING:
            return
        async with self._context.database.read() as connection:
            row = await _load(connection, uuid)
        require_creator(agent, row.creator_uuid)
        before = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented access to the columns
        merged = {**before, **values}
        if any(before[name] != merged[name] for name in _PINNING):
            _check_rule(merged)
            await self._check_commit(merged)

    async def _check_commit(self, values: dict[str, Any]) -> None:
        """Refuse a Repo that stays at a commit which its units could not run: see `resolve`.

        Raises:
            GitRepoError: the branch has no such commit, a compilable Repo's has no tag, or nothing was fetched yet.
        """
        if values["is_auto_update_repo"] or not values["default_commit"]:
            return
        mirrors, registry = self._context.mirrors, values["repository_registry_uuid"]
        rule = RepoRule(
            default_branch=values["default_branch"],
            is_auto_update=False,
            is_compilable=values["is_compilable_repo"],
            is_only_tag_update=values["is_only_tag_update"],
            default_commit=values["default_commit"],
        )
        try:
            await resolve(mirrors, registry, rule, None)
        except GitRepoError:
            if not self._context.bus.shared:
                raise
            await current_state(self._context, registry)  # a newer state may have it
            await resolve(mirrors, registry, rule, None)

    async def _branches(self, registry: UUID) -> list[str]:
        return await self._context.mirrors.branches(registry) if self._context.mirrors.exists(registry) else []


def _changed(change: RepoChange) -> dict[str, Any]:
    values = sent(
        visibility_level=change.visibility_level,
        name=change.name,
        is_auto_update_repo=change.is_auto_update_repo,
        default_branch=change.default_branch,
        default_commit=change.default_commit,
        is_only_tag_update=change.is_only_tag_update,
        is_compilable_repo=change.is_compilable_repo,
    )
    if "name" in values:
        check_name(values["name"], "the name", RepoError)
    if "visibility_level" in values:
        values["visibility_level"] = VisibilityLevel(values["visibility_level"]).value
    return values


def _check_rule(values: dict[str, Any]) -> None:
    if values["is_auto_update_repo"]:
        if values["default_branch"] is None:
            raise RepoError("auto-update needs default_branch")
        if values["is_compilable_repo"] and not values["is_only_tag_update"]:
            raise RepoError("a compilable Repo updates by tags: set is_only_tag_update")


def _query(wanted: RepoFilter) -> Select[Any]:
    joined = repos.join(repository_registry, repos.c.repository_registry_uuid == repository_registry.c.uuid)
    columns = (repos.c.name, repository_registry.c.repository_url, repos.c.default_branch)
    query = select(repos).select_from(joined).where(*search(wanted.search_string, *columns))
    if wanted.uuids:
        query = query.where(repos.c.uuid.in_(list(wanted.uuids)))
    if wanted.creator_uuid:
        query = query.where(repos.c.creator_uuid == wanted.creator_uuid)
    if wanted.creators_uuids:
        query = query.where(repos.c.creator_uuid.in_(list(wanted.creators_uuids)))
    if wanted.repository_registry_uuid:
        query = query.where(repos.c.repository_registry_uuid == wanted.repository_registry_uuid)
    if wanted.is_auto_update_repo is not None:
        query = query.where(repos.c.is_auto_update_repo == wanted.is_auto_update_repo)
    return query.order_by(
        ordered(repos.c.create_datetime, wanted.order_by_create_date),
        ordered(repos.c.last_update_datetime, wanted.order_by_last_update),
        repos.c.uuid,
    )


async def _load(connection: AsyncConnection, uuid: UUID) -> Row[Any]:
    row = (await connection.execute(select(repos).where(repos.c.uuid == uuid))).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no Repo {uuid}")
    return row


async def _check_units(connection: AsyncConnection, uuid: UUID, level: VisibilityLevel) -> None:
    query = select(units.c.visibility_level).where(units.c.repo_uuid == uuid).distinct()
    for child in (await connection.execute(query)).scalars():
        check_child_visibility(level, VisibilityLevel(child))
