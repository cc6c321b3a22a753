"""Lists as people and scripts get them."""

import json
import re
from datetime import UTC, datetime

import pytest

from pepeunit_tools.entities import LogLine, Node, Repo, Repository, Unit
from pepeunit_tools.render import (
    link_table,
    log_text,
    node_table,
    pair_table,
    repo_problems,
    repo_table,
    show_json,
    show_table,
    unit_problems,
    unit_table,
)

UUID = "11111111-2222-4333-8444-555555555555"
NOW = datetime(2026, 1, 2, 3, 4, 17, tzinfo=UTC)
UNITS = [
    Unit(UUID, "kitchen", UUID, "0123456789abcdef", "Success", None, "2026-01-02T03:04:05Z", reported=True),
    Unit(UUID, "hall", UUID, None, None, None, "2026-01-02T03:04:05Z", reported=False),
]
LINES = [
    "NAME     VERSION   UPDATE   SEEN      UUID",
    f"kitchen  01234567  Success  12 s ago  {UUID}",
    f"hall     -         -        never     {UUID}",
]


def test_units_are_a_table_of_plain_lines_in_a_pipe(capsys):
    show_table(unit_table(UNITS, NOW))
    assert capsys.readouterr().out.splitlines() == LINES


def test_why_an_update_failed_stands_under_the_list_and_steers_no_terminal():
    failed = Unit(UUID, "attic", UUID, None, "Error", "no\nroom\x1b" + "x" * 300, None, reported=True)
    (line,) = unit_problems([*UNITS, failed])
    assert line.startswith(r"attic: no\nroom\x1bxxx")
    assert line.endswith("xx…; more: pepeunit unit show attic")
    assert len(line) < 250


def test_links_and_pairs_are_shown_whole(capsys):
    show_table(link_table([("kitchen:" + "t" * 200, "hall:\x1b")]))
    show_table(pair_table([("name", "kitchen"), ("update error", "two\nlines")]))
    assert capsys.readouterr().out.splitlines() == [
        "OUTPUT" + " " * 204 + "INPUT",
        "kitchen:" + "t" * 200 + r"  hall:\x1b",
        "name          kitchen",
        r"update error  two\nlines",
    ]


def test_repos_are_shown_with_the_address_they_follow(capsys):
    repos = [Repo(UUID, "heating", "Private", "main", tags_only=True, repository="registered")]
    show_table(repo_table(repos, {"registered": "https://example.org/heating.git"}))
    assert capsys.readouterr().out.splitlines() == [
        "NAME     UUID                                  BRANCH  FOLLOWS  REPOSITORY",
        f"heating  {UUID}  main    tags     https://example.org/heating.git",
    ]


def test_why_a_repository_cannot_be_fetched_stands_under_the_list_of_repos():
    repos = [
        Repo(UUID, name, "Private", "main", tags_only=False, repository=name)
        for name in ("fine", "gone", "asked", "untold")
    ]
    states = {
        "fine": ("Updated", None),
        "gone": ("Error", "no such\x1b" + "x" * 300),
        "asked": ("Updated", "Releases: later"),
        "untold": ("Error", None),
    }
    gone, asked, untold = repo_problems(repos, {name: Repository(name, name, *state) for name, state in states.items()})
    assert gone.startswith(r"gone: no such\x1bxxx")
    assert len(gone) < 250
    assert asked == "asked: Releases: later"
    assert untold == "untold: its git repository cannot be fetched; who registered it sees the reason"


def test_a_value_is_cut_and_cannot_write_markup_or_escapes(capsys):
    nodes = [
        Node(UUID, "Input", "raw_in", "[red]\x1b[31m", UUID),
        Node(UUID, "Output", "long", "x" * 100, UUID),
        Node(UUID, "Output", "never", None, UUID),
    ]
    show_table(node_table(nodes))
    assert capsys.readouterr().out.splitlines() == [
        "TYPE    NAME    UUID                                  VALUE",
        rf"Input   raw_in  {UUID}  [red]\x1b[31m",
        f"Output  long    {UUID}  {'x' * 59}…",
        f"Output  never   {UUID}  -",
    ]


def test_an_empty_list_says_so(capsys):
    show_table(unit_table([], NOW))
    assert capsys.readouterr().out == "there are none yet\n"


def test_json_is_what_the_gateway_sent(capsys):
    rows = [{"name": "kitchen", "state": "\x1b°"}]
    show_json(rows)
    out = capsys.readouterr().out
    assert json.loads(out) == rows
    assert out.isascii()
    assert "\x1b" not in out


def test_a_log_line_is_one_line():
    assert log_text(LogLine("Info", "a\nb", "2026-01-02T03:04:05Z")) == r"2026-01-02 03:04:05Z  Info      a\nb"


@pytest.mark.parametrize(("variable", "coloured"), [("TERM", True), ("NO_COLOR", False)])
def test_colours_are_for_terminals_that_want_them_and_no_row_is_cut_to_their_width(
    capsys, monkeypatch, variable, coloured
):
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm-256color"), ("COLUMNS", "40"), (variable, "xterm")):
        monkeypatch.setenv(name, value)
    show_table(unit_table(UNITS, NOW))
    out = capsys.readouterr().out
    assert ("\x1b[32m" in out) is coloured
    rows = [re.sub(r"\x1b\[\d*m", "", line) for line in out.splitlines()]
    assert rows == LINES
