"""The command `pepeunit`. The bare install brings `device`; the other groups are found when asked for.

Source: decisions.md 27.
"""

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import EnvError, PepeunitError, SchemaError

__all__ = ["main"]

_WRONG_USE = 2
_FAILED = 1
_OWN_PACKAGES = ("pepeunit", "pepeunit_gateway", "pepeunit_tools")
# Group -> module with `main(argv) -> int`, its extra, and whether the group's name is part of its argv.
_GROUPS = {
    "gateway": ("pepeunit_gateway.cli", "gateway", False),
    "login": ("pepeunit_tools.cli", "tools", True),
    "unit": ("pepeunit_tools.cli", "tools", True),
    "repo": ("pepeunit_tools.cli", "tools", True),
    "node": ("pepeunit_tools.cli", "tools", True),
}
_HELP = {
    "gateway": "run and look after a gateway (extra: gateway)",
    "login": "log in to a gateway (extra: tools)",
    "unit": "units over REST (extra: tools)",
    "repo": "repos over REST (extra: tools)",
    "node": "unit nodes over REST (extra: tools)",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code. 2 means wrong usage, a missing extra or a folder that is no unit's."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in _GROUPS:
        return _run_group(arguments[0], arguments[1:])
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.version:
        sys.stdout.write(f"pepeunit {_version()}\n")
        return 0
    if parsed.group == "device":
        return _run_device(Path(parsed.program), once=parsed.once)
    parser.print_help()
    return _WRONG_USE


def _run_group(name: str, arguments: list[str]) -> int:
    module_name, extra, takes_name = _GROUPS[name]
    try:
        if importlib.util.find_spec(module_name) is None:
            sys.stderr.write(f"pepeunit {name} is not part of version {_version()}\n")
            return _WRONG_USE
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not _belongs_to_extra(error.name or ""):
            raise
        install = f"pip install '.[{extra}]' in a checkout of Pepeunit"
        sys.stderr.write(f'pepeunit {name} needs the extra "{extra}": {install}\n')
        return _WRONG_USE
    code: int = module.main([name, *arguments] if takes_name else arguments)
    return code


def _belongs_to_extra(missing: str) -> bool:
    """True if an extra brings the package `missing`; False if it is a module of ours, which is a mistake of ours."""
    top, _, below = missing.partition(".")
    return top not in _OWN_PACKAGES or (not below and top != "pepeunit")


def _run_device(program: Path, *, once: bool) -> int:
    from .launcher import Launcher  # the other groups do without it

    if not program.is_file():
        sys.stderr.write(f"{program} is no file: give the unit's main.py\n")
        return _WRONG_USE
    try:
        return Launcher(program.absolute(), once=once).run()
    except (EnvError, SchemaError) as error:
        sys.stderr.write(f"{program} cannot run: {error}\n")
        return _WRONG_USE
    except (PepeunitError, OSError) as error:
        sys.stderr.write(f"{program} cannot run: {error}\n")
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pepeunit", description="Pepeunit: fleets of small devices, updated from git."
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    groups = parser.add_subparsers(dest="group", metavar="GROUP")
    device = groups.add_parser("device", help="run a unit on this machine")
    actions = device.add_subparsers(dest="action", metavar="ACTION", required=True)
    run = actions.add_parser("run", help="run a unit program and keep it running")
    run.add_argument("program", help="the unit's main.py; env.json and schema.json lie beside it")
    run.add_argument("--once", action="store_true", help="complete a cut update, run once, return the exit code")
    for name, text in _HELP.items():
        groups.add_parser(name, help=text, add_help=False)
    return parser


def _version() -> str:
    from importlib.metadata import version  # slow to import, and only needed here

    return version("pepeunit")
