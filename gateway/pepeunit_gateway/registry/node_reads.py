"""Unit nodes as JSON, fit to be sent. Source: protocol/rest.md 2.7, W46."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from uuid import UUID

from sqlalchemy import ColumnElement, case, select

from pepeunit_gateway.access.agents import Agent, AgentType, VisibilityLevel
from pepeunit_gateway.registry.entities import UnitNode, UnitNodeType
from pepeunit_gateway.registry.json_reads import JsonReads, Listing
from pepeunit_gateway.registry.json_rows import json_row
from pepeunit_gateway.registry.listing import FIRST_PAGE, OrderBy, Paging, ordered, search
from pepeunit_gateway.registry.visibility import some_node, visible
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.tables import units_nodes, units_nodes_edges

__all__ = ["NodeFilter", "NodeJson", "NodeReads"]

_MEMBERS = tuple(field.name for field in fields(UnitNode))


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """Absent means "all"; `output_uuid` asks for the Inputs that this Output feeds, if the caller sees it."""

    uuids: Sequence[UUID] = ()
    unit_uuid: UUID | None = None
    search_string: str | None = None
    type: Sequence[UnitNodeType] = ()
    visibility_level: Sequence[VisibilityLevel] = ()
    output_uuid: UUID | None = None
    order_by_create_date: OrderBy = OrderBy.DESC
    paging: Paging = FIRST_PAGE


class NodeJson:
    """The JSON object of a node as an agent may read it: the configuration of its pipe is not for everybody (W8)."""

    def __init__(self, *, sqlite: bool) -> None:
        self._whole = json_row(units_nodes, _MEMBERS, sqlite=sqlite)
        self._open = json_row(units_nodes, _MEMBERS, sqlite=sqlite, hidden="data_pipe_yml")

    def of(self, agent: Agent) -> ColumnElement[str]:
        """Return the expression; `access.nodes.may_read_pipe_with_node` in SQL."""
        owners = {AgentType.USER: units_nodes.c.creator_uuid, AgentType.UNIT: units_nodes.c.unit_uuid}
        if agent.type not in owners:
            return self._open
        return case((owners[agent.type] == agent.uuid, self._whole), else_=self._open)


class NodeReads:
    """What is read of nodes most often."""

    def __init__(self, database: Database) -> None:
        body = NodeJson(sqlite=database.is_sqlite)
        self._reads: JsonReads[NodeFilter] = JsonReads(
            database, units_nodes, "unit node", lambda agent: [body.of(agent)], _listing
        )

    async def one(self, agent: Agent, uuid: UUID) -> bytes:
        """Return one node."""
        body: str
        (body,) = await self._reads.one(agent, uuid)
        return body.encode()

    async def page(self, agent: Agent, wanted: NodeFilter) -> bytes:
        """Return a page of the nodes that the caller may see."""
        count, rows = await self._reads.page(agent, wanted)
        return b'{"count":%d,"unit_nodes":[%s]}' % (count, ",".join([body for (body,) in rows]).encode())


def _listing(agent: Agent, wanted: NodeFilter) -> Listing:
    order = [ordered(units_nodes.c.create_datetime, wanted.order_by_create_date), units_nodes.c.uuid]
    conditions = _conditions(wanted, visible(agent, units_nodes, None))
    return Listing([*conditions, visible(agent, units_nodes, wanted.visibility_level)], order)


def _conditions(wanted: NodeFilter, seen: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    conditions = search(wanted.search_string, units_nodes.c.topic_name)
    if wanted.uuids:
        conditions.append(units_nodes.c.uuid.in_(list(wanted.uuids)))
    if wanted.unit_uuid is not None:
        conditions.append(units_nodes.c.unit_uuid == wanted.unit_uuid)
    if wanted.type:
        conditions.append(units_nodes.c.type.in_([kind.value for kind in wanted.type]))
    if wanted.output_uuid is not None:
        edge = units_nodes_edges
        fed = select(edge.c.node_input_uuid).where(edge.c.node_output_uuid == wanted.output_uuid)
        conditions += [units_nodes.c.uuid.in_(fed), some_node(wanted.output_uuid, seen)]
    return conditions
