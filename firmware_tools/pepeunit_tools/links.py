"""Links between nodes: found over REST, and told as UNIT:NODE. Source: protocol/rest.md 2.7, decisions.md 12."""

from collections.abc import Iterable, Mapping
from itertools import islice

from pepeunit_tools.client import Client, Row
from pepeunit_tools.entities import Edge, Node, NodeType, Unit
from pepeunit_tools.errors import UnknownNameError
from pepeunit_tools.lookup import find_node, node_rows
from pepeunit_tools.wording import plain

__all__ = ["End", "find_link", "link_names", "links_of"]

_EDGES = "/unit_nodes/edges"
_UUIDS = 100  # of one request, so that its address stays below every server's limit
_UNSEEN = "(a node that you may not see)"

End = tuple[str, str]
"""The name of a unit and the name of one of its nodes."""


def find_link(client: Client, source: End, target: End) -> Edge:
    """Return the link from an Output to an Input.

    Raises:
        UnknownNameError: there is no such node, or the two are not linked.
    """
    output = find_node(client, *source, NodeType.OUTPUT)
    fed = find_node(client, *target, NodeType.INPUT)
    for edge in map(Edge.read, client.rows(_EDGES, "unit_node_edges", {"unit_node_uuid": output.uuid})):
        if edge.input == fed.uuid:
            return edge
    ends = f"{plain(':'.join(source))} does not feed {plain(':'.join(target))}"
    raise UnknownNameError(f"{ends}; see: pepeunit node links {plain(source[0])}")


def links_of(client: Client, unit: Unit) -> list[Row]:
    """Return the links from and to the nodes of a unit as the gateway sent them; one of a unit to itself once."""
    found: dict[str, Row] = {}
    for node in map(Node.read, node_rows(client, unit)):
        for row in client.rows(_EDGES, "unit_node_edges", {"unit_node_uuid": node.uuid}):
            found[Edge.read(row).uuid] = row
    return list(found.values())


def link_names(client: Client, edges: Iterable[Edge]) -> list[tuple[str, str]]:
    """Return both ends of each link as UNIT:NODE, sorted."""
    kept = list(edges)
    uuids = {uuid for edge in kept for uuid in (edge.output, edge.input)}
    nodes = {node.uuid: node for node in map(Node.read, _by_uuid(client, "/unit_nodes", "unit_nodes", uuids))}
    units = _by_uuid(client, "/units", "units", {node.unit for node in nodes.values()})
    names = {unit.uuid: unit.name for unit in map(Unit.read, units)}
    return sorted((_name(edge.output, nodes, names), _name(edge.input, nodes, names)) for edge in kept)


def _name(uuid: str, nodes: Mapping[str, Node], units: Mapping[str, str]) -> str:
    node = nodes.get(uuid)
    return _UNSEEN if node is None else f"{units.get(node.unit, '(a unit that you may not see)')}:{node.name}"


def _by_uuid(client: Client, path: str, key: str, uuids: Iterable[str]) -> list[Row]:
    rows: list[Row] = []
    left = iter(sorted(uuids))
    while some := list(islice(left, _UUIDS)):
        rows += client.rows(path, key, {"uuids": some})
    return rows
