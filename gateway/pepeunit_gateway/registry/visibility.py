"""Who sees which rows, in SQL. The decision itself is `access.rules.may_see`; lists ask the database the same question.

Source: protocol/security.md 4.2 and 4.4, decisions.md 1, 2 and 16.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Table, exists, false, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, AgentType, VisibilityLevel
from pepeunit_gateway.access.permissions import ResourceType
from pepeunit_gateway.access.rules import may_see, require_sight, require_token
from pepeunit_gateway.storage.tables import permissions, repos, units, units_nodes, units_nodes_edges

__all__ = [
    "RESOURCES",
    "check_sight",
    "insert_permissions",
    "is_permitted",
    "linked_to_unit",
    "permission_names",
    "some_node",
    "visible",
]

RESOURCES = {
    ResourceType.REPO: (repos, permissions.c.resource_repo_uuid),
    ResourceType.UNIT: (units, permissions.c.resource_unit_uuid),
    ResourceType.UNIT_NODE: (units_nodes, permissions.c.resource_unit_node_uuid),
}
"""What a permission can open: its table and the column of `permissions` that names it."""

_COLUMN = {table.name: column for table, column in RESOURCES.values()}


def linked_to_unit(node_uuid: ColumnElement[Any], unit_uuid: UUID) -> ColumnElement[bool]:
    """Tell in SQL whether an edge joins the node with a node of the unit."""
    own = units_nodes.alias("own")
    edge = units_nodes_edges.alias("edge")
    joined = or_(
        (edge.c.node_output_uuid == node_uuid) & (edge.c.node_input_uuid == own.c.uuid),
        (edge.c.node_input_uuid == node_uuid) & (edge.c.node_output_uuid == own.c.uuid),
    )
    return exists(select(edge.c.uuid).select_from(edge.join(own, joined)).where(own.c.unit_uuid == unit_uuid))


def some_node(uuid: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Tell in SQL whether the node of that uuid is there and meets a condition, also inside a query of other nodes."""
    query = select(units_nodes.c.uuid).where(units_nodes.c.uuid == uuid, condition)
    return exists(query.correlate_except(units_nodes))


def permission_names(agent: Agent, table: Table) -> ColumnElement[bool]:
    """Tell in SQL whether a permission row on the repo, unit or unit node names the agent."""
    holder = permissions.c.agent_user_uuid if agent.type is AgentType.USER else permissions.c.agent_unit_uuid
    row = select(permissions.c.uuid).where(holder == agent.uuid, _COLUMN[table.name] == table.c.uuid).limit(1)
    # said with EXISTS, PostgreSQL would first read all permissions of the agent
    return row.scalar_subquery().is_not(None)


def _permitted(agent: Agent, table: Table) -> ColumnElement[bool]:
    row = permission_names(agent, table)
    if agent.type is AgentType.UNIT and agent.uuid is not None:
        if table is units:
            return or_(row, units.c.uuid == agent.uuid)
        if table is units_nodes:
            return or_(row, units_nodes.c.unit_uuid == agent.uuid, linked_to_unit(units_nodes.c.uuid, agent.uuid))
    return row


def visible(agent: Agent, table: Table, levels: Sequence[VisibilityLevel] | None) -> ColumnElement[bool]:
    """Restrict a list of repos, units or unit nodes to what `agent` may see, and to `levels` where given."""
    level = table.c.visibility_level
    wanted = true() if not levels else level.in_([str(value) for value in levels])
    if agent.is_admin:
        return wanted
    if agent.type not in (AgentType.USER, AgentType.UNIT):
        return wanted & (level == VisibilityLevel.PUBLIC.value)
    open_levels = level.in_([VisibilityLevel.PUBLIC.value, VisibilityLevel.INTERNAL.value])
    mine = table.c.creator_uuid == agent.uuid if agent.type is AgentType.USER else false()
    return wanted & or_(open_levels, mine, _permitted(agent, table))


async def check_sight(
    connection: AsyncConnection, agent: Agent, table: Table, row: Any, *, acting: bool = False
) -> None:
    """Refuse an agent that may not see the entity in `row`.

    `acting` is that of `access.rules.may_see`. Permissions are looked up only where the answer hangs on them.

    Raises:
        UnauthorizedError: there is no token and the entity is not Public.
        NoAccessError: the agent may not see it.
    """
    level, creator = VisibilityLevel(row.visibility_level), row.creator_uuid
    if may_see(agent, visibility=level, creator_uuid=creator, permitted=False, acting=acting):
        return
    require_token(agent)
    permitted = await is_permitted(connection, table, row.uuid, _permitted(agent, table))
    require_sight(agent, visibility=level, creator_uuid=creator, permitted=permitted, acting=acting)


async def is_permitted(connection: AsyncConnection, table: Table, uuid: UUID, granted: ColumnElement[bool]) -> bool:
    """Tell whether `granted` holds for one row of the table."""
    query = select(true()).select_from(table).where(table.c.uuid == uuid, granted)
    return (await connection.execute(query)).first() is not None


async def insert_permissions(connection: AsyncConnection, rows: Sequence[dict[str, Any]]) -> None:
    """Write the automatic rows of protocol/security.md 4.3; every dict has the same keys."""
    if rows:
        await connection.execute(permissions.insert(), list(rows))
