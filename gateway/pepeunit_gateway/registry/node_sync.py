"""Make a unit's nodes follow the schema of a commit. Source: protocol/firmware.md 7.9, W21-W23 and W28."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, or_, select

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.firmware.schema import SchemaExample
from pepeunit_gateway.registry.context import Act
from pepeunit_gateway.registry.default_pipe import DEFAULT_PIPE_JSON
from pepeunit_gateway.registry.entities import UnitNodeType
from pepeunit_gateway.registry.removals import queue_removals
from pepeunit_gateway.registry.visibility import insert_permissions
from pepeunit_gateway.storage.tables import units, units_nodes, units_nodes_edges
from pepeunit_gateway.topics import is_platform_topic

__all__ = ["linked_units", "sync_nodes"]


async def linked_units(act: Act, nodes: Sequence[UUID]) -> set[UUID]:
    """Return the units of both ends of every edge of these nodes: what they may do depends on them."""
    if not nodes:
        return set()
    edge = units_nodes_edges
    query = (
        select(units_nodes.c.unit_uuid)
        .join(edge, or_(edge.c.node_output_uuid == units_nodes.c.uuid, edge.c.node_input_uuid == units_nodes.c.uuid))
        .where(or_(edge.c.node_output_uuid.in_(nodes), edge.c.node_input_uuid.in_(nodes)))
        .distinct()
    )
    return set((await act.connection.execute(query)).scalars())


async def sync_nodes(act: Act, unit: Row[Any], example: SchemaExample, commit: str, *, default_pipe: bool) -> None:
    """Create the nodes that `example` names and delete those it does not; edges go with them.

    `unit` needs the columns uuid, visibility_level and creator_uuid. New nodes inherit the unit's level and creator;
    `default_pipe` gives those that the platform reads an active LastValue pipe. Part of the caller's transaction.
    """
    query = select(units_nodes.c.uuid, units_nodes.c.type, units_nodes.c.topic_name)
    rows = (await act.connection.execute(query.where(units_nodes.c.unit_uuid == unit.uuid))).all()
    existing = {(row.type, row.topic_name): row.uuid for row in rows}
    wanted = dict.fromkeys(
        [(UnitNodeType.INPUT.value, name) for name in example.input_topic]
        + [(UnitNodeType.OUTPUT.value, name) for name in example.output_topic]
    )
    gone = [uuid for key, uuid in existing.items() if key not in wanted]
    new = [(uuid4(), *key) for key in wanted if key not in existing]
    touched = await linked_units(act, gone)
    if gone:
        await act.connection.execute(units_nodes.delete().where(units_nodes.c.uuid.in_(gone)))
        await queue_removals(act, nodes=gone)
    if new:
        created = [_node(act, unit, uuid, kind, name, default_pipe=default_pipe) for uuid, kind, name in new]
        await act.connection.execute(units_nodes.insert(), created)
        await insert_permissions(act.connection, _permissions(unit, [uuid for uuid, _, _ in new]))
    await act.connection.execute(units.update().where(units.c.uuid == unit.uuid).values(synced_commit=commit))
    act.announce(Change.NODE, [*gone, *(uuid for uuid, _, _ in new)])
    if gone or new:
        act.announce(Change.ACCESS, {unit.uuid, *touched})


def _node(act: Act, unit: Row[Any], uuid: UUID, kind: str, name: str, *, default_pipe: bool) -> dict[str, Any]:
    piped = default_pipe and is_platform_topic(name)
    return {
        "uuid": uuid,
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


def _permissions(unit: Row[Any], nodes: Sequence[UUID]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for node in nodes:
        for kind, user, agent_unit in (("Unit", None, unit.uuid), ("User", unit.creator_uuid, None)):
            if user or agent_unit:
                rows.append(
                    {
                        "uuid": uuid4(),
                        "agent_type": kind,
                        "agent_user_uuid": user,
                        "agent_unit_uuid": agent_unit,
                        "resource_type": "UnitNode",
                        "resource_unit_node_uuid": node,
                    }
                )
    return rows
