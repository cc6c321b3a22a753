"""What is no HTTP: one line in the log, one request more in the figures, and an answer with our headers."""

import asyncio
import re

import pytest
import structlog
from aiohttp import web

from pepeunit_gateway.api.keys import OBSERVER
from pepeunit_gateway.api.listener import bind_api, serve
from tests.unit.gateway.api.sample import sample_app

PORT: web.AppKey[int] = web.AppKey("port", int)
THINGS = b"POST /pepeunit/api/v1/things HTTP/1.1\r\nHost: x\r\nx-auth-token: me\r\n"
UNREADABLE = {
    "no method": b"nonsense\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no version": b"GET / HTTP/9.9\r\n\r\n",
    "no URL": b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a path that is no text": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length that is no number": THINGS + b"Content-Length: many\r\n\r\n",
    "two lengths": THINGS + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": THINGS + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown transfer": THINGS + b"Transfer-Encoding: other\r\n\r\n0\r\n\r\n",
    "a line that is too long": b"GET / HTTP/1.1\r\nHost: x\r\nx-auth-token: " + b"a" * 70_000 + b"\r\n\r\n",
}


@pytest.fixture
async def app():
    made = sample_app()
    sockets = bind_api("127.0.0.1", 0)
    made[PORT] = sockets[0].getsockname()[1]
    runner = await serve(made, sockets, None)
    yield made
    await runner.cleanup()


async def exchange(app, *sent):
    """Send pieces, each but the first one after the answer to the one before, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", app[PORT])
    answer = b""
    async with asyncio.timeout(20):
        for piece in sent[:-1]:
            writer.write(piece)
            answer += await reader.readuntil(b"}")
        writer.write(sent[-1])
        answer += await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def figures(app):
    return {
        (sample.labels["handler"], sample.labels["method"], sample.labels["status"]): sample.value
        for family in app[OBSERVER].metrics.collect()
        for sample in family.samples
        if sample.name == "http_requests_total"
    }


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_is_no_http_is_one_line_one_figure_and_an_answer_with_our_headers(app, sent):
    with structlog.testing.capture_logs() as events:
        answer = await exchange(app, sent)
    head = answer.partition(b"\r\n\r\n")[0].decode()
    assert head.split()[1] == "400"
    assert "\r\nServer: pepeunit\r\n" in head
    assert "\r\nX-Content-Type-Options: nosniff\r\n" in head
    identity = re.search("\r\nX-Request-ID: ([0-9a-f]{32})", head)[1]
    assert [event["event"] for event in events] == ["api.request.malformed"]
    (told,) = events
    assert re.fullmatch("[A-Za-z]+", told.pop("error"))
    assert told == {
        "event": "api.request.malformed", "log_level": "info", "status": 400, "client": "127.0.0.1",
        "request_id": identity,
    }  # fmt: skip
    assert figures(app) == {("none", "other", "4xx"): 1}


async def test_a_good_request_before_a_malformed_one_is_told_as_ever(app):
    with structlog.testing.capture_logs() as events:
        answer = await exchange(app, b"GET /pepeunit/api/v1/things HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense\r\n\r\n")
    assert re.findall(rb"HTTP/1\.[01] (\d+)", answer) == [b"200", b"400"]
    assert [event["event"] for event in events] == ["api.request", "api.request.malformed"]
    assert figures(app) == {("/pepeunit/api/v1/things", "GET", "2xx"): 1, ("none", "other", "4xx"): 1}


async def test_a_body_whose_encoding_is_broken_is_no_failure_of_the_gateway(app):
    sent = THINGS + b"Content-Encoding: gzip\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    with structlog.testing.capture_logs() as events:
        answer = await exchange(app, sent)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert [(event["event"], event["log_level"]) for event in events] == [
        ("api.request", "info"),
        ("api.connection", "debug"),
    ]


async def test_an_expectation_that_is_unknown_is_417_and_told_with_its_route(app):
    sent = b"GET /pepeunit/api/v1/things HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nConnection: close\r\n\r\n"
    with structlog.testing.capture_logs() as events:
        answer = await exchange(app, sent)
    assert answer.startswith(b"HTTP/1.1 417 ")
    assert b"\r\nServer: pepeunit\r\n" in answer
    assert [(event["event"], event["route"]) for event in events] == [("api.request", "/pepeunit/api/v1/things")]
