import base64

import pytest

from pepeunit_gateway.firmware.remotes import (
    Credentials,
    Reason,
    Remote,
    explain_failure,
    fetch_error,
    is_damage,
    is_oversize,
    is_rot,
)
from pepeunit_gateway.firmware.urls import parse_url

TOKEN = "s3cr3t/тайна"
BASIC = base64.b64encode(f"me:{TOKEN}".encode()).decode()


def remote(url="https://git.example.org/a/b.git", addresses=("8.8.8.8",)):
    return Remote(parse_url(url), Credentials("me", TOKEN), addresses)


def test_w6_the_token_shows_in_no_repr():
    assert TOKEN not in repr(Credentials("me", TOKEN))
    assert TOKEN not in repr(remote())


def test_the_header_is_bound_to_its_origin_and_the_address_is_pinned():
    assert remote().config() == (
        ("http.https://git.example.org:443/.extraHeader", f"Authorization: Basic {BASIC}"),
        ("http.curloptResolve", "git.example.org:443:8.8.8.8"),
    )


def test_several_addresses_are_pinned_in_the_form_curl_reads():
    pinned = remote(addresses=("8.8.8.8", "2600::1")).config()[-1]
    assert pinned == ("http.curloptResolve", "git.example.org:443:8.8.8.8,[2600::1]")


def test_an_address_in_the_url_needs_no_pin():
    assert len(remote("https://8.8.8.8/a.git").config()) == 1


@pytest.mark.parametrize("echo", [TOKEN, BASIC, "s3cr3t%2F%D1%82%D0%B0%D0%B9%D0%BD%D0%B0"])
def test_w6_a_server_that_echoes_the_credential_gets_it_masked(echo):
    assert echo not in explain_failure(remote(), f"remote: hi {echo}\nfatal: strange thing {echo}")


TABLE = [
    ("fatal: could not read Username for 'https://git.example.org': terminal prompts disabled", "credentials"),
    ("fatal: unable to access 'https://x/': The requested URL returned error: 403", "credentials"),
    ("fatal: repository 'https://git.example.org/a/b.git/' not found", "no git repository"),
    ("fatal: unable to access 'x': The requested URL returned error: 502", "error of its own"),
    ("fatal: unable to access 'x': Failed to connect to git.example.org port 443", "cannot be reached"),
    ("fatal: unable to update url base from redirection:", "redirects"),
    ("fatal: unable to access 'x': server certificate verification failed", "certificate"),
    ("error: RPC failed; curl 56 recv failure\nfatal: early EOF", "broke off"),
    ("fatal: something nobody has seen", "something nobody has seen"),
    ("", "no reason"),
    ("fatal: Out of memory, malloc failed (tried to allocate 9 bytes)\nfatal: invalid index-pack output", "memory"),
]


@pytest.mark.parametrize(("stderr", "hint"), TABLE)
def test_a_failure_is_told_in_words_that_help(stderr, hint):
    message = explain_failure(remote(), stderr)
    assert hint in message
    assert "git.example.org:443" in message


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        ("fatal: unable to access 'x': The requested URL returned error: 401", Reason.REFUSED),
        ("fatal: unable to access 'x': The requested URL returned error: 403", Reason.REFUSED),
        ("fatal: Authentication failed for 'x'", Reason.REFUSED),
        ("fatal: unable to access 'x': The requested URL returned error: 404", Reason.ABSENT),
        ("fatal: repository 'https://git.example.org/a/b.git/' not found", Reason.ABSENT),
        ("fatal: unable to access 'x': The requested URL returned error: 503", Reason.OTHER),
        ("fatal: early EOF", Reason.OTHER),
        ("remote: Authentication failed\nfatal: something nobody has seen", Reason.OTHER),
        ("", Reason.OTHER),
    ],
)
def test_what_a_failure_says_about_the_credentials_is_typed(stderr, reason):
    error = fetch_error(remote(), stderr)
    assert (error.reason, error.message) == (reason, explain_failure(remote(), stderr))


def test_the_servers_own_words_do_not_decide():
    assert "credentials" not in explain_failure(remote(), "remote: Authentication failed\nfatal: early EOF")


@pytest.mark.parametrize(
    ("stderr", "damage"),
    [
        ("fatal: bad object refs/heads/main", True),
        ("error: object file ./objects/aa/bb is empty", True),
        ("fatal: not a git repository: '/x'", True),
        ("fatal: early EOF", False),
        ("fatal: unable to access 'x': returned error: 500", False),
        ("remote: fatal: bad object refs/heads/main\nfatal: early EOF", False),
    ],
)
def test_damage_of_the_mirror_is_told_from_trouble_of_the_network(stderr, damage):
    assert is_damage(stderr) is damage


@pytest.mark.parametrize(
    ("stderr", "oversize"),
    [
        ("error: index-pack died of signal 25", True),
        ("fatal: write error: File too large", True),
        ("remote: File too large\nfatal: early EOF", False),
        ("error: index-pack died of signal 15", False),
    ],
)
def test_the_limit_on_files_is_told_from_other_ends(stderr, oversize):
    assert is_oversize(stderr) is oversize


@pytest.mark.parametrize(
    ("stderr", "rot"),
    [
        ("error: inflate: data stream error (incorrect header check)", True),
        ("fatal: packed object 12 (stored in ./objects/pack/x.pack) is corrupt", True),
        ("error: failed to read object 12 at offset 9 from ./x.pack", True),
        ("fatal: bad object 0000000000000000000000000000000000000000", False),
        ("fatal: Not a valid commit name 0000", False),
        ("fatal: path 'x' does not exist in '12'", False),
    ],
)
def test_what_anybody_may_ask_for_is_no_rot(stderr, rot):
    assert is_rot(stderr) is rot


def test_the_header_with_the_credential_is_for_http_only():
    url = parse_url("https://git.example.org/o/n.git")
    assert Remote(url, None, ()).authorization is None
    assert Remote(url, Credentials("me", "token"), ()).authorization == "Basic bWU6dG9rZW4="
    assert Remote(parse_url("file:///srv/n.git"), Credentials("me", "token"), ()).authorization is None
