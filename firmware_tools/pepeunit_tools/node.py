"""`pepeunit node …`: the Inputs and Outputs of units. Source: decisions.md 27, protocol/rest.md 2.7."""

from typing import Annotated

import typer

from pepeunit_tools.client import kept_client
from pepeunit_tools.entities import Edge, Node, NodeType
from pepeunit_tools.links import End, find_link, link_names, links_of
from pepeunit_tools.lookup import find_node, find_unit, node_rows
from pepeunit_tools.render import link_table, node_table, show_json, show_table

__all__ = ["node"]

node = typer.Typer(no_args_is_help=True, help="Nodes: the Inputs and Outputs of units.")

UnitName = Annotated[str, typer.Argument(metavar="UNIT", help="The unit's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Source = Annotated[str, typer.Argument(metavar="OUT_UNIT:NODE", help="The Output whose values go.")]
Target = Annotated[str, typer.Argument(metavar="IN_UNIT:NODE", help="The Input where they arrive.")]


@node.command("list")
def show(unit_name: UnitName, *, as_json: AsJson = False) -> None:
    """List a unit's nodes and their last values.

    An Input shows what `node set` or the API sent to it; what a linked Output sends passes it by and is the Output's.
    """
    client = kept_client()
    rows = node_rows(client, find_unit(client, unit_name))
    if as_json:
        show_json(rows)
    else:
        show_table(node_table([Node.read(row) for row in rows]))


@node.command("set", context_settings={"ignore_unknown_options": True})  # so that -5 is a value
def set_input(
    words: Annotated[
        list[str], typer.Argument(metavar="UNIT:NODE VALUE", help="An Input, like hall-fan:set_fan_state/pepeunit.")
    ],
) -> None:
    """Send a value to an Input; UNIT NODE VALUE says the same."""
    match words:
        case [end, value]:
            unit_name, node_name = _split(end)
        case [unit_name, node_name, value]:
            pass
        case _:
            raise typer.BadParameter("give UNIT:NODE and VALUE; a value with spaces stands in quotes")
    client = kept_client()
    found = find_node(client, unit_name, node_name, NodeType.INPUT)
    client.call("PATCH", f"/unit_nodes/set_state_input/{found.uuid}", body={"state": value})
    typer.echo(f"{unit_name}:{node_name} is set")


@node.command("link")
def link(source: Source, target: Target) -> None:
    """Link an Output to an Input: what the one publishes, the other receives."""
    ends = (_split(source), _split(target))
    client = kept_client()
    output = find_node(client, *ends[0], NodeType.OUTPUT)
    fed = find_node(client, *ends[1], NodeType.INPUT)
    body = {"node_output_uuid": output.uuid, "node_input_uuid": fed.uuid}
    client.entity("POST", "/unit_nodes/create_unit_node_edge", body=body)
    typer.echo(f"{source} feeds {target}")


@node.command("unlink")
def unlink(source: Source, target: Target) -> None:
    """Take a link away."""
    ends = (_split(source), _split(target))
    client = kept_client()
    client.call("DELETE", f"/unit_nodes/edges/{find_link(client, *ends).uuid}")
    typer.echo(f"{source} no longer feeds {target}")


@node.command("links")
def links(unit_name: UnitName, *, as_json: AsJson = False) -> None:
    """List the links from and to a unit."""
    client = kept_client()
    rows = links_of(client, find_unit(client, unit_name))
    if as_json:
        show_json(rows)
    else:
        show_table(link_table(link_names(client, map(Edge.read, rows))))


def _split(end: str) -> End:
    """`UNIT:NODE` taken apart; unit names hold no colon."""
    unit_name, colon, node_name = end.partition(":")
    if not (unit_name and colon and node_name):
        raise typer.BadParameter(f"{end} is not of the form UNIT:NODE")
    return unit_name, node_name
