"""Bodies that arrive slowly: how many, for how long, and who is hindered by them."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
import structlog
from aiohttp import web

from pepeunit_gateway.api.bodies import BODIES, Bodies
from pepeunit_gateway.api.failures import RequestError
from pepeunit_gateway.api.gate import GATE, Gate
from pepeunit_gateway.api.server import assemble
from pepeunit_gateway.errors import UnauthorizedError
from pepeunit_gateway.settings import Settings
from tests.support.served import served
from tests.unit.gateway.api.sample import Caller, SlowStreams, always_ready, sample_app, things

PATH = "/pepeunit/api/v1/things"
BODY = b'{"name": "lamp", "password": "12345678"}'
AUTH = {"x-auth-token": "me"}


@asynccontextmanager
async def answering(bodies, app=None):
    app = app or sample_app(Settings(domain="localhost", trusted_proxies="127.0.0.1"))
    app[BODIES] = bodies
    async with served(app) as session:
        yield session, app


class Slow:
    """A request whose body stops in its middle."""

    def __init__(self, session, site="192.0.2.1", token="me"):
        self._port = session._base_url.port
        self._head = (
            f"POST {PATH} HTTP/1.1\r\nHost: x\r\nx-auth-token: {token}\r\nX-Forwarded-For: {site}\r\n"
            f"Content-Length: {len(BODY)}\r\nConnection: close\r\n\r\n"
        )

    async def begin(self):
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(self._head.encode() + BODY[:1])
        await self._writer.drain()
        return self

    async def answer(self):
        async with asyncio.timeout(10):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line[15:]) for line in head.split("\r\n") if line.startswith("Content-Length:"))
            body = json.loads(await self._reader.readexactly(length))
        self._writer.close()
        return int(head.split()[1]), body.get("detail", ""), head

    async def finish(self):
        self._writer.write(BODY[1:])
        return await self.answer()


async def until(happened):
    async with asyncio.timeout(10):
        while True:
            if happened():
                return
            await asyncio.sleep(0)


async def test_who_sends_slowly_takes_no_place_of_those_who_are_answered():
    bodies = Bodies()
    async with answering(bodies) as (session, app):
        app[GATE]._most = 2
        slow = [await Slow(session).begin() for _ in range(5)]
        await until(lambda: bodies.arriving == 5)
        assert app[GATE].inside == 0
        async with session.get(PATH) as reply:
            assert reply.status == 200
        assert [(await one.finish())[0] for one in slow] == [201] * 5
        assert (bodies.arriving, app[GATE].inside) == (0, 0)


async def test_a_body_that_finds_the_gateway_full_when_it_is_there_is_told_to_come_again():
    streams, bodies = SlowStreams(), Bodies()
    app = sample_app(Settings(domain="localhost"), slow=streams)
    async with answering(bodies, app) as (session, _):
        app[GATE]._most = 1
        slow = await Slow(session).begin()
        await until(lambda: bodies.arriving == 1)
        asking = asyncio.create_task(session.get(PATH + "/slow/stream"))
        await streams.begun.wait()
        status, detail, head = await slow.finish()
        assert (status, "Retry-After: 5" in head) == (503, True)
        assert "too many requests at a time" in detail
        streams.go_on.set()
        async with await asking as reply:
            assert reply.status == 200
        assert app[GATE].inside == 0


async def test_one_address_may_have_some_bodies_arriving_and_others_are_not_hindered():
    bodies = Bodies(most_of_one=2)
    async with answering(bodies) as (session, _):
        first = [await Slow(session, "2001:db8::1").begin(), await Slow(session, "2001:db8::2").begin()]
        await until(lambda: bodies.arriving == 2)
        status, detail, head = await (await Slow(session, "2001:db8::3").begin()).answer()
        assert (status, "Retry-After: 5" in head) == (429, True)
        assert detail.startswith("429: 17: Too Many Requests: too many bodies arrive from this address")
        other = await Slow(session, "2001:db8:0:1::1").begin()
        await until(lambda: bodies.arriving == 3)
        assert [(await one.finish())[0] for one in (*first, other)] == [201] * 3
        again = await Slow(session, "2001:db8::3").begin()
        await until(lambda: bodies.arriving == 1)
        assert (await again.finish())[0] == 201
    assert not bodies._sites, "addresses that are done with are forgotten"


async def test_all_together_may_have_some_bodies_arriving():
    bodies = Bodies(most=2)
    async with answering(bodies) as (session, _):
        first = [await Slow(session, f"192.0.2.{number}").begin() for number in range(2)]
        await until(lambda: bodies.arriving == 2)
        status, detail, head = await (await Slow(session, "192.0.2.9").begin()).answer()
        assert (status, "Retry-After: 5" in head) == (503, True)
        assert "too many bodies arrive at a time" in detail
        assert [(await one.finish())[0] for one in first] == [201] * 2


async def test_a_body_that_never_comes_is_408_and_gives_its_place_back():
    bodies = Bodies(grace=0.05)
    async with answering(bodies) as (session, _):
        status, detail, _ = await (await Slow(session).begin()).answer()
        assert (status, detail[:9]) == (408, "408: 2: R")
        assert bodies.arriving == 0


class _Trickle:
    """Content of a request that comes in pieces, with a clock that the pieces move on."""

    content_length = None

    def __init__(self, app, pieces, monkeypatch):
        self.app, self.content, self.remote, self.headers = app, self, "192.0.2.1", _NoHeaders()
        self._pieces, self._now, self._noted = pieces, 0.0, {}
        loop = asyncio.get_running_loop()
        self._real = loop.time
        self._shift = 0.0
        monkeypatch.setattr(loop, "time", lambda: self._real() + self._shift)

    def get(self, key):
        return self._noted.get(key)

    def __setitem__(self, key, value):
        self._noted[key] = value

    def is_eof(self):
        return False

    async def iter_chunked(self, _most):
        for seconds, size in self._pieces:
            self._shift += seconds
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            yield b"x" * size


class _NoHeaders:
    def getall(self, _name, default):
        return default


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([(1.0, 4200)] * 62, None),  # 256 KB on a line of 34 kbit/s
        ([(4.9, 100), (1.0, 100)], 408),
        ([(1.0, 20_000), (8.0, 100)], None),
        ([(0.9, 1)] * 10, 408),
    ],
    ids=["slow but steady", "a stop", "a stop after a quick start", "drop by drop"],
)
async def test_a_body_may_take_a_few_seconds_and_one_more_for_every_4_kib(monkeypatch, pieces, status):
    request = _Trickle(sample_app(), pieces, monkeypatch)
    if status is None:
        assert len(await Bodies().receive(request, 300_000)) == sum(size for _, size in pieces)
    else:
        with pytest.raises(RequestError) as caught:
            await Bodies().receive(request, 300_000)
        assert caught.value.status == status


async def test_who_asks_is_looked_up_when_the_body_is_there():
    """A token that ends while the body arrives counts no more."""
    valid, asked = [True], []

    async def caller(_request):
        asked.append(1)
        if not valid[0]:
            raise UnauthorizedError("Token was revoked")
        return Caller("me")

    async def slow(_request):
        return SlowStreams()

    providers = {Caller: caller, SlowStreams: slow}
    app = assemble(Settings(domain="localhost"), [things], providers, always_ready)
    bodies = Bodies()
    async with answering(bodies, app) as (session, _):
        one = await Slow(session).begin()
        await until(lambda: bodies.arriving == 1)
        assert asked == []
        valid[0] = False
        assert (await one.finish())[:2] == (401, "401: 1: No Access: Token was revoked")


async def test_a_token_that_never_was_one_is_refused_before_its_body():
    def admit(request):
        if request.headers["x-auth-token"] == "forged":
            raise UnauthorizedError("Token is invalid")

    async def provide(_request):
        return Caller("me")

    app = assemble(Settings(domain="localhost"), [things], {Caller: provide, SlowStreams: provide}, always_ready, admit)
    async with answering(Bodies(), app) as (session, _):
        status, detail, _ = await (await Slow(session, token="forged").begin()).answer()
        assert (status, detail) == (401, "401: 1: No Access: Token is invalid")
        assert (await (await Slow(session, token="").begin()).answer())[0] == 401
        bodies = app[BODIES]
        good = await Slow(session).begin()
        await until(lambda: bodies.arriving == 1)
        assert (await good.finish())[0] == 201


async def test_a_body_that_is_there_at_once_needs_no_place():
    async with answering(Bodies(most_of_one=0, most=0)) as (session, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", session._base_url.port)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nx-auth-token: me\r\nContent-Length: {len(BODY)}\r\n\r\n"
        with structlog.testing.capture_logs() as events:
            writer.write(head.encode() + BODY)
            async with asyncio.timeout(10):
                assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 201")
        writer.close()
        assert events == []


async def test_a_gate_counts_again_who_comes_back():
    gate = Gate(most=1)

    async def work(_request):
        with gate.left():
            assert gate.inside == 0
        assert gate.inside == 1
        return web.Response()

    class Request:
        path = "/x"

    assert (await gate.middleware()(Request(), work)).status == 200
    assert gate.inside == 0
