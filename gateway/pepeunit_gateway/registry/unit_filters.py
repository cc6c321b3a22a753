"""The filters of unit lists. Source: protocol/rest.md 2.2."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, select

from pepeunit_gateway.access.agents import VisibilityLevel
from pepeunit_gateway.registry.entities import UnitNodeType
from pepeunit_gateway.registry.listing import FIRST_PAGE, OrderBy, Paging, ordered, search
from pepeunit_gateway.registry.visibility import some_node
from pepeunit_gateway.storage.tables import units, units_nodes, units_nodes_edges

__all__ = ["UnitFilter", "nodes_of_unit", "unit_conditions", "unit_order"]


@dataclass(frozen=True, slots=True)
class UnitFilter:
    """Absent means "all", and every filter narrows what the others leave.

    The node filters count only with `is_include_output_unit_nodes`.
    """

    is_include_output_unit_nodes: bool = False
    uuids: Sequence[UUID] = ()
    creator_uuid: UUID | None = None
    repo_uuid: UUID | None = None
    repos_uuids: Sequence[UUID] = ()
    search_string: str | None = None
    is_auto_update_from_repo_unit: bool | None = None
    visibility_level: Sequence[VisibilityLevel] = ()
    unit_node_input_uuid: UUID | None = None
    unit_node_type: Sequence[UnitNodeType] = ()
    unit_node_uuids: Sequence[UUID] = ()
    order_by_create_date: OrderBy = OrderBy.DESC
    order_by_last_update: OrderBy = OrderBy.DESC
    order_by_unit_name: OrderBy = OrderBy.ASC
    paging: Paging = FIRST_PAGE


def _node_conditions(wanted: UnitFilter, seen: ColumnElement[bool]) -> list[Any]:
    if wanted.unit_node_input_uuid is not None:
        edge = units_nodes_edges
        linked = select(edge.c.node_output_uuid).where(edge.c.node_input_uuid == wanted.unit_node_input_uuid)
        asked = some_node(wanted.unit_node_input_uuid, seen)  # or its links would tell that it is there
        return [units_nodes.c.type == UnitNodeType.OUTPUT.value, units_nodes.c.uuid.in_(linked), asked]
    conditions: list[Any] = []
    if wanted.unit_node_type:
        conditions.append(units_nodes.c.type.in_([kind.value for kind in wanted.unit_node_type]))
    if wanted.unit_node_uuids:
        conditions.append(units_nodes.c.uuid.in_(list(wanted.unit_node_uuids)))
    return conditions


def unit_conditions(wanted: UnitFilter, seen: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    """Return what the filters mean for a unit.

    With nodes asked for, only units remain that have such a node, of those that `seen` lets through.
    """
    conditions = search(wanted.search_string, units.c.name)
    if wanted.uuids:
        conditions.append(units.c.uuid.in_(list(wanted.uuids)))
    if wanted.creator_uuid is not None:
        conditions.append(units.c.creator_uuid == wanted.creator_uuid)
    if wanted.repo_uuid is not None:
        conditions.append(units.c.repo_uuid == wanted.repo_uuid)
    if wanted.repos_uuids:
        conditions.append(units.c.repo_uuid.in_(list(wanted.repos_uuids)))
    if wanted.is_auto_update_from_repo_unit is not None:
        conditions.append(units.c.is_auto_update_from_repo_unit == wanted.is_auto_update_from_repo_unit)
    if wanted.is_include_output_unit_nodes:
        own = units_nodes.c.unit_uuid == units.c.uuid
        conditions.append(exists(select(units_nodes.c.uuid).where(own, seen, *_node_conditions(wanted, seen))))
    return conditions


def unit_order(wanted: UnitFilter) -> list[ColumnElement[Any]]:
    """Return the order of units."""
    return [
        ordered(units.c.create_datetime, wanted.order_by_create_date),
        ordered(units.c.last_update_datetime, wanted.order_by_last_update),
        ordered(units.c.name, wanted.order_by_unit_name),
        units.c.uuid,
    ]


def nodes_of_unit(query: Select[Any], wanted: UnitFilter, seen: ColumnElement[bool]) -> Select[Any]:
    """Narrow and order `query`, which reads nodes, to those of the unit of the query around it."""
    own = units_nodes.c.unit_uuid == units.c.uuid
    return (
        query.where(own, seen, *_node_conditions(wanted, seen))
        .order_by(units_nodes.c.type.desc(), units_nodes.c.topic_name, units_nodes.c.uuid)
        .correlate(units)
    )
