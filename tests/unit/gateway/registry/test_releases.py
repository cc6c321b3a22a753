"""When releases are read, and how they are kept."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.firmware.release_files import ReleaseFile
from pepeunit_gateway.registry.releases import (
    INTERVAL,
    RETRY_INTERVAL,
    Wish,
    dump_releases,
    is_due,
    read_releases,
)

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
UNITS_WAIT = Wish(is_asked=False, is_needed=True, has_failed=False)
NOBODY_WAITS = Wish(is_asked=False, is_needed=False, has_failed=False)


@pytest.mark.parametrize("wish", [UNITS_WAIT, NOBODY_WAITS])
def test_releases_are_read_where_they_never_were(wish):
    assert is_due(None, None, NOW, wish)


@pytest.mark.parametrize(
    ("wish", "interval"),
    [
        (UNITS_WAIT, INTERVAL),
        (replace(UNITS_WAIT, is_asked=True), MINUTE),
        (replace(NOBODY_WAITS, has_failed=True), RETRY_INTERVAL),
        (replace(NOBODY_WAITS, has_failed=True, is_asked=True), RETRY_INTERVAL),
    ],
)
def test_releases_are_read_as_often_as_units_need_them_and_at_most_once_a_minute(wish, interval):
    assert not is_due(NOW - interval + SECOND, None, NOW, wish)
    assert is_due(NOW - interval, None, NOW, wish)


def test_releases_that_nobody_needs_are_not_read_again_whoever_asks():
    assert not is_due(NOW - timedelta(days=365), None, NOW, replace(NOBODY_WAITS, is_asked=True))


@pytest.mark.parametrize(
    ("last", "due", "read"),
    [
        (MINUTE, 0 * MINUTE, True),
        (MINUTE, -SECOND, False),
        (MINUTE - SECOND, SECOND, False),
        (MINUTE, 2 * MINUTE, False),  # which was read since
    ],
)
def test_what_was_put_off_is_read_at_the_end_of_its_minute(last, due, read):
    assert is_due(NOW - last, NOW - due, NOW, UNITS_WAIT) is read


_TEXT = st.text(min_size=1, max_size=20)
_FILES = st.lists(st.builds(ReleaseFile, _TEXT, _TEXT), max_size=4).map(tuple)


@given(st.dictionaries(_TEXT, _FILES, max_size=6))
def test_what_is_kept_is_json_of_names_and_links_by_tag_and_is_read_back(releases):
    text, told = dump_releases(releases)
    plain = {tag: [[file.name, file.link] for file in files] for tag, files in releases.items()}
    assert (json.loads(text), told) == (plain, None)
    assert list(json.loads(text)) == list(releases), "the order is lost"
    assert read_releases(text) == {tag: [tuple(pair) for pair in files] for tag, files in plain.items()}


def test_of_more_than_fits_the_newest_are_kept_and_that_is_told():
    files = tuple(ReleaseFile(f"platform-{number}", "https://files.example/" + "x" * 2_000) for number in range(25))
    releases = {f"v{number}": files for number in range(50, 0, -1)}
    text, told = dump_releases(releases)
    kept = list(json.loads(text))
    assert len(text) <= 2**20
    assert kept == list(releases)[: len(kept)]
    assert 10 < len(kept) < 50
    assert f"only the newest {len(kept)} are kept" in told


@pytest.mark.parametrize(
    "stored", [None, "", "junk", "[]", '{"v1": 1}', '{"v1": [["one"]]}', '{"v1": [[1, 2]]}', "nul"]
)
def test_w33_junk_in_the_column_is_no_release(stored):
    assert read_releases(stored) == {}
