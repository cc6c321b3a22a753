"""Text from elsewhere on a terminal."""

from datetime import UTC, datetime

import pytest

from pepeunit_tools.wording import ago, moment, plain, short_commit, shortened


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-02T03:04:05.9Z", "54 s ago"),
        ("2026-01-02T03:03:00Z", "2 min ago"),
        ("2026-01-02T03:03:01Z", "119 s ago"),
        ("2026-01-02T02:05:00+01:00", "2 h ago"),
        ("2025-12-30T03:05:00Z", "3 d ago"),
        ("2026-01-02T03:06:00Z", "0 s ago"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05"),
        (None, "-"),
        ("yester\nday", r"yester\nday"),
    ],
)
def test_how_long_ago_is_told_in_one_unit_of_time(text, shown):
    assert ago(text, datetime(2026, 1, 2, 3, 5, tzinfo=UTC)) == shown
