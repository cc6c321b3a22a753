"""Units as JSON, fit to be sent. Source: protocol/rest.md 2.6, W46."""

from dataclasses import fields
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, select

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.registry.entities import Unit
from pepeunit_gateway.registry.json_reads import JsonReads, Listing
from pepeunit_gateway.registry.json_rows import json_row
from pepeunit_gateway.registry.node_reads import NodeJson
from pepeunit_gateway.registry.unit_filters import UnitFilter, nodes_of_unit, unit_conditions, unit_order
from pepeunit_gateway.registry.unit_states import state_json
from pepeunit_gateway.registry.visibility import visible
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.tables import units, units_nodes

__all__ = ["UnitReads"]

_MEMBERS = tuple(field.name for field in fields(Unit) if field.name in units.c)
_NO_NODES: ColumnElement[str | None] = literal_column("NULL")


class UnitReads:
    """What is read of units most often."""

    def __init__(self, database: Database) -> None:
        self._node = NodeJson(sqlite=database.is_sqlite)
        body = json_row(units, _MEMBERS, sqlite=database.is_sqlite)
        self._join = func.group_concat if database.is_sqlite else func.string_agg
        columns = [body, units.c.unit_state_dict]
        self._reads: JsonReads[UnitFilter] = JsonReads(database, units, "unit", lambda _: columns, self._listing)

    async def one(self, agent: Agent, uuid: UUID) -> bytes:
        """Return one unit, without its nodes."""
        body, state = await self._reads.one(agent, uuid)
        return _unit(body, state, None)

    async def page(self, agent: Agent, wanted: UnitFilter) -> bytes:
        """Return a page of the units that the caller may see, with their nodes where asked for."""
        count, rows = await self._reads.page(agent, wanted)
        return b'{"count":%d,"units":[%s]}' % (count, b",".join([_unit(*row) for row in rows]))

    def _listing(self, agent: Agent, wanted: UnitFilter) -> Listing:
        seen = visible(agent, units_nodes, None)
        conditions = [*unit_conditions(wanted, seen), visible(agent, units, wanted.visibility_level)]
        nodes = self._nodes(agent, wanted, seen) if wanted.is_include_output_unit_nodes else _NO_NODES
        return Listing(conditions, unit_order(wanted), [nodes])

    def _nodes(self, agent: Agent, wanted: UnitFilter, seen: ColumnElement[bool]) -> Any:
        nodes = nodes_of_unit(select(self._node.of(agent).label("body")), wanted, seen).subquery("nodes")
        return select(self._join(nodes.c.body, literal_column("','"))).scalar_subquery()


def _unit(body: str, state: str | None, nodes: str | None) -> bytes:
    """Put the members that are kept elsewhere behind those of the row."""
    return b'%s,"unit_state":%s,"unit_nodes":[%s]}' % (body[:-1].encode(), state_json(state), (nodes or "").encode())
