"""Edges from Outputs to Inputs. Source: protocol/entities.md 1.6, rest.md 2.7, decisions.md 1 and 12, W28-W31."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, and_, func, or_, select

from pepeunit_gateway.access.agents import Agent, AgentType
from pepeunit_gateway.access.nodes import require_edge_remover, require_linker
from pepeunit_gateway.access.rules import require_user
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import NotFoundError, UnitNodeError
from pepeunit_gateway.registry.audit import Subject, record_deletion
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.entities import Edge, Page, UnitNodeType, from_row
from pepeunit_gateway.registry.listing import Paging, fetch_page
from pepeunit_gateway.registry.moves import units_that_understand
from pepeunit_gateway.registry.nodes import load_node
from pepeunit_gateway.registry.outbox import queue_commands
from pepeunit_gateway.registry.visibility import check_sight, is_permitted, permission_names, some_node, visible
from pepeunit_gateway.storage.tables import units_nodes, units_nodes_edges
from pepeunit_gateway.topics import BackendTopicCommand

__all__ = ["Edges"]


class Edges:
    """Links that let a unit hear another's Output."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, agent: Agent, output_uuid: UUID, input_uuid: UUID) -> Edge:
        """Link an Output that the caller sees to an Input that is theirs or granted to them.

        Edge and SchemaUpdate to the Input's unit are one transaction (W28).

        Raises:
            UnitNodeError: wrong types, a full node, or the edge exists (409).
        """
        require_user(agent)
        sends = await self._understands(input_uuid)
        async with self._context.act(agent) as act:
            output, target = await load_node(act.connection, output_uuid), await load_node(act.connection, input_uuid)
            await check_sight(act.connection, agent, units_nodes, output, acting=True)
            named = permission_names(agent, units_nodes)
            permitted = await is_permitted(act.connection, units_nodes, input_uuid, named)
            user = require_linker(agent, creator_uuid=target.creator_uuid, permitted=permitted)
            _check_types(output, target)
            await _check_room(act, output, units_nodes_edges.c.node_output_uuid)
            await _check_room(act, target, units_nodes_edges.c.node_input_uuid)
            uuid = uuid4()
            with unique(UnitNodeError("these two nodes are linked already", conflict=True)):
                await act.connection.execute(
                    units_nodes_edges.insert().values(
                        uuid=uuid, node_output_uuid=output_uuid, node_input_uuid=input_uuid, creator_uuid=user
                    )
                )
            await self._tell(act, output, target, sends=sends)
        return Edge(uuid, output_uuid, input_uuid, user)

    async def page(self, agent: Agent, node_uuid: UUID | None, paging: Paging) -> Page[Edge]:
        """Return edges of which the caller sees both ends, or which are theirs, of one node if `node_uuid` is given."""
        edge = units_nodes_edges
        query = select(edge).where(_listed(agent))
        if node_uuid:
            query = query.where(or_(edge.c.node_output_uuid == node_uuid, edge.c.node_input_uuid == node_uuid))
        async with self._context.database.read() as connection:
            count, rows = await fetch_page(connection, query.order_by(edge.c.uuid), paging)
        return Page(count, [from_row(Edge, row) for row in rows])

    async def delete(self, agent: Agent, uuid: UUID) -> None:
        """Delete an edge: its creator, the creator of either node and an Admin may (decisions.md 1 and 16)."""
        require_user(agent)
        edge = units_nodes_edges
        found = select(edge).where(edge.c.uuid == uuid)
        async with self._context.database.read() as connection:
            seen = (await connection.execute(found)).one_or_none()
        sends = seen is not None and await self._understands(seen.node_input_uuid)
        async with self._context.act(agent) as act:
            row = (await act.connection.execute(found)).one_or_none()
            if row is None:
                raise NotFoundError(f"there is no edge {uuid}")
            output = await load_node(act.connection, row.node_output_uuid)
            target = await load_node(act.connection, row.node_input_uuid)
            require_edge_remover(
                agent,
                edge_creator=row.creator_uuid,
                output_creator=output.creator_uuid,
                input_creator=target.creator_uuid,
            )
            if agent.uuid not in (output.creator_uuid, target.creator_uuid):
                await record_deletion(act, agent, row.creator_uuid, Subject("Edge", uuid))
            await act.connection.execute(edge.delete().where(edge.c.uuid == uuid))
            await self._tell(act, output, target, sends=sends)

    async def _understands(self, input_uuid: UUID) -> bool:
        """Tell whether the Input's program lists SchemaUpdate; an unreadable schema harms the edge in no way (W28).

        Asked before the transaction begins, because git answers.
        """
        async with self._context.database.read() as connection:
            node = await load_node(connection, input_uuid)
        command = BackendTopicCommand.SCHEMA_UPDATE
        return bool(await units_that_understand(self._context, [node.unit_uuid], command))

    async def _tell(self, act: Act, output: Row[Any], target: Row[Any], *, sends: bool) -> None:
        if sends:
            domain = self._context.settings.domain
            await queue_commands(act, domain, [target.unit_uuid], BackendTopicCommand.SCHEMA_UPDATE)
        act.announce(Change.ACCESS, {output.unit_uuid, target.unit_uuid})


def _listed(agent: Agent) -> ColumnElement[bool]:
    """Tell in SQL whether an edge is listed: it tells the uuids of both its nodes.

    To who sees both, which a Unit does that owns either; to who made it, and to the creator of either node.
    """
    edge = units_nodes_edges
    ends = (edge.c.node_output_uuid, edge.c.node_input_uuid)
    seen = visible(agent, units_nodes, None)
    both = and_(*(some_node(end, seen) for end in ends))
    if agent.type is not AgentType.USER:
        return both
    mine = units_nodes.c.creator_uuid == agent.uuid
    return or_(both, edge.c.creator_uuid == agent.uuid, *(some_node(end, mine) for end in ends))


def _check_types(output: Row[Any], target: Row[Any]) -> None:
    if output.type != UnitNodeType.OUTPUT.value or target.type != UnitNodeType.INPUT.value:
        raise UnitNodeError("an edge goes from an Output (node_output_uuid) to an Input (node_input_uuid)")


async def _check_room(act: Act, node: Row[Any], column: Any) -> None:
    count = select(func.count()).select_from(units_nodes_edges).where(column == node.uuid)
    if (await act.connection.execute(count)).scalar_one() >= node.max_connections:
        raise UnitNodeError(f"{node.topic_name} has {node.max_connections} edges, its max_connections; raise it first")
