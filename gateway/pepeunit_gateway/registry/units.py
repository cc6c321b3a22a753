"""Units: changing and deleting; how they are made stands in unit_creation.py, how they are read in unit_reads.py.

Source: protocol/entities.md 1.4, protocol/rest.md 2.6, W28.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from pepeunit_gateway.access.agents import Agent, VisibilityLevel
from pepeunit_gateway.access.rules import (
    check_child_visibility,
    require_creator,
    require_creator_or_admin,
    require_user,
)
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import UnitError
from pepeunit_gateway.firmware.schema import SchemaExample
from pepeunit_gateway.firmware.versions import Target, UnitRule, resolve
from pepeunit_gateway.registry.audit import Subject, record_deletion
from pepeunit_gateway.registry.changes import UNSET, Unset, sent
from pepeunit_gateway.registry.compiled import Programs, load_programs
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.current_mirrors import current_state, retried
from pepeunit_gateway.registry.entities import Unit
from pepeunit_gateway.registry.naming import check_name
from pepeunit_gateway.registry.node_sync import linked_units
from pepeunit_gateway.registry.refs_states import require_state
from pepeunit_gateway.registry.removals import queue_removals, remove_queued
from pepeunit_gateway.registry.targets import check_unit_rule, load_unit, read_examples, repo_rule, unit_rule
from pepeunit_gateway.registry.unit_creation import NewUnit, UnitCreation
from pepeunit_gateway.registry.unit_states import to_unit
from pepeunit_gateway.registry.updates import Updates
from pepeunit_gateway.storage.tables import units, units_nodes

__all__ = ["NewUnit", "UnitChange", "Units"]


@dataclass(frozen=True, slots=True)
class UnitChange:
    """UNSET fields stay as they are; null clears the last three (W37)."""

    visibility_level: VisibilityLevel | Unset = UNSET
    name: str | Unset = UNSET
    is_auto_update_from_repo_unit: bool | Unset = UNSET
    target_firmware_platform: str | Unset | None = UNSET
    repo_branch: str | Unset | None = UNSET
    repo_commit: str | Unset | None = UNSET


@dataclass(frozen=True, slots=True)
class _Move:
    """What a unit is to run after a change, by this state of the repository; with `force` it is told in any case."""

    state: str | None
    example: SchemaExample
    target: Target
    programs: Programs
    force: bool


class Units:
    """The devices' entities."""

    def __init__(self, context: Context, updates: Updates) -> None:
        self._context = context
        self._updates = updates
        self._creation = UnitCreation(context)

    async def create(self, agent: Agent, new: NewUnit) -> Unit:
        """Create a unit; see `UnitCreation`."""
        return await self._creation.create(agent, new)

    async def create_batch(self, agent: Agent, news: Sequence[NewUnit], key: str) -> list[Unit]:
        """Create up to a hundred units at once; see `UnitCreation`."""
        return await self._creation.create_batch(agent, news, key)

    async def edit(self, agent: Agent, uuid: UUID, change: UnitChange) -> Unit:
        """Change a unit; where its target moves, nodes and command go with the same transaction."""
        require_user(agent)
        values = _changed(change)
        async with self._context.database.read() as connection:
            row = await load_unit(connection, uuid)
        rule = _checked_rule(agent, row, values)
        other_program = row.is_compilable_repo and _differs(row, values, "target_firmware_platform")
        versioned = values.keys() & {"is_auto_update_from_repo_unit", "repo_branch", "repo_commit"}
        if not versioned and not other_program:
            return await self._write(agent, uuid, change, values)

        async def attempt() -> Unit:
            state = await current_state(self._context, row.repository_registry_uuid)
            version = await self._version(row, rule, values)
            return await self._write(agent, uuid, change, values, _Move(state, *version, force=other_program))

        return await retried(attempt)

    async def _write(
        self, agent: Agent, uuid: UUID, change: UnitChange, values: dict[str, Any], move: _Move | None = None
    ) -> Unit:
        async with self._context.act(agent) as act:
            # git took its time; the unit or its Repo may have changed meanwhile
            _checked_rule(agent, await load_unit(act.connection, uuid), values)
            with unique(UnitError(f"the name {change.name} is taken", conflict=True)):
                await act.connection.execute(
                    units.update().where(units.c.uuid == uuid).values(**values, last_update_datetime=act.now)
                )
            if "visibility_level" in values:
                await _tighten_nodes(act, uuid, VisibilityLevel(values["visibility_level"]))
            row = await load_unit(act.connection, uuid)
            if move:
                await require_state(self._context, act.connection, row.repository_registry_uuid, move.state)
                await self._updates.apply(act, [row], move.example, move.target, move.programs, force=move.force)
                row = await load_unit(act.connection, uuid)
        return to_unit(row)

    async def _version(
        self, row: Row[Any], rule: UnitRule, values: dict[str, Any]
    ) -> tuple[SchemaExample, Target, Programs]:
        """Return what the unit is to run after the change.

        Raises:
            GitRepoError: there is no such version, or its release has no program for the unit.
        """
        mirrors, registry = self._context.mirrors, row.repository_registry_uuid
        target = await resolve(mirrors, registry, repo_rule(row), rule)
        example, _ = await read_examples(mirrors, registry, target.commit)
        programs = await load_programs(self._context, registry, target, is_compilable=row.is_compilable_repo)
        programs.link(values.get("target_firmware_platform", row.target_firmware_platform))
        return example, target, programs

    async def delete(self, agent: Agent, uuid: UUID) -> None:
        """Delete a unit with its nodes, edges, permissions, telemetry and logs; its session ends."""
        require_user(agent)
        async with self._context.act(agent) as act:
            row = await load_unit(act.connection, uuid)
            require_creator_or_admin(agent, row.creator_uuid)
            await record_deletion(act, agent, row.creator_uuid, Subject("Unit", uuid, row.name))
            query = select(units_nodes.c.uuid).where(units_nodes.c.unit_uuid == uuid)
            nodes = list((await act.connection.execute(query)).scalars())
            others = await linked_units(act, nodes) - {uuid}
            await act.connection.execute(units.delete().where(units.c.uuid == uuid))
            await queue_removals(act, units=[uuid], nodes=nodes)
            act.announce(Change.UNIT_REMOVED, [uuid])
            act.announce(Change.ACCESS, others)
            act.announce(Change.NODE, nodes)
        await remove_queued(self._context)


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


def _differs(row: Row[Any], values: dict[str, Any], column: str) -> bool:
    return column in values and values[column] != row._mapping[column]  # noqa: SLF001 - SQLAlchemy's documented access


def _checked_rule(agent: Agent, row: Row[Any], values: dict[str, Any]) -> UnitRule:
    """Return the unit's version rule after the change if the caller may make it and it fits the Repo."""
    require_creator(agent, row.creator_uuid)
    merged = {**row._mapping, **values}  # noqa: SLF001 - SQLAlchemy's documented access to the columns
    check_child_visibility(VisibilityLevel(row.repo_visibility_level), VisibilityLevel(merged["visibility_level"]))
    rule = unit_rule(merged)
    if rule.is_auto_update and values.get("repo_commit") and _differs(row, values, "repo_commit"):
        raise UnitError(
            "the unit follows its Repo, so that repo_commit would have no effect; to pin it send "
            "is_auto_update_from_repo_unit=false, repo_branch and repo_commit"
        )
    check_unit_rule(rule, merged["target_firmware_platform"], is_compilable=row.is_compilable_repo)
    return rule


async def _tighten_nodes(act: Act, unit: UUID, level: VisibilityLevel) -> None:
    """Raise nodes that are more open than their unit; relaxing lowers none (protocol/security.md 4.5).

    Those that changed are announced (W35).
    """
    more_open = {
        VisibilityLevel.PUBLIC: [],
        VisibilityLevel.INTERNAL: [VisibilityLevel.PUBLIC.value],
        VisibilityLevel.PRIVATE: [VisibilityLevel.PUBLIC.value, VisibilityLevel.INTERNAL.value],
    }[level]
    if more_open:
        raised = await act.connection.execute(
            units_nodes.update()
            .where(units_nodes.c.unit_uuid == unit, units_nodes.c.visibility_level.in_(more_open))
            .values(visibility_level=level.value, last_update_datetime=act.now)
            .returning(units_nodes.c.uuid)
        )
        act.announce(Change.NODE, raised.scalars())
