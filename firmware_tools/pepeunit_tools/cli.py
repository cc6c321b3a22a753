"""`pepeunit login | repo | unit | node`: a gateway over REST, for people and scripts. Source: decisions.md 27.

Exit codes: 0 done, 1 refused or not reachable (one line on stderr says why), 2 wrong usage. With `--json` that line
is the gateway's detail as it stands, with status and code.
"""

import sys

import typer

from pepeunit_tools.errors import ToolError
from pepeunit_tools.login import log_in
from pepeunit_tools.node import node
from pepeunit_tools.repo import repo
from pepeunit_tools.unit import unit
from pepeunit_tools.wording import plain

__all__ = ["main"]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("login")(log_in)
app.add_typer(repo, name="repo")
app.add_typer(unit, name="unit")
app.add_typer(node, name="node")

_EXIT_REFUSED = 1


def main(argv: list[str]) -> int:
    """Run the command with `argv` (the group's name first) and return its exit code."""
    try:
        app(argv, prog_name="pepeunit")
    except ToolError as error:
        return _refuse(argv, error.detail if "--json" in argv else error.message)
    except OSError as error:  # of a folder or file that the person named
        return _refuse(argv, f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except SystemExit as ending:  # how typer ends every command
        return ending.code if isinstance(ending.code, int) else 0
    return 0


def _refuse(argv: list[str], message: str) -> int:
    sys.stderr.write(f"pepeunit {argv[0]}: {plain(message)}\n")
    return _EXIT_REFUSED
