"""`pepeunit node …`: the Inputs and Outputs of units. Source: decisions.md 27, protocol/rest.md 2.7."""

from typing import Annotated

import typer

from pepeunit_tools.client import kept_client
from pepeunit_tools.entities import Node, NodeType
from pepeunit_tools.lookup import find_node, find_unit, node_rows
from pepeunit_tools.render import node_table, show_json, show_table

__all__ = ["node"]

node = typer.Typer(no_args_is_help=True, help="Nodes: the Inputs and Outputs of units.")


@node.command("list")
def show(
    unit_name: Annotated[str, typer.Argument(metavar="UNIT", help="The unit's name.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List a unit's nodes and their last values."""
    client = kept_client()
    rows = node_rows(client, find_unit(client, unit_name))
    if as_json:
        show_json(rows)
    else:
        show_table(node_table([Node.read(row) for row in rows]))


@node.command("set", context_settings={"ignore_unknown_options": True})  # so that -5 is a value
def set_input(
    unit_name: Annotated[str, typer.Argument(metavar="UNIT", help="The unit's name.")],
    node_name: Annotated[str, typer.Argument(metavar="NODE", help="The Input's name, like set_fan_state/pepeunit.")],
    value: Annotated[str, typer.Argument(help="What is sent.")],
) -> None:
    """Send a value to an Input."""
    client = kept_client()
    found = find_node(client, unit_name, node_name, NodeType.INPUT)
    client.call("PATCH", f"/unit_nodes/set_state_input/{found.uuid}", body={"state": value})
    typer.echo(f"{unit_name}:{node_name} is set")


@node.command("link")
def link(
    source: Annotated[str, typer.Argument(metavar="OUT_UNIT:NODE", help="The Output whose values go.")],
    target: Annotated[str, typer.Argument(metavar="IN_UNIT:NODE", help="The Input where they arrive.")],
) -> None:
    """Link an Output to an Input: what the one publishes, the other receives."""
    ends = (_split(source), _split(target))
    client = kept_client()
    output = find_node(client, *ends[0], NodeType.OUTPUT)
    fed = find_node(client, *ends[1], NodeType.INPUT)
    body = {"node_output_uuid": output.uuid, "node_input_uuid": fed.uuid}
    client.entity("POST", "/unit_nodes/create_unit_node_edge", body=body)
    typer.echo(f"{source} feeds {target}")


def _split(end: str) -> tuple[str, str]:
    """`UNIT:NODE` taken apart; unit names hold no colon."""
    unit_name, colon, node_name = end.partition(":")
    if not (unit_name and colon and node_name):
        raise typer.BadParameter(f"{end} is not of the form UNIT:NODE")
    return unit_name, node_name
