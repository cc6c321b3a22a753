"""Lists as people and scripts get them."""

import json
import re

import pytest

from pepeunit_tools.entities import LogLine, Node, Repo, Unit
from pepeunit_tools.render import log_text, node_table, repo_table, show_json, show_table, unit_table

UUID = "11111111-2222-4333-8444-555555555555"
UNITS = [
    Unit(UUID, "kitchen", "0123456789abcdef", "Success", "2026-01-02T03:04:05Z"),
    Unit(UUID, "hall", None, None, None),
]


def test_units_are_a_table_of_plain_lines_in_a_pipe(capsys):
    show_table(unit_table(UNITS))
    assert capsys.readouterr().out.splitlines() == [
        "NAME     VERSION   UPDATE   LAST UPDATE           UUID",
        f"kitchen  01234567  Success  2026-01-02 03:04:05Z  {UUID}",
        f"hall     -         -        -                     {UUID}",
    ]


def test_repos_are_shown_with_the_address_they_follow(capsys):
    repos = [Repo(UUID, "heating", "Private", "main", tags_only=True, repository="registered")]
    show_table(repo_table(repos, {"registered": "https://example.org/heating.git"}))
    assert capsys.readouterr().out.splitlines() == [
        "NAME     UUID                                  BRANCH  FOLLOWS  REPOSITORY",
        f"heating  {UUID}  main    tags     https://example.org/heating.git",
    ]


def test_a_value_is_cut_and_cannot_write_markup_or_escapes(capsys):
    nodes = [
        Node(UUID, "Input", "raw_in", "[red]\x1b[31m"),
        Node(UUID, "Output", "long", "x" * 100),
        Node(UUID, "Output", "never", None),
    ]
    show_table(node_table(nodes))
    assert capsys.readouterr().out.splitlines() == [
        "TYPE    NAME    UUID                                  VALUE",
        rf"Input   raw_in  {UUID}  [red]\x1b[31m",
        f"Output  long    {UUID}  {'x' * 59}…",
        f"Output  never   {UUID}  -",
    ]


def test_an_empty_list_says_so(capsys):
    show_table(unit_table([]))
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
    show_table(unit_table(UNITS))
    out = capsys.readouterr().out
    assert ("\x1b[32m" in out) is coloured
    rows = [re.sub(r"\x1b\[\d*m", "", line) for line in out.splitlines()]
    assert rows[1:] == [
        f"kitchen  01234567  Success  2026-01-02 03:04:05Z  {UUID}",
        f"hall     -         -        -                     {UUID}",
    ]
    assert rows[0] == "NAME     VERSION   UPDATE   LAST UPDATE           UUID"
