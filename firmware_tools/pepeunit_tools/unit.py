"""`pepeunit unit …`: units, their programs, commands and logs. Source: decisions.md 27, protocol/rest.md 2.6."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from pepeunit_tools import archive
from pepeunit_tools.client import kept_client
from pepeunit_tools.entities import Command, LogLine, Unit, Visibility
from pepeunit_tools.lookup import find_repo, find_unit
from pepeunit_tools.render import log_text, show_json, show_table, unit_table

__all__ = ["unit"]

unit = typer.Typer(no_args_is_help=True, help="Units: devices and their programs.")

Name = Annotated[str, typer.Argument(help="The unit's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@unit.command("create")
def create(
    name: Annotated[str, typer.Argument(help="4 to 20 letters, digits and the characters _ - .")],
    *,
    repo: Annotated[str, typer.Option(help="The name of the repo that the unit follows.")],
    visibility: Annotated[Visibility | None, typer.Option(help="Who sees the unit; as its repo if absent.")] = None,
) -> None:
    """Create a unit that follows a repo."""
    client = kept_client()
    followed = find_repo(client, repo)
    body = {
        "repo_uuid": followed.uuid,
        "visibility_level": visibility or followed.visibility,
        "name": name,
        "is_auto_update_from_repo_unit": True,
    }
    made = Unit.read(client.entity("POST", "/units", body=body))
    typer.echo(f"unit {made.name} ({made.uuid}) follows {followed.name}")


@unit.command("list")
def show(*, as_json: AsJson = False) -> None:
    """List the units that you may see."""
    rows = kept_client().rows("/units", "units", {"order_by_create_date": "asc"})
    if as_json:
        show_json(rows)
    else:
        show_table(unit_table([Unit.read(row) for row in rows]))


@unit.command("download")
def download(
    name: Name,
    directory: Annotated[Path | None, typer.Argument(help="An empty or new folder; ./NAME if absent.")] = None,
) -> None:
    """Download a unit's program with its env.json and schema.json, ready to start."""
    folder = directory or Path(name)
    archive.require_empty(folder)
    client = kept_client()
    found = find_unit(client, name)
    query = {"wbits": archive.WINDOW_BITS, "level": 9}
    content = archive.verify(client.download(f"/units/firmware/tgz/{found.uuid}", query))
    archive.unpack(archive.inflate(content), folder)
    typer.echo(f"unit {found.name} lies in {folder}; env.json holds its token, keep it to yourself")
    if (folder / "main.py").is_file():
        typer.echo(f"start it: cd {shlex.quote(str(folder))} && pepeunit device run main.py")


@unit.command("command")
def send(name: Name, command: Annotated[Command, typer.Argument(help="What the unit shall do.")]) -> None:
    """Send a command to a unit."""
    client = kept_client()
    found = find_unit(client, name)
    client.call("POST", f"/units/send_command_to_input_base_topic/{found.uuid}", query={"command": command})
    typer.echo(f"the gateway sends {command} to {found.name}")


@unit.command("logs")
def logs(name: Name, *, as_json: AsJson = False) -> None:
    """Show a unit's last 100 log lines, the newest at the end."""
    client = kept_client()
    found = find_unit(client, name)
    _, newest_first = client.page("/units/log_list/", "unit_logs", {"uuid": found.uuid, "order_by_create_date": "desc"})
    rows = newest_first[::-1]
    if as_json:
        show_json(rows)
        return
    for row in rows:
        typer.echo(log_text(LogLine.read(row)))
