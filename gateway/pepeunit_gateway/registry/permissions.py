"""Permissions: a Repo, a unit or a node is opened to a User or a Unit that would not reach it otherwise.

Who may grant, list and revoke is decided in `access.permissions`; this module loads the facts. A permission opens what
is Private to be seen; one on a node also lets a User set and link it and read its values, and a Unit receive or set it
over MQTT (decisions.md 1 and 2), which the broker learns within a second.

A revocation takes back the row and nothing that was made with it: an edge grants by itself (decisions.md 1), so one
that was made with a permission stays until it is deleted. The creator of either node may do that at any time, and
finds it in `GET /unit_nodes/edges`. Source: protocol/entities.md 1.7, protocol/security.md 4.3, rest.md 2.8; W2, W31.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, Table, Uuid, cast, func, literal, null, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.permissions import (
    HolderType,
    Resource,
    ResourceType,
    check_revocable,
    may_list_all,
    require_granter,
    require_lister,
    require_revoker,
)
from pepeunit_gateway.access.rules import require_user
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import CustomPermissionError, NotFoundError
from pepeunit_gateway.registry.audit import Action, Subject, record
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.entities import Page
from pepeunit_gateway.registry.listing import FIRST_PAGE, Paging, fetch_page
from pepeunit_gateway.registry.visibility import RESOURCES
from pepeunit_gateway.storage.tables import permissions, units, units_nodes, users

__all__ = ["NewPermission", "Permission", "PermissionFilter", "Permissions"]

_HOLDERS: dict[HolderType, tuple[Table, ColumnElement[Any]]] = {
    HolderType.USER: (users, permissions.c.agent_user_uuid),
    HolderType.UNIT: (units, permissions.c.agent_unit_uuid),
}
# the expressions of the unique index, so that it is used
_holder: ColumnElement[Any] = func.coalesce(permissions.c.agent_user_uuid, permissions.c.agent_unit_uuid)
_resource: ColumnElement[Any] = func.coalesce(
    permissions.c.resource_repo_uuid, permissions.c.resource_unit_uuid, permissions.c.resource_unit_node_uuid
)


@dataclass(frozen=True, slots=True)
class Permission:
    """The read view of protocol/entities.md 1.7."""

    uuid: UUID
    agent_uuid: UUID
    agent_type: HolderType
    resource_uuid: UUID
    resource_type: ResourceType


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whom a permission names; `repo_uuid` is the Repo of a Unit."""

    type: HolderType
    uuid: UUID
    name: str
    repo_uuid: UUID | None


@dataclass(frozen=True, slots=True)
class NewPermission:
    agent_uuid: UUID
    agent_type: HolderType
    resource_uuid: UUID
    resource_type: ResourceType


@dataclass(frozen=True, slots=True)
class PermissionFilter:
    """Absent means "all"."""

    agent_uuid: UUID | None = None
    agent_type: Sequence[HolderType] = ()
    resource_uuid: UUID | None = None
    resource_type: Sequence[ResourceType] = ()
    paging: Paging = FIRST_PAGE


class Permissions:
    """Granting, listing and revoking."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def grant(self, agent: Agent, new: NewPermission) -> Permission:
        """Open a resource to a User or a Unit.

        Raises:
            NotFoundError: there is no such resource, or no such User or Unit.
            CustomPermissionError: it was granted already (409).
        """
        require_user(agent)
        made = Permission(uuid4(), new.agent_uuid, new.agent_type, new.resource_uuid, new.resource_type)
        async with self._context.act(agent) as act:
            resource = await _load_resource(act.connection, new.resource_uuid, new.resource_type)
            require_granter(agent, resource)
            holder = await _load_holder(act.connection, new.agent_uuid, new.agent_type)
            values = {
                "uuid": made.uuid,
                "agent_type": new.agent_type.value,
                _HOLDERS[new.agent_type][1].key: new.agent_uuid,
                "resource_type": new.resource_type.value,
                RESOURCES[new.resource_type][1].key: new.resource_uuid,
            }
            taken = f"the {new.agent_type} holds this permission already"
            with unique(CustomPermissionError(taken, conflict=True)):
                await act.connection.execute(permissions.insert().values(values))
            await _tell(act, agent, Action.PERMISSION_GRANTED, resource, holder)
        return made

    async def revoke(self, agent: Agent, *, holder: UUID, resource: UUID) -> None:
        """Take a permission away; for a Unit it ends at the broker within a second (W5).

        Who may not do that is not told whether there is one.

        Raises:
            NotFoundError: there is no such resource, or no such permission.
            CustomPermissionError: it belongs to being a creator or a unit.
        """
        require_user(agent)
        async with self._context.act(agent) as act:
            found = await _load_resource(act.connection, resource)
            require_revoker(agent, found, holder)
            query = _select().where(_holder == holder, _resource == resource)
            row = (await act.connection.execute(query)).one_or_none()
            if row is None:
                raise NotFoundError(f"{holder} holds no permission on the {found.type} {resource}")
            who = await _load_holder(act.connection, holder, HolderType(row.agent_type))
            check_revocable(found, holder, holder_repo=who.repo_uuid)
            await act.connection.execute(permissions.delete().where(permissions.c.uuid == row.uuid))
            await _tell(act, agent, Action.PERMISSION_REVOKED, found, who)

    async def of_resource(
        self,
        agent: Agent,
        resource: UUID,
        resource_type: ResourceType,
        *,
        agent_type: Sequence[HolderType],
        paging: Paging,
    ) -> Page[Permission]:
        """Return a page of who holds permissions on one resource; its creator and an Admin may."""
        require_user(agent)
        query = _filtered(PermissionFilter(agent_type=agent_type)).where(RESOURCES[resource_type][1] == resource)
        async with self._context.database.read() as connection:
            require_lister(agent, await _load_resource(connection, resource, resource_type))
            count, rows = await fetch_page(connection, query.order_by(permissions.c.uuid), paging)
        return Page(count, [_permission(row) for row in rows])

    async def page(self, agent: Agent, wanted: PermissionFilter) -> Page[Permission]:
        """Return a page of what the caller holds and of what is held of theirs; an Admin sees all."""
        user = require_user(agent)
        query = _filtered(wanted)
        if not may_list_all(agent):
            own = [
                column.in_(select(table.c.uuid).where(table.c.creator_uuid == user))
                for table, column in RESOURCES.values()
            ]
            query = query.where(or_(permissions.c.agent_user_uuid == user, *own))
        async with self._context.database.read() as connection:
            count, rows = await fetch_page(connection, query.order_by(permissions.c.uuid), wanted.paging)
        return Page(count, [_permission(row) for row in rows])


def _select() -> Select[Any]:
    columns = permissions.c.uuid, permissions.c.agent_type, permissions.c.resource_type
    return select(*columns, _holder.label("agent_uuid"), _resource.label("resource_uuid"))


def _permission(row: Any) -> Permission:
    holder, resource = HolderType(row.agent_type), ResourceType(row.resource_type)
    return Permission(row.uuid, row.agent_uuid, holder, row.resource_uuid, resource)


def _filtered(wanted: PermissionFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.agent_uuid is not None:
        conditions.append(_holder == wanted.agent_uuid)
    if wanted.resource_uuid is not None:
        conditions.append(_resource == wanted.resource_uuid)
    if wanted.agent_type:
        conditions.append(permissions.c.agent_type.in_([kind.value for kind in wanted.agent_type]))
    if wanted.resource_type:
        conditions.append(permissions.c.resource_type.in_([kind.value for kind in wanted.resource_type]))
    return _select().where(*conditions)


async def _load_resource(connection: AsyncConnection, uuid: UUID, only: ResourceType | None = None) -> Resource:
    """Return what the uuid names, of whatever type or of one.

    Raises:
        NotFoundError: nothing that can be granted.
    """
    parts = []
    for kind, (table, _) in RESOURCES.items():
        if only in (None, kind):
            is_node = table is units_nodes
            unit = table.c.unit_uuid if is_node else cast(null(), Uuid)
            name = table.c.topic_name if is_node else table.c.name
            columns = (
                literal(kind.value).label("type"),
                table.c.creator_uuid,
                unit.label("unit_uuid"),
                name.label("name"),
            )
            parts.append(select(*columns).where(table.c.uuid == uuid))
    row = (await connection.execute(union_all(*parts))).first()
    if row is None:
        raise NotFoundError(f"there is no {only or 'Repo, Unit or UnitNode'} {uuid}")
    return Resource(ResourceType(row.type), uuid, row.creator_uuid, row.unit_uuid, row.name)


async def _load_holder(connection: AsyncConnection, uuid: UUID, kind: HolderType) -> _Holder:
    """Return whom a permission names.

    Raises:
        NotFoundError: there is none.
    """
    table, _ = _HOLDERS[kind]
    columns = (units.c.name, units.c.repo_uuid) if table is units else (users.c.login, cast(null(), Uuid))
    query = select(columns[0].label("name"), columns[1].label("repo_uuid")).where(table.c.uuid == uuid)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no {kind} {uuid}")
    return _Holder(kind, uuid, row.name, row.repo_uuid)


async def _tell(act: Act, agent: Agent, action: Action, resource: Resource, holder: _Holder) -> None:
    """Put it on record, and let the broker know where it concerns what a unit may do there."""
    if holder.type is HolderType.UNIT and resource.type is ResourceType.UNIT_NODE:
        act.announce(Change.ACCESS, [holder.uuid])
    details = {"agent_type": holder.type.value, "agent_uuid": str(holder.uuid), "agent_name": holder.name}
    subject = Subject(resource.type.value, resource.uuid, resource.name)
    await record(act, agent, action=action, subject=subject, details=details)
