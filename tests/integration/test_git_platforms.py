"""Sizes and releases as GitHub and GitLab tell them, and what they do when they tell something else."""

import asyncio
import json
import socket
import threading
from datetime import timedelta

import pytest

from pepeunit_gateway.errors import GitPlatformClientError
from pepeunit_gateway.firmware.platform_api import PausedError
from pepeunit_gateway.firmware.platforms import Platforms
from pepeunit_gateway.firmware.remotes import Credentials
from pepeunit_gateway.firmware.web import Web
from tests.support.git_platforms import Trouble
from tests.support.git_server import GitServer
from tests.support.platform_stage import START, PlatformStage

GOOD, WRONG = Credentials("me", "good-token"), Credentials("me", "wrong-token")


@pytest.fixture
async def web():
    opened = Web(allow_private=True)
    yield opened
    await opened.close()


@pytest.fixture(params=["Github", "Gitlab"])
def stage(request, tmp_path, web):
    with GitServer(tmp_path / "git") as server:
        yield PlatformStage(server, request.param, web)


def link_of(files, name):
    return {file.name: file.link for file in files}[name]


async def test_w33_every_page_of_releases_is_read(stage):
    """W33: GitHub's first thirty were all that was read."""
    stage.fill(245)
    releases = await stage.client().releases()
    assert list(releases) == [f"v{number}" for number in reversed(range(245))]
    assert link_of(releases["v0"], "pi") == "https://files.example/v0/pi"
    assert len([path for path in stage.server.questions if "page=" in path]) == 3


async def test_gitlab_has_its_packed_sources_before_the_links(stage):
    stage.fill(1)
    names = [file.name for file in (await stage.client().releases())["v0"]]
    assert names == (["pi"] if stage.kind == "Github" else ["zip", "tar.gz", "tar.bz2", "tar", "pi"])


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200])
async def test_the_end_is_found_wherever_it_is(stage, count):
    stage.fill(count)
    assert len(await stage.client().releases()) == count


async def test_an_unchanged_answer_is_not_sent_again_and_a_changed_page_is(stage):
    stage.fill(150)
    first = await stage.client().releases()
    asked = len(stage.server.questions)
    assert await stage.client().releases() == first
    assert stage.server.unchanged == asked
    stage.project.files("v3")["pi"] = "https://files.example/other"  # on the second page
    second = await stage.client().releases()
    assert link_of(second["v3"], "pi") == "https://files.example/other"
    assert stage.server.unchanged == 2 * asked - 1


async def test_sizes_are_bytes_and_gitlab_tells_them_to_who_has_a_token(stage):
    assert await stage.client().size() == (3 * 2**20 if stage.kind == "Github" else None)
    stage.project.token = GOOD.pat_token
    assert await stage.client(GOOD).size() == 3 * 2**20


async def test_w6_a_private_repository_is_opened_by_a_header_and_the_token_is_in_no_address(stage):
    stage.fill(1)
    stage.project.token = GOOD.pat_token
    assert "knows no such repository" in await stage.fails()
    assert "Invalid Credentials" in await stage.fails(WRONG)
    assert list(await stage.client(GOOD).releases()) == ["v0"]
    assert not [path for path in stage.server.questions if "token" in path]


async def test_what_one_may_read_is_not_remembered_for_another(stage):
    stage.fill(1)
    stage.project.token = GOOD.pat_token
    await stage.client(GOOD).releases()
    await stage.fails(WRONG)
    await stage.fails()


async def test_nothing_is_asked_before_the_reset_and_then_it_goes_on(stage):
    stage.fill(150)
    stage.server.left, stage.server.reset_at = 1, int(START.timestamp()) + 600
    message = await stage.fails(kind=PausedError)
    assert "until 2026-05-01 12:" in message
    asked = len(stage.server.questions)
    for _ in range(3):
        await stage.fails(kind=PausedError)
    stage.now = START + timedelta(seconds=599)
    await stage.fails(kind=PausedError)
    assert len(stage.server.questions) == asked, "it was asked although it wanted no questions"
    stage.now, stage.server.left = START + timedelta(seconds=600), None
    assert len(await stage.client().releases()) == 150


async def test_a_refusal_for_too_many_questions_is_obeyed(stage):
    stage.server.left, stage.server.reset_at = 0, int(START.timestamp()) + 60
    assert "no more questions until 2026-05-01 12:01:00 UTC" in await stage.fails(kind=PausedError)
    await stage.fails(kind=PausedError)
    assert len(stage.server.questions) == 1


async def test_the_pause_of_one_asker_is_not_the_pause_of_another(stage):
    stage.project.token = GOOD.pat_token
    stage.fill(1)
    stage.server.left, stage.server.reset_at = 0, int(START.timestamp()) + 60
    await stage.fails(WRONG, kind=PausedError)
    stage.server.left = None
    assert list(await stage.client(GOOD).releases()) == ["v0"]


TROUBLES = [
    (Trouble(status=500), "error of its own (500)"),
    (Trouble(status=403), "does not let its releases be read"),
    (Trouble(status=404), "knows no such repository"),
    (Trouble(status=418), "answers 418"),
    (Trouble(status=304, body=b""), "answers 304"),
    (Trouble(status=200, body=b"<html>welcome</html>"), "names the right platform"),
    (Trouble(status=200, body=b'{"message": "odd"}'), "names the right platform"),
    (Trouble(status=200, body=bytes(17 * 2**20)), "longer than"),
    (Trouble(status=302, headers={"Location": "http://localhost:1/elsewhere"}), "redirects to another place"),
    (Trouble(status=302, headers={"Location": "file:///etc/passwd"}), "redirects to another place"),
    (Trouble(status=302), "redirects to another place"),
    (Trouble(status=301, headers={"Location": "/api/again"}), "redirects again and again"),
    (Trouble(reset=True), "the connection failed"),
    (Trouble(endless=True), "more than 10000 releases"),
]


@pytest.mark.parametrize(("trouble", "said"), TROUBLES, ids=[said for _, said in TROUBLES])
async def test_w32_trouble_of_a_platform_is_one_error_that_says_what_to_do(stage, trouble, said):
    stage.fill(1)
    stage.server.trouble = trouble
    assert said in await stage.fails()
    stage.server.trouble = Trouble()
    assert list(await stage.client().releases()) == ["v0"], "it did not recover"


async def test_w32_a_platform_that_says_nothing_is_given_up(stage, monkeypatch):
    monkeypatch.setattr("pepeunit_gateway.firmware.platform_api._QUESTION_LIMIT", 0.2)
    stage.server.trouble = Trouble(release=threading.Event())
    try:
        assert "within 0.2 s" in await stage.fails()
    finally:
        stage.server.trouble.release.set()


async def test_w32_a_platform_that_is_down_is_one_error(stage):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        stage.project.url = f"http://127.0.0.1:{taken.getsockname()[1]}/owner/name.git"
        assert "no connection" in await stage.fails()


async def test_a_repository_that_was_renamed_is_found(tmp_path, web):
    with GitServer(tmp_path / "git") as server:
        stage = PlatformStage(server, "Github", web)
        stage.fill(120)
        stage.project.former, stage.project.path = (stage.project.path,), "owner/renamed"
        assert len(await stage.client().releases()) == 120
        assert await stage.client().size() == 3 * 2**20


async def test_private_networks_stay_closed_also_behind_a_name_that_changes(monkeypatch):
    """decisions.md 24, at this level: a literal address, http, and a name whose second answer leads inside."""
    answers = iter([["93.184.215.14"], ["10.0.0.7"]])

    def look_up(_host, port, **_options):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers)[0], port))]

    async def refuse(*_arguments, **_options):
        raise OSError("no connection is made in this test")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", refuse)
    web = Web(allow_private=False)
    platforms = Platforms(web, lambda: START, github=None)

    async def failure(platform, url):
        with pytest.raises(GitPlatformClientError) as caught:
            await platforms.client(platform, url, GOOD).releases()
        return caught.value.message

    assert "PU_GIT_ALLOW_PRIVATE" in await failure("Gitlab", "https://10.1.2.3/a/b.git")
    assert "PU_GIT_ALLOW_PRIVATE" in await failure("Github", "http://git.example/a/b.git")
    assert "no connection" in await failure("Gitlab", "https://changes.example/a/b.git")
    assert "private or loopback" in await failure("Gitlab", "https://changes.example/a/b.git")
    await web.close()


async def test_a_redirect_into_a_private_network_is_not_followed(stage):
    """Whatever the origin of the API, nothing behind it is reached through it."""
    reached = asyncio.Event()

    async def inside(_reader, writer):
        reached.set()
        writer.close()

    listener = await asyncio.start_server(inside, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        stage.server.trouble = Trouble(status=307, headers={"Location": f"http://127.0.0.1:{port}/latest/meta-data"})
        await stage.fails()
    assert not reached.is_set()


async def test_w6_a_server_that_echoes_the_credential_finds_it_in_no_error(stage):
    echo = json.dumps({"message": f"bad {GOOD.pat_token}"}).encode()
    for status in (200, 401, 403, 500):
        stage.server.trouble = Trouble(status=status, body=echo, headers={"Location": f"/{GOOD.pat_token}"})
        await stage.fails(GOOD)
