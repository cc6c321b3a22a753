import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.pepeignore import parse_pepeignore
from pepeunit_gateway.firmware.thread_work import StoppedError


def ignored(lines, path, *, is_dir=False):
    return parse_pepeignore(lines.encode()).ignores(path, is_dir=is_dir)


# (lines, path, is ignored), each as `git check-ignore` says it
CASES = [
    ("*.md", "a/b.md", True),
    ("*.md", "b.mdx", False),
    ("/a", "a", True),
    ("/a", "b/a", False),
    ("a/b", "c/a/b", False),
    ("**/a/b", "c/d/a/b", True),
    ("a/**", "a/b/c", True),
    ("a/**", "a", False),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("a/**/b", "ab", False),
    ("a**c", "abbc", True),
    ("a/*/c", "a/b/b/c", False),
    ("?", "a", True),
    ("?", "ab", False),
    ("[a-c]x", "bx", True),
    ("[!a-c]x", "bx", False),
    ("[^a-c]x", "dx", True),
    ("[]a]", "]", True),
    ("[a-]", "-", True),
    ("[c-a]", "b", False),
    ("[!c-a]", "b", True),
    ("[[:digit:]x]", "7", True),
    ("[[:punct:]]", "]", True),
    ("[\\]]", "]", True),
    ("\\#a", "#a", True),
    ("\\!a", "!a", True),
    ("\\*", "*", True),
    ("\\*", "a", False),
    ("a  ", "a", True),
    ("a\\ ", "a ", True),
    ("a\\  ", "a ", True),
    ("a\r", "a", True),
    ("# a", "# a", False),
    ("\n\n", "a", False),
    ("*\n!keep", "keep", False),
    ("!keep\n*", "keep", True),
    ("a/", "a", False),
    (".x", ".x", True),
    ("*", ".x", True),
    ("a.c", "abc", False),
    ("a\u2028b", "b", False),
]


@pytest.mark.parametrize(("lines", "path", "is_ignored"), CASES)
def test_a_line_means_what_it_means_to_git(lines, path, is_ignored):
    assert ignored(lines, path) is is_ignored


def test_a_line_with_a_slash_at_its_end_is_for_folders():
    assert ignored("a/", "x/a", is_dir=True)
    assert ignored("a", "x/a", is_dir=True)
    assert not ignored("/a/", "x/a", is_dir=True)


def test_no_pepeignore_and_a_byte_order_mark_ignore_nothing():
    assert not parse_pepeignore(None).ignores("x", is_dir=False)
    assert parse_pepeignore(b"\xef\xbb\xbfx").ignores("x", is_dir=False)


BROKEN = [
    (b"a\n!\n", "line 2: '!' is no pattern"),
    (b"/", "line 1"),
    (b"a\\", "line 1"),
    (b"[a", "line 1"),
    (b"[", "line 1"),
    (b"[!", "line 1"),
    (b"[[:nope:]]", "line 1"),
    (b"\xff", "UTF-8"),
    (b"a\n" * 1_001, "1001 lines"),
    (b"a\n" * 100_000, "100000 lines"),
    (b"a" * 257, "line 1 has 257 characters"),
    (b"a" * 256 + b"\n" + b"ab/c\n" * 64 + b"[a-z]*" * 40 + b"\n" + (b"x" * 255 + b"\n") * 63, "16384 characters"),
]


@pytest.mark.parametrize(("data", "hint"), BROKEN)
def test_a_broken_pepeignore_is_told(data, hint):
    with pytest.raises(GitRepoError, match=re.escape(hint)):
        parse_pepeignore(data)


SLOW = ["*a" * 100 + "b", "**/*a*a*a/" * 20 + "b", "a*" * 100 + "**/b", "[a-b]*" * 40 + "/c", "**/" * 80 + "c"]


@pytest.mark.parametrize("pattern", SLOW)
def test_no_pattern_makes_a_match_slow(pattern):
    """A regular expression as it is usually written needs longer than the limit of a test."""
    spec = parse_pepeignore(f"{pattern}\n".encode() * 50)
    for path in ("a" * 250, "/".join(["aaaaaaa"] * 120), "a/" * 500 + "a"):
        assert not spec.ignores(path, is_dir=False)


def test_remarks_and_empty_lines_are_no_patterns():
    assert parse_pepeignore((b"#" + b"x" * 254 + b"\n\n") * 400 + b"a").ignores("a", is_dir=False)


@pytest.mark.parametrize("pattern", SLOW)
def test_whoever_asks_can_give_up_between_a_few_lines(pattern):
    spec = parse_pepeignore(f"{pattern}\n".encode() * (16_000 // (len(pattern) + 1)))
    asked = []
    assert not spec.ignores("a" * 1_000, is_dir=False, check=lambda: asked.append(1))
    assert len(asked) == len(spec._files) >= 1
    assert all(len(run.name.__self__.pattern + run.path.__self__.pattern) < 4_200 for run in spec._files)

    def give_up():
        raise StoppedError

    with pytest.raises(StoppedError):
        spec.ignores("a", is_dir=False, check=give_up)


def test_groups_of_lines_mean_what_all_lines_mean():
    lines = [f"{number}{'x' * 200}" for number in range(70)]
    for brought_back in (0, 35, 69):
        spec = parse_pepeignore("\n".join([*lines, "!" + lines[brought_back]]).encode())
        assert [spec.ignores(line, is_dir=False) for line in lines] == [n != brought_back for n in range(70)]


symbols = st.sampled_from(
    ["a", "b", "*", "**", "/", "?", "[ab]", "[!a]", "\\", "!", "#", " ", "[", "]", "-", ".", "\n"]
)


@given(st.lists(symbols, max_size=12).map("".join), st.lists(st.sampled_from("ab./-"), min_size=1).map("".join))
def test_any_text_is_a_pepeignore_or_told(lines, path):
    try:
        spec = parse_pepeignore(lines.encode())
    except GitRepoError:
        return
    assert spec.ignores(path, is_dir=False) in {True, False}
