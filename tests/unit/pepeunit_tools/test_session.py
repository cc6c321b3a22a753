"""The kept login."""

import json
import os
import stat
from pathlib import Path

import pytest

from pepeunit_tools.errors import LoginFileError, NotLoggedInError
from pepeunit_tools.session import KeptLogin, api_url, forget, load, login_file, save

LOGIN = KeptLogin("http://127.0.0.1:8080/pepeunit/api/v1", "alice", "secret.token.value")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config" / "pepeunit" / "login.json"


def test_a_kept_login_is_read_again(path):
    save(path, LOGIN)
    assert load(path) == LOGIN


def test_only_the_owner_may_read_it_whatever_the_umask_and_the_folder_were(path):
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o755)
    path.write_text("{}")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        save(path, LOGIN)
    finally:
        os.umask(before)
    assert (mode(path.parent), mode(path)) == (0o700, 0o600)


def test_a_new_login_replaces_the_old_one_and_leaves_nothing_beside(path):
    save(path, LOGIN)
    save(path, KeptLogin(LOGIN.url, "bobby", "another.token"))
    assert load(path).login == "bobby"
    assert list(path.parent.iterdir()) == [path]


def test_a_repr_hides_the_token():
    assert LOGIN.token not in repr(LOGIN)


def test_without_a_login_the_message_says_how_to_get_one(path):
    with pytest.raises(NotLoggedInError, match="pepeunit login URL"):
        load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'"text"',
        b'{"url": 1, "login": "alice", "token": "t"}',
        b'{"url": "http://host", "login": "alice", "token": 5}',
        b'{"url": "http://host", "login": "alice", "token": "a\\r\\nb"}',
        b'{"url": "ftp://host", "login": "alice", "token": "t"}',
    ],
)
def test_a_broken_file_is_named_with_what_to_do(path, content):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(LoginFileError, match=r"login\.json is broken; run again: pepeunit login URL"):
        load(path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "config").write_text("a file")
    with pytest.raises(LoginFileError, match=r"cannot write .*; set XDG_CONFIG_HOME"):
        save(tmp_path / "config" / "pepeunit" / "login.json", LOGIN)


def test_forgetting_says_whether_there_was_something(path):
    save(path, LOGIN)
    assert forget(path)
    assert not forget(path)
    assert not path.exists()


def test_the_place_follows_XDG_CONFIG_HOME_when_that_is_absolute(tmp_path):  # noqa: N802 - the variable's name
    assert login_file({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "pepeunit" / "login.json"
    home = Path.home() / ".config" / "pepeunit" / "login.json"
    assert login_file({}) == home
    assert login_file({"XDG_CONFIG_HOME": "relative"}) == home


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/pepeunit/api/v1"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/pepeunit/api/v1"),
        ("https://host/pepeunit/api/v1/", "https://host/pepeunit/api/v1"),
        ("http://[::1]:8080/other/api/v1", "http://[::1]:8080/other/api/v1"),
        ("http://host:8080/pepeunit", "http://host:8080/pepeunit/api/v1"),
        ("http://host:8080/pepeunit/docs/", "http://host:8080/pepeunit/api/v1"),
        ("http://host:8080/pepeunit/api/v1/openapi.json", "http://host:8080/pepeunit/api/v1"),
        ("http://host:8080/other/api/v1/openapi.json", "http://host:8080/other/api/v1"),
    ],
)
def test_an_address_leads_to_the_api(typed, url):
    assert api_url(typed) == url


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "127.0.0.1:8080",
        "ftp://host",
        "http://",
        "http://user:word@host",
        "http://host:port",
        "http://host:0",
        "http://host/?query",
        "http://host/#part",
        "http://ho st",
        "http://host\n",
        "http://höst",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(ValueError, match="give the gateway's address, like http://"):
        api_url(typed)


def test_the_file_is_plain_json(path):
    save(path, LOGIN)
    assert json.loads(path.read_text()) == {"url": LOGIN.url, "login": "alice", "token": LOGIN.token}
