"""Questions to servers: only where they may go, bounded in time and size, no redirects."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web as server

from pepeunit_gateway.firmware.web import Web, WebError

Handler = Callable[[server.Request], Awaitable[server.StreamResponse]]


@pytest.fixture
async def web():
    opened = Web(allow_private=True)
    yield opened
    await opened.close()


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    runners = []

    async def start(handler: Handler) -> str:
        app = server.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = server.AppRunner(app)
        await runner.setup()
        site = server.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


async def test_an_answer_comes_with_status_headers_and_body_and_the_path_as_written(web, serve):
    async def handler(request):
        assert request.headers["PRIVATE-TOKEN"] == "s"
        return server.Response(status=203, text=request.raw_path, headers={"X-Total": "7"})

    address = await serve(handler)
    answer = await web.get(f"{address}/api/a%2Fb?x=1%2B1", headers={"PRIVATE-TOKEN": "s"}, max_bytes=100, limit=5)
    assert (answer.status, answer.headers["x-total"], answer.body) == (203, "7", b"/api/a%2Fb?x=1%2B1")


async def test_a_redirect_is_not_followed(web, serve):
    async def handler(_request):
        raise server.HTTPFound("http://127.0.0.1:1/elsewhere")

    assert (await web.get(await serve(handler), max_bytes=1_000, limit=5)).status == 302


async def test_an_answer_without_end_is_cut_off(web, serve):
    async def handler(request):
        response = server.StreamResponse()
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(bytes(1_000))
        return response

    with pytest.raises(WebError, match="longer than 5000 bytes"):
        await web.get(await serve(handler), max_bytes=5_000, limit=5)


async def test_a_silent_server_is_given_up(web):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(WebError, match=r"within 0\.2 s"):
        await web.get(f"http://127.0.0.1:{silent.getsockname()[1]}/", max_bytes=10, limit=0.2)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/", "https://"),
        ("https://127.0.0.1/", "private"),
        ("https://2130706433/", "private"),
        ("https://[::1]/", "private"),
        ("https://localhost/", "private or loopback"),
        ("ftp://example.org/", "http or https"),
        ("https://user:secret@example.org/", "without user and password"),
    ],
)
async def test_where_it_must_not_go_it_does_not(url, reason):
    web = Web(allow_private=False)
    with pytest.raises(WebError, match=reason) as caught:
        await web.get(url, max_bytes=10, limit=5)
    assert "secret" not in str(caught.value)
    await web.close()


async def test_a_name_that_changes_its_answer_is_checked_at_every_connection(monkeypatch):
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    visited = []

    def look_up(host, port, **_options):
        visited.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers)[0], port))]

    async def refuse(*_arguments, **_options):
        raise OSError("no connection is made in this test")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", refuse)
    web = Web(allow_private=False)
    with pytest.raises(WebError, match="no connection"):
        await web.get("https://changes.example/", max_bytes=10, limit=5)
    with pytest.raises(WebError, match="private or loopback"):
        await web.get("https://changes.example/", max_bytes=10, limit=5)
    assert visited == ["changes.example"] * 2
    await web.close()
