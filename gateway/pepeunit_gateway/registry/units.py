"""Units: creating, reading, changing, deleting. Source: protocol/entities.md 1.4, protocol/rest.md 2.6, W7 and W28."""

import base64
import json
import os
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, VisibilityLevel
from pepeunit_gateway.access.rules import check_child_visibility, require_creator, require_user
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import NotFoundError, UnitError
from pepeunit_gateway.firmware.versions import UnitRule, resolve
from pepeunit_gateway.registry.changes import UNSET, Unset, sent
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.entities import Page, Unit, UnitNode, UnitState, from_row
from pepeunit_gateway.registry.listing import fetch_page
from pepeunit_gateway.registry.naming import check_name
from pepeunit_gateway.registry.node_sync import linked_units, sync_nodes
from pepeunit_gateway.registry.removals import queue_removals, remove_queued
from pepeunit_gateway.registry.targets import load_unit, read_examples, repo_rule, unit_rule
from pepeunit_gateway.registry.unit_filters import UnitFilter, nodes_query, units_query
from pepeunit_gateway.registry.updates import Updates
from pepeunit_gateway.registry.visibility import check_sight, insert_permissions, visible
from pepeunit_gateway.storage.tables import repos, units, units_nodes

__all__ = ["NewUnit", "UnitChange", "Units", "to_unit"]


@dataclass(frozen=True, slots=True)
class NewUnit:
    """Branch and commit are needed where the unit does not follow its Repo."""

    repo_uuid: UUID
    visibility_level: VisibilityLevel
    name: str
    is_auto_update_from_repo_unit: bool
    target_firmware_platform: str | None = None
    repo_branch: str | None = None
    repo_commit: str | None = None


@dataclass(frozen=True, slots=True)
class UnitChange:
    """UNSET fields stay as they are; null clears the last three (W37)."""

    visibility_level: VisibilityLevel | Unset = UNSET
    name: str | Unset = UNSET
    is_auto_update_from_repo_unit: bool | Unset = UNSET
    target_firmware_platform: str | Unset | None = UNSET
    repo_branch: str | Unset | None = UNSET
    repo_commit: str | Unset | None = UNSET


class Units:
    """The devices' entities."""

    def __init__(self, context: Context, updates: Updates) -> None:
        self._context = context
        self._updates = updates

    async def create(self, agent: Agent, new: NewUnit) -> Unit:
        """Create a unit with its nodes and permissions, or nothing (W28).

        Raises:
            NoAccessError: the caller may not see the Repo (W7).
            GitRepoError, CustomJSONDecodeError: the target version is missing or its example files are broken.
        """
        user = require_user(agent)
        check_name(new.name, "the name", UnitError)
        async with self._context.database.read() as connection:
            repo = await _checked_repo(connection, agent, new)
        rule = UnitRule(new.is_auto_update_from_repo_unit, new.repo_branch, new.repo_commit)
        mirrors, registry = self._context.mirrors, repo.repository_registry_uuid
        target = await resolve(mirrors, registry, repo_rule(repo), rule)
        example, _ = await read_examples(mirrors, registry, target.commit)
        uuid = uuid4()
        async with self._context.act() as act:
            await _checked_repo(act.connection, agent, new)  # git took its time; the Repo may have changed meanwhile
            with unique(UnitError(f"the name {new.name} is taken", conflict=True)):
                await act.connection.execute(units.insert().values(self._columns(act, uuid, user, new)))
            await insert_permissions(act.connection, _permissions(uuid, user, new.repo_uuid))
            row = await load_unit(act.connection, uuid)
            pipe = self._context.settings.ff_datapipe_default_last_value_enable
            await sync_nodes(act, [row], example, target.commit, default_pipe=pipe)
        return to_unit(row)

    async def get(self, agent: Agent, uuid: UUID) -> Unit:
        """Return the public fields of one unit."""
        async with self._context.database.read() as connection:
            row = await load_unit(connection, uuid)
            await check_sight(connection, agent, units, row)
        return to_unit(row)

    async def page(self, agent: Agent, wanted: UnitFilter) -> Page[Unit]:
        """Return a page of the units that the caller may see, with their nodes where asked for."""
        seen = visible(agent, units_nodes, None)
        query = units_query(wanted, seen).where(visible(agent, units, wanted.visibility_level))
        async with self._context.database.read() as connection:
            count, rows = await fetch_page(connection, query, wanted.paging)
            nodes: dict[UUID, list[UnitNode]] = {}
            if wanted.is_include_output_unit_nodes and rows:
                found = nodes_query(wanted, [row.uuid for row in rows]).where(seen)
                for row in (await connection.execute(found)).all():
                    nodes.setdefault(row.unit_uuid, []).append(from_row(UnitNode, row))
        return Page(count, [to_unit(row, nodes.get(row.uuid, [])) for row in rows])

    async def edit(self, agent: Agent, uuid: UUID, change: UnitChange) -> Unit:
        """Change a unit; where its target moves, nodes and command go with the same transaction."""
        require_user(agent)
        values = _changed(change)
        async with self._context.database.read() as connection:
            row = await load_unit(connection, uuid)
        rule = _checked_rule(agent, row, values)
        mirrors, registry = self._context.mirrors, row.repository_registry_uuid
        versioned = values.keys() & {"is_auto_update_from_repo_unit", "repo_branch", "repo_commit"}
        target = await resolve(mirrors, registry, repo_rule(row), rule) if versioned else None
        example = (await read_examples(mirrors, registry, target.commit))[0] if target else None
        async with self._context.act() as act:
            # git took its time; the unit or its Repo may have changed meanwhile
            _checked_rule(agent, await load_unit(act.connection, uuid), values)
            with unique(UnitError(f"the name {change.name} is taken", conflict=True)):
                await act.connection.execute(
                    units.update().where(units.c.uuid == uuid).values(**values, last_update_datetime=act.now)
                )
            if "visibility_level" in values:
                await _tighten_nodes(act, uuid, VisibilityLevel(values["visibility_level"]))
            row = await load_unit(act.connection, uuid)
            if target and example:
                await self._updates.apply(act, [row], example, target)
                row = await load_unit(act.connection, uuid)
        return to_unit(row)

    async def delete(self, agent: Agent, uuid: UUID) -> None:
        """Delete a unit with its nodes, edges, permissions, telemetry and logs; its session ends."""
        require_user(agent)
        async with self._context.act() as act:
            row = await load_unit(act.connection, uuid)
            require_creator(agent, row.creator_uuid)
            query = select(units_nodes.c.uuid).where(units_nodes.c.unit_uuid == uuid)
            nodes = list((await act.connection.execute(query)).scalars())
            others = await linked_units(act, nodes) - {uuid}
            await act.connection.execute(units.delete().where(units.c.uuid == uuid))
            await queue_removals(act, units=[uuid], nodes=nodes)
            act.announce(Change.UNIT_REMOVED, [uuid])
            act.announce(Change.ACCESS, others)
            act.announce(Change.NODE, nodes)
        await remove_queued(self._context)

    def _columns(self, act: Act, uuid: UUID, user: UUID, new: NewUnit) -> dict[str, Any]:
        keys = {"PU_SECRET_KEY": _random_key(), "PU_ENCRYPT_KEY": _random_key()}
        return {
            "uuid": uuid,
            "visibility_level": new.visibility_level.value,
            "name": new.name,
            "create_datetime": act.now,
            "last_update_datetime": act.now,
            "is_auto_update_from_repo_unit": new.is_auto_update_from_repo_unit,
            "target_firmware_platform": new.target_firmware_platform,
            "repo_branch": new.repo_branch,
            "repo_commit": new.repo_commit,
            "cipher_env_dict": self._context.cipher.encrypt(json.dumps(keys)),
            "creator_uuid": user,
            "repo_uuid": new.repo_uuid,
            "token_generation": 0,
        }


def _random_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def _changed(change: UnitChange) -> dict[str, Any]:
    values = sent(
        visibility_level=change.visibility_level,
        name=change.name,
        is_auto_update_from_repo_unit=change.is_auto_update_from_repo_unit,
        target_firmware_platform=change.target_firmware_platform,
        repo_branch=change.repo_branch,
        repo_commit=change.repo_commit,
    )
    if "name" in values:
        check_name(values["name"], "the name", UnitError)
    if "visibility_level" in values:
        values["visibility_level"] = VisibilityLevel(values["visibility_level"]).value
    return values


async def _checked_repo(connection: AsyncConnection, agent: Agent, new: NewUnit) -> Row[Any]:
    """Return the Repo of a new unit if the caller sees it and the unit fits it (W7)."""
    query = select(repos).where(repos.c.uuid == new.repo_uuid)
    repo: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if repo is None:
        raise NotFoundError(f"there is no Repo {new.repo_uuid}")
    await check_sight(connection, agent, repos, repo, acting=True)
    check_child_visibility(VisibilityLevel(repo.visibility_level), new.visibility_level)
    rule = UnitRule(new.is_auto_update_from_repo_unit, new.repo_branch, new.repo_commit)
    _check_rule(rule, new.target_firmware_platform, is_compilable=repo.is_compilable_repo)
    return repo


def _checked_rule(agent: Agent, row: Row[Any], values: dict[str, Any]) -> UnitRule:
    """Return the unit's version rule after the change if the caller may make it and it fits the Repo."""
    require_creator(agent, row.creator_uuid)
    merged = {**row._mapping, **values}  # noqa: SLF001 - SQLAlchemy's documented access to the columns
    check_child_visibility(VisibilityLevel(row.repo_visibility_level), VisibilityLevel(merged["visibility_level"]))
    rule = unit_rule(merged)
    _check_rule(rule, merged["target_firmware_platform"], is_compilable=row.is_compilable_repo)
    return rule


def _check_rule(rule: UnitRule, platform: str | None, *, is_compilable: bool) -> None:
    if not rule.is_auto_update and not (rule.branch and rule.commit):
        raise UnitError("a unit that does not follow its Repo needs repo_branch and repo_commit")
    if platform is not None and not is_compilable:
        raise UnitError("target_firmware_platform is for units of compilable Repos only")


def _permissions(uuid: UUID, user: UUID, repo: UUID) -> list[dict[str, Any]]:
    blank = {"agent_user_uuid": None, "agent_unit_uuid": None, "resource_repo_uuid": None, "resource_unit_uuid": None}
    return [
        {**blank, "uuid": uuid4(), "agent_type": kind, holder: agent, "resource_type": resource_type, column: resource}
        for kind, holder, agent, resource_type, column, resource in (
            ("User", "agent_user_uuid", user, "Unit", "resource_unit_uuid", uuid),
            ("Unit", "agent_unit_uuid", uuid, "Repo", "resource_repo_uuid", repo),
            ("Unit", "agent_unit_uuid", uuid, "Unit", "resource_unit_uuid", uuid),
        )
    ]


async def _tighten_nodes(act: Act, unit: UUID, level: VisibilityLevel) -> None:
    """Raise nodes that are more open than their unit; relaxing lowers none (protocol/security.md 4.5)."""
    more_open = {
        VisibilityLevel.PUBLIC: [],
        VisibilityLevel.INTERNAL: [VisibilityLevel.PUBLIC.value],
        VisibilityLevel.PRIVATE: [VisibilityLevel.PUBLIC.value, VisibilityLevel.INTERNAL.value],
    }[level]
    if more_open:
        await act.connection.execute(
            units_nodes.update()
            .where(units_nodes.c.unit_uuid == unit, units_nodes.c.visibility_level.in_(more_open))
            .values(visibility_level=level.value, last_update_datetime=act.now)
        )


def to_unit(row: Row[Any], nodes: list[UnitNode] | None = None) -> Unit:
    """Make the read view of a row of `units`."""
    state = UnitState(**json.loads(row.unit_state_dict)) if row.unit_state_dict else None
    return from_row(Unit, row, unit_state=state, unit_nodes=nodes or [])
