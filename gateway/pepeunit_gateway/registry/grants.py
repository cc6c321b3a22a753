"""Load what concerns a unit's rights over MQTT; the decision is `access.grants.build_grants`."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, literal, select, union_all

from pepeunit_gateway.access.grants import GrantedNode, Grants, build_grants
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.entities import UnitNodeType
from pepeunit_gateway.storage.tables import permissions, units_nodes, units_nodes_edges

__all__ = ["load_grants"]


async def load_grants(context: Context, unit_uuid: UUID) -> Grants:
    """Return the exact topics of the unit, in one statement (decisions.md 1)."""
    own = units_nodes.alias("own")
    edge = units_nodes_edges
    node = units_nodes
    columns: tuple[ColumnElement[Any], ...] = (node.c.uuid, node.c.topic_name, node.c.type, node.c.is_rewritable_input)
    mine = own.c.unit_uuid == unit_uuid
    query = union_all(
        select(*columns, literal(1).label("is_own")).where(node.c.unit_uuid == unit_uuid),
        select(*columns, literal(0))
        .select_from(
            edge.join(own, edge.c.node_input_uuid == own.c.uuid).join(node, edge.c.node_output_uuid == node.c.uuid)
        )
        .where(mine, node.c.unit_uuid != unit_uuid),
        select(*columns, literal(0))
        .select_from(
            edge.join(own, edge.c.node_output_uuid == own.c.uuid).join(node, edge.c.node_input_uuid == node.c.uuid)
        )
        .where(mine, node.c.unit_uuid != unit_uuid),
        select(*columns, literal(0))
        .select_from(permissions.join(node, permissions.c.resource_unit_node_uuid == node.c.uuid))
        .where(permissions.c.agent_unit_uuid == unit_uuid, node.c.unit_uuid != unit_uuid),
    )
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).all()
    return build_grants(
        context.settings.domain,
        unit_uuid,
        [
            GrantedNode(
                uuid=row.uuid,
                topic_name=row.topic_name,
                is_output=row.type == UnitNodeType.OUTPUT.value,
                is_own=bool(row.is_own),
                is_rewritable_input=bool(row.is_rewritable_input),
            )
            for row in rows
        ],
    )
