"""Text from elsewhere on a terminal."""

import pytest

from pepeunit_tools.wording import moment, plain, short_commit, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("21.5 °C", "21.5 °C"),
        ("two\nlines\r", r"two\nlines\r"),
        ("\x1b[2Jgone\x07", r"\x1b[2Jgone\x07"),
        ("left\u202eright", r"left\u202eright"),
        ("\ud800", r"\ud800"),
        ("[bold]kept[/bold]", "[bold]kept[/bold]"),
    ],
)
def test_nothing_in_a_text_steers_the_terminal(text, shown):
    assert plain(text) == shown


def test_a_long_text_is_cut_with_a_mark():
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"


def test_a_commit_is_shown_by_its_first_digits():
    assert short_commit("0123456789abcdef") == "01234567"
    assert short_commit(None) == short_commit("") == "-"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-02T03:04:05.678901Z", "2026-01-02 03:04:05Z"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02 01:04:05Z"),
        (None, "-"),
        ("", "-"),
        ("yester\nday", r"yester\nday"),
    ],
)
def test_times_are_shown_in_utc_to_the_second(text, shown):
    assert moment(text) == shown
