"""The check that holds docs/robustness.md to the tests it names."""

import pytest

from tests.support.listed_tests import problems

MODULE = '''
def test_plain():
    """W1: a docstring names it."""

async def test_w2_in_its_name():
    pass

def test_comment():
    pass  # W3

def test_of_something_else():
    """W11."""
'''


@pytest.fixture
def root(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_it.py").write_text(MODULE)
    return tmp_path


@pytest.mark.parametrize(("row", "name"), [("W1", "test_plain"), ("W2", "test_w2_in_its_name"), ("W3", "test_comment")])
def test_a_row_whose_test_names_it_is_good(root, row, name):
    assert problems(f"| {row} | Never. | `tests/test_it.py::{name}` |", root) == []


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("| W1 | Never. | `tests/test_it.py::test_gone` |", "there is no tests/test_it.py::test_gone"),
        ("| W1 | Never. | `tests/test_gone.py::test_plain` |", "there is no tests/test_gone.py::test_plain"),
        ("| W1 | Never. | `tests/test_it.py::test_of_something_else` |", "does not name W1"),
        ("| W1 | Never. | by hand |", "names no test"),
        ("| W1 |  | `tests/test_it.py::test_plain` |", "does not say what"),
        ("no table", "no rows"),
        ("| W1 | Never. | `tests/test_it.py::test_plain` |\n" * 2, "twice"),
    ],
)
def test_a_promise_that_is_not_kept_is_named(root, page, problem):
    assert any(problem in found for found in problems(page, root))
