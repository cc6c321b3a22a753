"""Load what concerns a unit's rights over MQTT; the decision is `access.grants.build_grants`."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, literal, null, select, union_all

from pepeunit_gateway.access.grants import GrantedNode, Grants, build_grants
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.entities import UnitNodeType
from pepeunit_gateway.storage.tables import permissions, units, units_nodes, units_nodes_edges

__all__ = ["load_grants", "load_grants_of"]


async def load_grants(context: Context, unit_uuid: UUID) -> Grants:
    """Return the exact topics of the unit, in one statement (decisions.md 1)."""
    return (await load_grants_of(context, [unit_uuid]))[unit_uuid]


async def load_grants_of(context: Context, holders: Sequence[UUID]) -> dict[UUID, Grants]:
    """Return the exact topics of each of these units, at most some hundred, in one statement."""
    async with context.database.read() as connection:
        rows = (await connection.execute(_nodes_of(holders))).all()
    nodes: dict[UUID, list[GrantedNode]] = {holder: [] for holder in holders}
    told: dict[UUID, str] = {}
    for row in rows:
        if row.topic_name is None:
            told[row.holder] = row.told_domain
            continue
        nodes[row.holder].append(
            GrantedNode(
                uuid=row.uuid,
                topic_name=row.topic_name,
                is_output=row.type == UnitNodeType.OUTPUT.value,
                is_own=bool(row.is_own),
                is_rewritable_input=bool(row.is_rewritable_input),
                told_domain=row.told_domain,
            )
        )
    domain = context.settings.domain
    return {
        holder: build_grants(domain, holder, granted, told_domain=told.get(holder)) for holder, granted in nodes.items()
    }


def _nodes_of(holders: Sequence[UUID]) -> CompoundSelect[Any]:
    """Select the nodes that concern the holders: their own, those linked with them, those they have permission on.

    A holder that still uses a previous domain has a row more, without a name, which tells it.
    """
    own = units_nodes.alias("own")
    edge = units_nodes_edges
    node = units_nodes
    told = select(units.c.told_domain).where(units.c.uuid == node.c.unit_uuid).scalar_subquery().label("told_domain")
    columns: tuple[ColumnElement[Any], ...] = (
        node.c.uuid,
        node.c.topic_name,
        node.c.type,
        node.c.is_rewritable_input,
        told,
    )
    linked = own.c.unit_uuid.in_(holders), node.c.unit_uuid != own.c.unit_uuid
    agent = permissions.c.agent_unit_uuid
    return union_all(
        select(*columns, node.c.unit_uuid.label("holder"), literal(1).label("is_own")).where(
            node.c.unit_uuid.in_(holders)
        ),
        select(*columns, own.c.unit_uuid, literal(0))
        .select_from(
            edge.join(own, edge.c.node_input_uuid == own.c.uuid).join(node, edge.c.node_output_uuid == node.c.uuid)
        )
        .where(*linked),
        select(*columns, own.c.unit_uuid, literal(0))
        .select_from(
            edge.join(own, edge.c.node_output_uuid == own.c.uuid).join(node, edge.c.node_input_uuid == node.c.uuid)
        )
        .where(*linked),
        select(*columns, agent, literal(0))
        .select_from(permissions.join(node, permissions.c.resource_unit_node_uuid == node.c.uuid))
        .where(agent.in_(holders), node.c.unit_uuid != agent),
        select(units.c.uuid, null(), null(), null(), units.c.told_domain, units.c.uuid, literal(0)).where(
            units.c.uuid.in_(holders), units.c.told_domain.is_not(None)
        ),
    )
