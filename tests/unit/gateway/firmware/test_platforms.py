"""Whom to ask about a repository, with which credential, and what pages of releases say."""

import json
from datetime import UTC, datetime

import pytest

from pepeunit_gateway.firmware.github import read_github_page
from pepeunit_gateway.firmware.gitlab import read_gitlab_page
from pepeunit_gateway.firmware.page_memory import PageMemory, RememberedPage
from pepeunit_gateway.firmware.platforms import Platforms
from pepeunit_gateway.firmware.release_files import ReleaseFile, usable_files
from pepeunit_gateway.firmware.release_pages import MAX_OBJECTS, PAGE_SIZE, OverfullError, decode_page
from pepeunit_gateway.firmware.remotes import Credentials
from pepeunit_gateway.firmware.web import Web

OURS, THEIRS = Credentials("us", "instance-token"), Credentials("me", "own-token")


@pytest.fixture
def platforms():
    return Platforms(Web(allow_private=False), lambda: datetime(2026, 5, 1, tzinfo=UTC), github=OURS)


@pytest.mark.parametrize(
    ("platform", "url", "base"),
    [
        ("Github", "https://github.com/owner/name.git", "https://api.github.com"),
        ("Github", "https://GitHub.com/owner/name.git", "https://api.github.com"),
        ("Github", "https://git.example.org/owner/name.git", "https://git.example.org:443/api/v3"),
        ("Github", "http://git.example.org:8080/owner/name.git", "http://git.example.org:8080/api/v3"),
        ("Gitlab", "https://gitlab.com/group/name.git", "https://gitlab.com:443/api/v4"),
        ("Gitlab", "http://[::1]:81/group/sub/name.git", "http://[::1]:81/api/v4"),
    ],
)
def test_the_api_lies_on_the_server_of_the_repository(platforms, platform, url, base):
    assert platforms.client(platform, url, None).address.base == base


@pytest.mark.parametrize(
    ("platform", "url"),
    [("Git", "https://github.com/a/b.git"), ("Git", "file:///srv/a.git"), ("Gitlab", "file:///srv/a.git")],
)
def test_plain_git_has_no_api(platforms, platform, url):
    assert platforms.client(platform, url, None) is None


@pytest.mark.parametrize(
    ("url", "given", "sent"),
    [
        ("https://github.com/a/b.git", THEIRS, "Bearer own-token"),
        ("https://github.com/a/b.git", None, "Bearer instance-token"),
        ("https://git.example.org/a/b.git", None, None),
        ("https://github.com.example.org/a/b.git", None, None),
        ("http://github.com/a/b.git", None, None),
        ("https://git.example.org/a/b.git", THEIRS, "Bearer own-token"),
    ],
)
def test_the_token_of_the_instance_goes_to_github_alone(platforms, url, given, sent):
    """Anybody may register a server of their own and call it GitHub."""
    address = platforms.client("Github", url, given, shown_public=True).address
    assert address.headers.get("Authorization") == sent
    assert address.has_credential == (sent is not None)
    assert "token" not in repr(address)
    assert "token" not in address.key()


@pytest.mark.parametrize(("given", "sent"), [(None, None), (THEIRS, "Bearer own-token")])
def test_the_token_of_the_instance_asks_about_no_repository_that_was_not_fetched_without_it(platforms, given, sent):
    """A stranger registered the operator's private repository and was told that it exists, and how large it is."""
    address = platforms.client("Github", "https://github.com/operator/secret.git", given).address
    assert address.headers.get("Authorization") == sent


def test_gitlab_gets_the_token_in_its_header_and_never_the_instances_for_github(platforms):
    url = "https://gitlab.com/a/b.git"
    assert platforms.client("Gitlab", url, THEIRS).address.headers == {"PRIVATE-TOKEN": "own-token"}
    assert platforms.client("Gitlab", url, None).address.headers == {}


def test_askers_are_told_apart(platforms):
    url = "https://git.example.org/a/b.git"
    keys = {platforms.client(p, url, c).address.key() for p in ("Github", "Gitlab") for c in (None, OURS, THEIRS)}
    assert len(keys) == 6


def test_drafts_and_files_that_are_being_uploaded_are_not_there_yet():
    asset = {"name": "pi", "browser_download_url": "https://e.org/pi", "state": "uploaded"}
    page = [
        {"tag_name": "v2", "draft": True, "assets": [asset]},
        {"tag_name": "v1", "draft": False, "assets": [asset, {**asset, "name": "esp32", "state": "open"}]},
        {"tag_name": "v0", "assets": []},
    ]
    files = (ReleaseFile("pi", "https://e.org/pi"),)
    assert read_github_page(json.dumps(page).encode()) == [(None, files), ("v1", files), ("v0", ())]


def test_gitlab_has_sources_by_format_then_links_by_name():
    assets = {
        "sources": [{"format": "zip", "url": "https://e.org/v1.zip"}],
        "links": [{"name": "pi", "url": "https://e.org/pi"}, {"name": "old", "url": "ftp://e.org/old"}],
    }
    page = [{"tag_name": "v1", "assets": assets}, {"name": "guests are not told the tag"}]
    files = (ReleaseFile("zip", "https://e.org/v1.zip"), ReleaseFile("pi", "https://e.org/pi"))
    assert read_gitlab_page(json.dumps(page).encode()) == [("v1", files), (None, ())]


@pytest.mark.parametrize("read", [read_github_page, read_gitlab_page])
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"null", b'[{"tag_name": 1}]', b"\xff", b"[" * 100_000], ids=range(7)
)
def test_what_is_no_page_is_said_to_be_none(read, body):
    with pytest.raises(ValueError, match=r".*"):
        read(body)


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("", "https://e.org/a"),
        ("n" * 256, "https://e.org/a"),
        ("nul\0", "https://e.org/a"),
        ("two\nlines", "https://e.org/a"),
        ("a", "ftp://e.org/a"),
        ("a", "javascript:alert(1)"),
        ("a", "https:///a"),
        ("a", "https://[bad/a"),
        ("a", "https://me:secret@e.org/a"),
        ("a", "https://e.org/a b"),
        ("a", "https://e.org/a\r\nX: y"),
        ("a", "https://e.org/" + "a" * 2048),
    ],
)
def test_a_file_that_no_unit_could_ask_for_or_fetch_is_left_out(name, link):
    assert usable_files([(name, link), ("pi", "https://e.org/pi")]) == (ReleaseFile("pi", "https://e.org/pi"),)


def page_of(size, etag="e"):
    return RememberedPage(etag, bytes(size), None)


def test_what_is_remembered_stays_within_its_bytes_and_the_oldest_goes():
    memory = PageMemory(40_000, 100)
    for number in range(4):
        memory.put((str(number), ""), page_of(10_000))
        memory.get(("0", ""))
    assert [memory.get((str(number), "")) is not None for number in range(4)] == [True, False, True, True]
    memory.put(("0", ""), page_of(10))
    memory.put(("huge", ""), page_of(40_000))
    assert memory.get(("huge", "")) is None
    assert 20_000 < memory.size < 25_000
    for key in ("0", "2", "3"):
        memory.forget((key, ""))
    assert memory.size == 0


def test_addresses_and_etags_count_and_so_does_what_holds_a_page_together():
    """20 readings of empty pages left 2,001 of them, and 48 MiB that counted for 40 KiB."""
    memory = PageMemory(1_000_000, 10_000)
    for number in range(10_000):
        memory.put((f"{number}", "/" + "p" * 400), page_of(0, "e" * 500))
    assert len(memory) * (900 + 500) < 1_000_000


def test_there_are_not_more_pages_than_that_many():
    memory = PageMemory(1_000_000, 10)
    for number in range(20):
        memory.put((str(number), ""), page_of(0))
    assert len(memory) == 10


@pytest.mark.parametrize(("length", "kept"), [(512, True), (513, False)])
def test_an_etag_that_is_a_text_of_its_own_is_not_kept(length, kept):
    memory = PageMemory(1_000_000, 10)
    memory.put(("a", ""), page_of(0, "e" * length))
    assert (len(memory) == 1) is kept


class Untouched:
    """A decoder that may not be used."""

    def decode(self, _body):
        raise AssertionError("objects were made")


def test_a_page_of_too_many_objects_is_refused_before_one_is_made():
    with pytest.raises(OverfullError, match="25000 objects"):
        decode_page(Untouched(), b"[" + b"{}," * (MAX_OBJECTS + 1))


@pytest.mark.parametrize("read", [read_github_page, read_gitlab_page])
def test_a_page_has_not_more_releases_than_were_asked_for(read):
    page = [{"tag_name": str(number)} for number in range(PAGE_SIZE + 1)]
    assert len(read(json.dumps(page[1:]).encode())) == PAGE_SIZE
    with pytest.raises(ValueError, match="more than 100 releases"):
        read(json.dumps(page).encode())
