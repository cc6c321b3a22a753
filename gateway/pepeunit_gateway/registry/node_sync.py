"""Make units' nodes follow the schema of a commit. Source: protocol/firmware.md 7.9, W21-W23 and W28.

The number of statements does not depend on the number of units or nodes.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, Select, or_, select, union

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.firmware.schema import SchemaExample
from pepeunit_gateway.registry.context import Act
from pepeunit_gateway.registry.default_pipe import DEFAULT_PIPE_JSON
from pepeunit_gateway.registry.entities import UnitNodeType
from pepeunit_gateway.registry.removals import queue_removals
from pepeunit_gateway.registry.visibility import insert_permissions
from pepeunit_gateway.storage.tables import units, units_nodes, units_nodes_edges
from pepeunit_gateway.topics import is_platform_topic

__all__ = ["insert_nodes", "linked_units", "node_keys", "sync_nodes"]

_NodeKey = tuple[UUID, str, str]
"""A unit, `Input` or `Output`, and the name: what is unique about a node."""


async def linked_units(act: Act, nodes: Sequence[UUID] | Select[Any]) -> set[UUID]:
    """Return the units at the other ends of all edges of these nodes: what they may do depends on them."""
    if not isinstance(nodes, Select) and not nodes:
        return set()
    edge = units_nodes_edges
    ends = ((edge.c.node_output_uuid, edge.c.node_input_uuid), (edge.c.node_input_uuid, edge.c.node_output_uuid))
    query = union(
        *(
            select(units_nodes.c.unit_uuid).join(edge, far == units_nodes.c.uuid).where(near.in_(nodes))
            for near, far in ends
        )
    )
    return set((await act.connection.execute(query)).scalars())


async def sync_nodes(
    act: Act, rows: Sequence[Row[Any]], example: SchemaExample, commit: str, *, default_pipe: bool
) -> None:
    """Create the nodes that `example` names and delete those it does not; edges go with them.

    Part of the caller's transaction.

    Args:
        act: the transaction.
        rows: units that run the commit, with the columns uuid, visibility_level and creator_uuid. New nodes inherit
            the unit's level and creator.
        example: of the commit.
        commit: what the nodes follow from now on.
        default_pipe: gives new nodes that the platform reads an active LastValue pipe.
    """
    uuids = [row.uuid for row in rows]
    mine = units_nodes.c.unit_uuid.in_(uuids)
    query = select(units_nodes.c.uuid, units_nodes.c.unit_uuid, units_nodes.c.type, units_nodes.c.topic_name)
    found = (await act.connection.execute(query.where(mine))).all()
    wanted = set(node_keys(uuids, example))
    gone = [node for node in found if (node.unit_uuid, node.type, node.topic_name) not in wanted]
    if gone:
        await _delete_nodes(act, mine & _unnamed(example), [node.uuid for node in gone])
    new = wanted - {(node.unit_uuid, node.type, node.topic_name) for node in found}
    await insert_nodes(act, rows, [key for key in node_keys(uuids, example) if key in new], default_pipe=default_pipe)
    await act.connection.execute(units.update().where(units.c.uuid.in_(uuids)).values(synced_commit=commit))
    act.announce(Change.ACCESS, {*(node.unit_uuid for node in gone), *(unit for unit, _, _ in new)})


async def insert_nodes(act: Act, rows: Iterable[Row[Any]], keys: Iterable[_NodeKey], *, default_pipe: bool) -> None:
    """Insert nodes of the units in `rows`, with their permissions; see `sync_nodes`."""
    by_uuid = {row.uuid: row for row in rows}
    nodes = [_node(act, by_uuid[unit], kind, name, default_pipe=default_pipe) for unit, kind, name in keys]
    if nodes:
        await act.connection.execute(units_nodes.insert(), nodes)
        await insert_permissions(act.connection, [row for node in nodes for row in _permissions(node)])
        act.announce(Change.NODE, [node["uuid"] for node in nodes])


def node_keys(uuids: Iterable[UUID], example: SchemaExample) -> list[_NodeKey]:
    """Return the nodes that each of these units has at a commit with this example."""
    names = dict.fromkeys(
        [(UnitNodeType.INPUT.value, name) for name in example.input_topic]
        + [(UnitNodeType.OUTPUT.value, name) for name in example.output_topic]
    )
    return [(uuid, kind, name) for uuid in uuids for kind, name in names]


def _unnamed(example: SchemaExample) -> ColumnElement[bool]:
    node = units_nodes.c
    return or_(
        (node.type == UnitNodeType.INPUT.value) & node.topic_name.not_in(example.input_topic),
        (node.type == UnitNodeType.OUTPUT.value) & node.topic_name.not_in(example.output_topic),
    )


async def _delete_nodes(act: Act, which: ColumnElement[bool], uuids: list[UUID]) -> None:
    act.announce(Change.ACCESS, await linked_units(act, select(units_nodes.c.uuid).where(which)))
    await act.connection.execute(units_nodes.delete().where(which))
    await queue_removals(act, nodes=uuids)
    act.announce(Change.NODE, uuids)


def _node(act: Act, unit: Row[Any], kind: str, name: str, *, default_pipe: bool) -> dict[str, Any]:
    piped = default_pipe and is_platform_topic(name)
    return {
        "uuid": uuid4(),
        "type": kind,
        "visibility_level": unit.visibility_level,
        "is_rewritable_input": False,
        "max_connections": 10,
        "topic_name": name,
        "create_datetime": act.now,
        "last_update_datetime": act.now,
        "is_data_pipe_active": piped,
        "data_pipe_yml": DEFAULT_PIPE_JSON if piped else None,
        "data_pipe_status": "Active" if piped else "Inactive",
        "creator_uuid": unit.creator_uuid,
        "unit_uuid": unit.uuid,
    }


def _permissions(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the automatic rows of a new node: its unit and its creator."""
    return [
        {
            "uuid": uuid4(),
            "agent_type": kind,
            "agent_user_uuid": user,
            "agent_unit_uuid": unit,
            "resource_type": "UnitNode",
            "resource_unit_node_uuid": node["uuid"],
        }
        for kind, user, unit in (("Unit", None, node["unit_uuid"]), ("User", node["creator_uuid"], None))
        if user or unit
    ]
