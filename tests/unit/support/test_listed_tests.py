"""The check that holds docs/robustness.md to the tests it names."""

import pytest

from tests.support.listed_tests import forgotten, problems

MODULE = '''
def test_plain():
    """B1: a docstring names it."""

async def test_w2_in_its_name():
    pass

def test_comment():
    pass  # B3

def test_of_something_else():
    """W2 and B11."""
'''


@pytest.fixture
def root(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text(MODULE)
    return tmp_path


@pytest.mark.parametrize(("row", "name"), [("B1", "test_plain"), ("W2", "test_w2_in_its_name"), ("B3", "test_comment")])
def test_a_row_whose_test_names_it_is_good(root, row, name):
    assert problems(f"| {row} | Never. | `tests/test_it.py::{name}` |", root) == []


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("| W1 | Never. | `tests/test_it.py::test_gone` |", "there is no tests/test_it.py::test_gone"),
        ("| W1 | Never. | `tests/test_gone.py::test_plain` |", "there is no tests/test_gone.py::test_plain"),
        ("| B1 | Never. | `tests/test_it.py::test_of_something_else` |", "does not name B1"),
        ("| W2 | Never. | `tests/test_it.py::test_of_something_else` |", "call one test_w2_..."),
        ("| W2 | Never. |" + " `tests/test_it.py::test_w2_in_its_name`" * 2 + " |", "W2 names a test twice"),
        ("| W1 | Never. | by hand |", "names no test"),
        ("| W1 |  | `tests/test_it.py::test_plain` |", "does not say what"),
        ("no table", "no rows"),
        ("| W1 | Never. | `tests/test_it.py::test_plain` |\n" * 2, "twice"),
    ],
)
def test_a_promise_that_is_not_kept_is_named(root, page, problem):
    assert any(problem in found for found in problems(page, root))


def test_a_row_that_is_known_must_be_claimed_or_named_as_not_claimed():
    page = "W1 in passing\n| W2 | Never. | `tests/test_it.py::test_w2` |\n\n## Not claimed yet\n\nW3 and B4 to B6."
    known = ["W1", "W2", "W3", "W33", "B4", "B5", "B6", "B7"]
    missing = [f"{row} is neither a row nor named under Not claimed yet" for row in ("W1", "W33", "B7")]
    assert forgotten(page, known) == missing
