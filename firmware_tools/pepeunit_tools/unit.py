"""`pepeunit unit …`: units, their programs, settings, commands and logs.

Source: decisions.md 15 and 27, protocol/rest.md 2.6.
"""

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pepeunit_tools import archive
from pepeunit_tools.client import kept_client
from pepeunit_tools.entities import Command, LogLine, Unit, Visibility
from pepeunit_tools.lookup import find_repo, find_unit, unit_row
from pepeunit_tools.portrait import portrait
from pepeunit_tools.program import called
from pepeunit_tools.render import (
    log_text,
    pair_table,
    show_json,
    show_table,
    unit_problems,
    unit_table,
)
from pepeunit_tools.typed_env import changes, shown

__all__ = ["unit"]

unit = typer.Typer(no_args_is_help=True, help="Units: devices and their programs.")

Name = Annotated[str, typer.Argument(help="The unit's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_ENV_UPDATE = "env_update/pepeunit"


@unit.command("create")
def create(
    name: Annotated[str, typer.Argument(help="4 to 20 letters, digits and the characters _ - .")],
    *,
    repo: Annotated[str, typer.Option(help="The name of the repo that the unit follows.")],
    visibility: Annotated[
        Visibility | None, typer.Option(help="Who sees the unit; as its repo if absent.", case_sensitive=False)
    ] = None,
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
def show_all(*, as_json: AsJson = False) -> None:
    """List the units that you may see; SEEN is when a unit was last heard of or changed."""
    rows = kept_client().rows("/units", "units", {"order_by_create_date": "asc"})
    if as_json:
        show_json(rows)
        return
    units = [Unit.read(row) for row in rows]
    show_table(unit_table(units, datetime.now(UTC)))
    for problem in unit_problems(units):
        typer.echo(problem)


@unit.command("show")
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show everything public of a unit, the reason of a failed update too."""
    client = kept_client()
    row = unit_row(client, name)
    if as_json:
        show_json(row)
        return
    repos = {str(repo.get("uuid")): repo for repo in client.rows("/repos", "repos", {"uuids": [Unit.read(row).repo]})}
    repo = str(repos.get(Unit.read(row).repo, {}).get("name", Unit.read(row).repo))
    show_table(pair_table(portrait(row, repo=repo, now=datetime.now(UTC))))


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
        typer.echo(f"start it: cd {shlex.quote(str(folder))} && {called()} device run main.py")


@unit.command("env")
def env(
    name: Name,
    words: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings to change.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, secrets included.")] = False,
) -> None:
    """Show a unit's settings, or change some and tell the unit.

    A value is JSON if it reads as such (5, true, '"5"'), else text.
    """
    client = kept_client()
    found = find_unit(client, name)
    path = f"/units/env/{found.uuid}"
    known = client.entity("GET", path)
    if words:
        try:
            typed = changes(words, known)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        client.call("PATCH", path, body={"env_json_string": json.dumps(typed)})
        schema = client.entity("GET", f"/units/get_current_schema/{found.uuid}")
        hears = _ENV_UPDATE in (schema.get("input_base_topic") or ())
        if hears:
            command = f"/units/send_command_to_input_base_topic/{found.uuid}"
            client.call("POST", command, query={"command": Command.ENV_UPDATE})
        typer.echo(f"stored for {found.name}: {', '.join(typed)}; {_heard(found, hears=hears)}")
    elif as_json:
        show_json(known)
    else:
        show_table(pair_table(shown(known)))


def _heard(found: Unit, *, hears: bool) -> str:
    if not hears:
        return f"its program does not list {_ENV_UPDATE}, so it gets them with its next update or download"
    return (
        f"the gateway sends EnvUpdate. If the unit is away now, send it again later: "
        f"pepeunit unit command {found.name} EnvUpdate"
    )


@unit.command("command")
def send(
    name: Name, command: Annotated[Command, typer.Argument(help="What the unit shall do.", case_sensitive=False)]
) -> None:
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


@unit.command("remove")
def remove(name: Name, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove a unit with its nodes, links, stored values and log; its token counts no more."""
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask; use --yes")
    client = kept_client()
    found = find_unit(client, name)
    if not yes and not typer.confirm(f"remove {found.name} with its nodes, links, stored values and log?"):
        typer.echo(f"{found.name} stays")
        return
    client.call("DELETE", f"/units/{found.uuid}")
    typer.echo(f"unit {found.name} is removed; its program stays where it was downloaded to")
