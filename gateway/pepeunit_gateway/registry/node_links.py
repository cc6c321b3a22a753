"""The nodes of a unit and what its Inputs receive, for schema.json. Source: protocol/firmware.md 7.8."""

from typing import Literal
from uuid import UUID

from sqlalchemy import select

from pepeunit_gateway.firmware.schema import NodeLink
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.queries import FixedQuery, parameter
from pepeunit_gateway.storage.tables import units, units_nodes, units_nodes_edges
from pepeunit_gateway.topics import node_topic

__all__ = ["read_links"]

_OUTPUT = units_nodes.alias("output")
_SOURCE = units.alias("source")
_LINKS = FixedQuery(
    select(
        units_nodes.c.uuid,
        units_nodes.c.type,
        units_nodes.c.topic_name,
        _OUTPUT.c.uuid.label("output_uuid"),
        _OUTPUT.c.topic_name.label("output_name"),
        _SOURCE.c.told_domain,
    )
    .select_from(
        units_nodes.outerjoin(units_nodes_edges, units_nodes_edges.c.node_input_uuid == units_nodes.c.uuid)
        .outerjoin(_OUTPUT, units_nodes_edges.c.node_output_uuid == _OUTPUT.c.uuid)
        .outerjoin(_SOURCE, _OUTPUT.c.unit_uuid == _SOURCE.c.uuid)
    )
    .where(units_nodes.c.unit_uuid == parameter("unit"))
    .order_by(_OUTPUT.c.create_datetime, _OUTPUT.c.uuid)
)


async def read_links(database: Database, unit: UUID, domain: str) -> list[NodeLink]:
    """Return the nodes of a unit, each with the topics that it receives, the oldest Output first.

    A unit that still uses a previous domain publishes on topics of that one.
    """
    nodes: dict[UUID, tuple[Literal["Input", "Output"], str]] = {}
    linked: dict[UUID, list[str]] = {}
    for row in await database.records(_LINKS, unit=unit):
        nodes[row.uuid] = row.type, row.topic_name
        if row.output_uuid is not None:
            topic = node_topic(row.told_domain or domain, row.output_uuid, row.output_name)
            linked.setdefault(row.uuid, []).append(topic)
    return [NodeLink(kind, name, uuid, tuple(linked.get(uuid, ()))) for uuid, (kind, name) in nodes.items()]
