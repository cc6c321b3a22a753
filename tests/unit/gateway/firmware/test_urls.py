from pathlib import Path

import pytest

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.urls import check_url, normal_url, parse_url, server_of

GOOD = [
    ("https://git.example.org/owner/name.git", "Github"),
    ("https://git.example.org/group/sub/name.git", "Gitlab"),
    ("https://git.example.org:8443/name.git", "Git"),
    ("https://[2600:1406::1]/owner/name.git", "Git"),
    ("https://git.example.org/~owner/na%20me.git", "Git"),
    ("https://8.8.8.8/name.git", "Git"),
]

BAD = [
    # not one of our transports
    ("git@git.example.org:owner/name.git", "start with https://"),
    ("ssh://git.example.org/owner/name.git", "start with https://"),
    ("git://git.example.org/owner/name.git", "start with https://"),
    ("ext::sh -c whoami .git", "without spaces"),
    ("-uhttps://git.example.org/name.git", "start with https://"),
    ("", "start with https://"),
    # not the clone URL
    ("https://git.example.org/owner/name", "end in .git"),
    ("https://git.example.org/owner/name.git?x=.git", "end in .git"),
    ("https://git.example.org/owner/name.git#.git", "end in .git"),
    ("https://git.example.org/owner/name.git/", "end in .git"),
    # no usable host
    ("https:///owner/name.git", "no valid host"),
    ("https://-host/name.git", "no valid host"),
    ("https://git.example.org:99999/name.git", "malformed"),
    ("https://git.example.org:0/name.git", "no valid host"),
    ("https://[::1/name.git", "malformed"),
    # characters that parsers read differently
    ("https://git.example.org\\@127.0.0.1/name.git", "backslashes"),
    ("https://git.example.org/na me.git", "without spaces"),
    ("https://git.example.org/na\nme.git", "ASCII"),
    ("https://git.exämple.org/name.git", "ASCII"),
    ("https://git.example.org/na<me.git", "percent-encoded"),
    ("https://git.example.org/" + "a" * 2_048 + ".git", "at most 2048"),
    # where only an operator may lead us
    ("http://git.example.org/owner/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://localhost/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://127.0.0.1/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://127.1/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://2130706433/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://0x7f000001/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://10.0.0.7/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://192.168.1.1/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://169.254.169.254/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://0.0.0.0/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://[::1]/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://[::ffff:10.0.0.1]/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://[fe80::1]/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("https://[64:ff9b::7f00:1]/name.git", "PU_GIT_ALLOW_PRIVATE"),
    ("file:///srv/git/name.git", "PU_GIT_ALLOW_FILE"),
]


@pytest.mark.parametrize(("url", "platform"), GOOD)
def test_a_clone_url_of_the_open_internet_passes(url, platform):
    check_url(url, platform=platform, allow_private=False, allow_file=())


@pytest.mark.parametrize(("url", "hint"), BAD)
def test_any_other_url_is_refused_with_what_to_do(url, hint):
    with pytest.raises(RepositoryRegistryError) as caught:
        check_url(url, platform="Git", allow_private=False, allow_file=())
    assert hint in caught.value.message
    assert (caught.value.status, caught.value.code) == (422, 13)


def test_a_password_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(RepositoryRegistryError) as caught:
        check_url("https://me:sEcret@git.example.org/name.git", platform="Git", allow_private=True, allow_file=())
    assert "credentials" in caught.value.message
    assert "sEcret" not in caught.value.message


@pytest.mark.parametrize(("platform", "path"), [("Github", "a/b/c.git"), ("Github", "c.git"), ("Gitlab", "c.git")])
def test_a_platform_wants_the_path_of_its_projects(platform, path):
    with pytest.raises(RepositoryRegistryError, match="has the form"):
        check_url(f"https://git.example.org/{path}", platform=platform, allow_private=False, allow_file=())


@pytest.mark.parametrize(
    "url", ["http://localhost:3000/a/b.git", "https://10.0.0.7/a/b.git", "http://[::1]:80/a/b.git"]
)
def test_an_operator_may_open_private_networks(url):
    check_url(url, platform="Gitlab", allow_private=True, allow_file=())


def test_a_file_url_must_lie_below_an_allowed_folder_links_followed(tmp_path: Path):
    inside, outside = tmp_path / "allowed", tmp_path / "other"
    (inside / "a.git").mkdir(parents=True)
    (outside / "b.git").mkdir(parents=True)
    (inside / "link.git").symlink_to(outside / "b.git")
    check_url(f"file://{inside}/a.git", platform="Git", allow_private=False, allow_file=[inside])
    for path in (f"{inside}/link.git", f"{inside}/../other/b.git", f"{outside}/b.git", f"{inside}/%2e%2e/other/b.git"):
        with pytest.raises(RepositoryRegistryError, match="PU_GIT_ALLOW_FILE"):
            check_url(f"file://{path}", platform="Git", allow_private=False, allow_file=[inside])
    with pytest.raises(RepositoryRegistryError, match="platform Git"):
        check_url(f"file://{inside}/a.git", platform="Github", allow_private=False, allow_file=[inside])


def test_the_origin_names_the_port_and_brackets_ipv6():
    assert parse_url("https://git.example.org/a.git").origin == "https://git.example.org:443/"
    assert parse_url("http://[::1]:3000/a.git").origin == "http://[::1]:3000/"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://git.example/a.git", "git.example:443"),
        ("https://GIT.Example.:443/b/c.git", "git.example:443"),
        ("http://git.example/a.git", "git.example:80"),
        ("https://git.example:8443/a.git", "git.example:8443"),
        ("https://127.1/a.git", "127.0.0.1:443"),
        ("https://[::0:1]/a.git", "::1:443"),
        ("file:///srv/a.git", ""),
        ("nonsense", "nonsense"),
    ],
)
def test_a_server_is_one_however_it_is_written(url, server):
    assert server_of(url) == server


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://git.example/a/b.git", "https://git.example/a/b.git"),
        ("HTTPS://GIT.Example.:443//a/./b.git", "https://git.example/a/b.git"),
        ("http://git.example:0080/A/x/../B.git", "http://git.example/A/B.git"),
        ("https://git.example:8443/../b.git", "https://git.example:8443/b.git"),
        ("https://git.example:/%7ea/%2e%2E/%62%2f%c3.git", "https://git.example/b%2F%C3.git"),
        ("https://git.example/%%32e/%25%32%65.git", "https://git.example/%252e/%252e.git"),
        ("https://2130706433/b.git", "https://127.0.0.1/b.git"),
        ("https://[::FFFF:7f00:1]:443/b.git", "https://127.0.0.1/b.git"),
        ("http://[0:0::1]:3000/b.git", "http://[::1]:3000/b.git"),
        ("FILE:////srv/./git//b.git", "file:///srv/git/b.git"),
    ],
)
def test_w13_a_repository_has_one_spelling(url, normal):
    """W13: else every other spelling is one more clone of it."""
    assert normal_url(url) == normal
    assert normal_url(normal) == normal
