"""Find units, repos and nodes by the names people give them."""

from pepeunit_tools.client import Client, Row
from pepeunit_tools.entities import Node, NodeType, Repo, Unit
from pepeunit_tools.errors import UnknownNameError
from pepeunit_tools.wording import plain

__all__ = ["find_node", "find_repo", "find_unit", "node_rows", "unit_row"]


def _named(client: Client, path: str, key: str, name: str) -> Row | None:
    rows = client.rows(path, key, {"search_string": name})
    return next((row for row in rows if row.get("name") == name), None)


def unit_row(client: Client, name: str) -> Row:
    """Return the unit of that name as the gateway sent it; names of units are unique on a gateway.

    Raises:
        UnknownNameError: there is none that the caller may see.
    """
    row = _named(client, "/units", "units", name)
    if row is None:
        raise UnknownNameError(f"there is no unit {plain(name)} that you may see; see: pepeunit unit list")
    return row


def find_unit(client: Client, name: str) -> Unit:
    """As `unit_row`, with what the commands need of it."""
    return Unit.read(unit_row(client, name))


def find_repo(client: Client, name: str) -> Repo:
    """Return the repo of that name; names of repos are unique on a gateway.

    Raises:
        UnknownNameError: there is none that the caller may see.
    """
    row = _named(client, "/repos", "repos", name)
    if row is None:
        raise UnknownNameError(f"there is no repo {plain(name)} that you may see; see: pepeunit repo list")
    return Repo.read(row)


def node_rows(client: Client, unit: Unit) -> list[Row]:
    """Return the nodes of a unit as the gateway sent them, Inputs first, by name."""
    rows = client.rows("/unit_nodes", "unit_nodes", {"unit_uuid": unit.uuid})
    return sorted(rows, key=lambda row: (str(row.get("type")), str(row.get("topic_name"))))


def find_node(client: Client, unit_name: str, node_name: str, kind: NodeType) -> Node:
    """Return an Input or Output of a unit by its name in the schema.

    Raises:
        UnknownNameError: there is no such unit or node; the message names the nodes there are.
    """
    nodes = [Node.read(row) for row in node_rows(client, find_unit(client, unit_name))]
    fitting = {node.name: node for node in nodes if node.type == kind}
    if node_name in fitting:
        return fitting[node_name]
    there = plain(", ".join(fitting)) or "none"
    raise UnknownNameError(f"unit {unit_name} has no {kind} {plain(node_name)}; its {kind}s: {there}")
