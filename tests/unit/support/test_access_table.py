"""The access table itself: how its lines are read, and the page that is made of it."""

from pathlib import Path

import pytest

from tests.support.access.page import render
from tests.support.access.table import AGENTS, LEVELS, Entity, Outcome, read_rows

ROOT = Path(__file__).resolve().parents[3]
HEAD = "route ok Bot str cre per blo Adm uni oth puU Bck none\n"
LINE = "GET /things/{uuid} 200 +11 ++3 + + 1 + + ++3 + 3 44"


def test_one_symbol_stands_for_every_level():
    (row,) = read_rows(HEAD + LINE, LEVELS)
    assert (row.key, row.cells["Bot"], row.cells["creator"]) == ("GET /things/{uuid}", "+11", "+++")
    assert [row.outcome(symbol) for symbol in row.cells["stranger"]] == [Outcome(200), Outcome(200), Outcome(403)]
    assert list(row.cells) == list(AGENTS)


def test_a_list_tells_whether_the_entity_is_in_it():
    (row,) = read_rows(HEAD + "GET /things list +-- ++- + + 1 + + ++- + 3 .", LEVELS)
    assert [row.outcome(symbol) for symbol in "+-3"] == [
        Outcome(200, listed=True),
        Outcome(200, listed=False),
        Outcome(403),
    ]


def test_a_word_after_an_at_sign_tells_two_uses_apart_and_a_letter_is_a_footnote():
    (row,) = read_rows(HEAD + "POST /things @twice 201 1 3 + 3 1 3 3 3 3 3 14 a", LEVELS)
    assert (row.key, row.variant, row.none, row.notes) == ("POST /things @twice", "twice", "14", "a")


@pytest.mark.parametrize(
    "line",
    [
        "GET /things/{uuid} 200 +11 ++3 + + 1 + + ++3 + 3",  # a cell is missing
        "GET /things/{uuid} 200 +1 ++3 + + 1 + + ++3 + 3 44",  # a level is missing
        "GET /things/{uuid} 200 +11 ++3 + + 1 + + ++3 + 3 44 a b",
    ],
)
def test_a_line_that_is_not_whole_is_refused(line):
    with pytest.raises(ValueError, match="a cell is missing"):
        read_rows(HEAD + line, LEVELS)


def test_a_row_that_nobody_asks_and_a_footnote_that_nobody_wrote_are_refused():
    rows = read_rows(HEAD + LINE, LEVELS)
    with pytest.raises(ValueError, match="in one of table and requests only"):
        Entity("Things", "", "things", LEVELS, rows, {})
    noted = read_rows(f"{HEAD}{LINE} a", LEVELS)
    with pytest.raises(ValueError, match="footnote"):
        Entity("Things", "", "things", LEVELS, noted, {"GET /things/{uuid}": lambda _, __: None})


def test_docs_access_is_what_the_table_says():
    assert (ROOT / "docs/access.md").read_text() == render(), "docs/access.md is stale: run make docs"
