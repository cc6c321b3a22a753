"""Lists for people (tables) and for scripts (JSON). NO_COLOR is rich's business."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pepeunit_tools.entities import LogLine, Node, Repo, Repository, Unit
from pepeunit_tools.wording import ago, moment, plain, short_commit, shortened

__all__ = [
    "link_table",
    "log_text",
    "node_table",
    "pair_table",
    "repo_problems",
    "repo_table",
    "show_json",
    "show_table",
    "unit_problems",
    "unit_table",
]

_VALUE_LENGTH = 60
_PROBLEM_LENGTH = 200
_UNTOLD = "its git repository cannot be fetched; who registered it sees the reason"
_UNCUT = 100_000  # columns; more than any row has
_PADDING = re.compile(r" +(?=(\x1b\[0m)?$)")  # up to the column's width; a narrow terminal would wrap it
_LEVEL_WIDTH = 8
_STYLES = {"Success": "green", "RequestSent": "yellow", "Error": "red"}


def unit_table(units: Sequence[Unit], now: datetime) -> Table:
    """One row a unit; the version is the commit that it reports, SEEN when it was last heard of or changed."""
    table = _table("NAME", "VERSION", "UPDATE", "SEEN", "UUID")
    for unit in units:
        status = unit.update_status or "-"
        table.add_row(
            _cell(unit.name),
            _cell(short_commit(unit.commit)),
            Text(plain(status), _STYLES.get(status, "")),
            _cell(ago(unit.last_update, now) if unit.reported else "never"),
            _cell(unit.uuid),
        )
    return table


def unit_problems(units: Sequence[Unit]) -> list[str]:
    """Return a line for each unit whose update failed, with the reason and where to read more."""
    return [
        f"{plain(unit.name)}: {shortened(plain(unit.problem or 'the reason is not known'), _PROBLEM_LENGTH)}; "
        f"more: pepeunit unit show {plain(unit.name)}"
        for unit in units
        if unit.update_status == "Error"
    ]


def repo_table(repos: Sequence[Repo], addresses: Mapping[str, str]) -> Table:
    """One row a repo; `addresses` are the git URLs by the uuid of their registration."""
    table = _table("NAME", "UUID", "BRANCH", "FOLLOWS", "REPOSITORY")
    for repo in repos:
        follows = "tags" if repo.tags_only else "commits"
        where = addresses.get(repo.repository, "-")
        table.add_row(*(_cell(text) for text in (repo.name, repo.uuid, repo.branch or "-", follows, where)))
    return table


def repo_problems(repos: Sequence[Repo], registered: Mapping[str, Repository]) -> list[str]:
    """Return a line for each repo whose git repository is in trouble, with the reason.

    `registered` are the git repositories by uuid. The reason of a private one is told to its creator alone.
    """
    return [
        f"{plain(repo.name)}: {shortened(plain(found.problem or _UNTOLD), _PROBLEM_LENGTH)}"
        for repo in repos
        if (found := registered.get(repo.repository)) and (found.status == "Error" or found.problem)
    ]


def node_table(nodes: Sequence[Node]) -> Table:
    """One row a node; a long value is cut, the whole one is in the JSON."""
    table = _table("TYPE", "NAME", "UUID", "VALUE")
    for node in nodes:
        value = "-" if node.value is None else shortened(plain(node.value), _VALUE_LENGTH)
        table.add_row(_cell(node.type), _cell(node.name), _cell(node.uuid), Text(value))
    return table


def link_table(links: Sequence[tuple[str, str]]) -> Table:
    """One row a link: the Output that gives and the Input that receives, each as UNIT:NODE."""
    table = _table("OUTPUT", "INPUT")
    for output, fed in links:
        table.add_row(_cell(output), _cell(fed))
    return table


def pair_table(pairs: Sequence[tuple[str, str]]) -> Table:
    """Names and values without a heading, whole."""
    table = _table("", "")
    table.show_header = False
    for name, value in pairs:
        table.add_row(_cell(name), _cell(value))
    return table


def log_text(line: LogLine) -> str:
    """One line of a unit's log: time, level, text."""
    return f"{moment(line.time)}  {plain(line.level):{_LEVEL_WIDTH}}  {plain(line.text)}"


def show_table(table: Table) -> None:
    """Print a table, each row whole on one line: a uuid that was cut to the terminal's width is of no use."""
    if not table.row_count:
        sys.stdout.write("there are none yet\n")
        return
    console = Console(width=_UNCUT)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.writelines(_PADDING.sub("", line) + "\n" for line in captured.get().splitlines())


def show_json(rows: object) -> None:
    """Print rows as the gateway sent them: JSON, ASCII only."""
    sys.stdout.write(json.dumps(rows, indent=2) + "\n")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _cell(text: str) -> Text:
    return Text(plain(text))
