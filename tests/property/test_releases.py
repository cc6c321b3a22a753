"""Whatever a platform answers: a page of releases, or the one error that it is none; what is kept can be stored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.firmware.github import read_github_page
from pepeunit_gateway.firmware.gitlab import read_gitlab_page
from pepeunit_gateway.registry.releases import dump_releases, read_releases

_KEYS = st.sampled_from(
    ["tag_name", "draft", "assets", "name", "browser_download_url", "state", "sources", "links", "format", "url", "id"]
)
_LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["https://e.org/pi", "uploaded"])
)
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=6))
_READERS = pytest.mark.parametrize("read", [read_github_page, read_gitlab_page])


@_READERS
@given(answer=_JSON.map(json.dumps).map(str.encode) | st.binary(max_size=200))
def test_an_answer_is_read_or_said_to_be_none(read, answer):
    try:
        page = read(answer)
    except ValueError:
        return
    releases = {tag: files for tag, files in page if tag is not None}
    for file in (file for files in releases.values() for file in files):
        assert file.name
        assert file.name.isprintable()
        assert file.link.startswith(("http://", "https://"))
    text, _ = dump_releases(releases)
    assert read_releases(text) == {tag: [(file.name, file.link) for file in files] for tag, files in releases.items()}


_LINKS = st.sampled_from(["https://e.org/pi", "http://e.org/", "ftp://e.org/x", "", "https://"])
_ASSET = st.fixed_dictionaries({"name": st.text(), "browser_download_url": _LINKS})
_LINK = st.fixed_dictionaries({"name": st.text(), "url": _LINKS})
_GITHUB = st.fixed_dictionaries({"tag_name": st.text(), "draft": st.booleans(), "assets": st.lists(_ASSET, max_size=3)})
_GITLAB = st.fixed_dictionaries(
    {"tag_name": st.text(), "assets": st.fixed_dictionaries({"links": st.lists(_LINK, max_size=3)})}
)


@given(st.lists(_GITHUB, max_size=4), st.lists(_GITLAB, max_size=4))
def test_every_release_of_a_page_counts_so_that_the_end_is_found(github, gitlab):
    for releases, read in ((github, read_github_page), (gitlab, read_gitlab_page)):
        assert len(read(json.dumps(releases).encode())) == len(releases)
