"""When releases are read, and how they are kept."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.firmware.release_files import ReleaseFile
from pepeunit_gateway.registry.releases import INTERVAL, dump_releases, is_due, read_releases

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
LATELY, LONG_AGO = NOW - timedelta(seconds=1), NOW - INTERVAL


@pytest.mark.parametrize(
    ("last", "changed", "needed", "due"),
    [
        (None, False, False, True),
        (LATELY, False, True, False),
        (LATELY, True, False, True),
        (LONG_AGO, False, True, True),
        (LONG_AGO, False, False, False),
        (LONG_AGO, True, False, True),
        (NOW + timedelta(days=1), False, True, False),
    ],
)
def test_releases_are_read_after_news_and_every_five_minutes_where_units_need_them(last, changed, needed, due):
    assert is_due(last, NOW, changed=changed, needed=needed) is due


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
