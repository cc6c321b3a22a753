"""The REST client against servers that answer, refuse, cut, fall silent or are none."""

import asyncio
import json
import socket
import ssl

import pytest

from pepeunit_tools.client import Client
from pepeunit_tools.errors import RefusedError, UnexpectedAnswerError, UnreachableError
from tests.support.certificates import Authority
from tests.support.device_server import Answer, DeviceServer

TOKEN = "secret.token.value"


@pytest.fixture
async def server():
    async with DeviceServer("no-unit") as running:
        yield running


def client(server, token=TOKEN, **options):
    return Client(f"http://127.0.0.1:{server.port}{server.prefix}", token, **options)


async def call(server, *arguments, **options):
    return await asyncio.to_thread(client(server).call, *arguments, **options)


async def test_a_request_carries_token_query_and_body(server):
    server.json("/units", {"uuid": "made"}, status=201)
    answer = await call(server, "POST", "/units", query={"search_string": "a b&c"}, body={"name": "kitchen"})
    assert answer == {"uuid": "made"}
    (seen,) = server.calls
    assert (seen.method, seen.query) == ("POST", {"search_string": "a b&c"})
    assert json.loads(seen.body) == {"name": "kitchen"}
    assert seen.headers["x-auth-token"] == TOKEN


async def test_without_a_token_none_is_sent(server):
    server.json("/users/auth", {"token": "new"})
    await asyncio.to_thread(client(server, None).call, "POST", "/users/auth", body={})
    assert "x-auth-token" not in server.calls[0].headers


async def test_an_answer_without_body_is_none(server):
    server.answers["/units/x"] = [Answer(status=204)]
    assert await call(server, "DELETE", "/units/x") is None


@pytest.mark.parametrize(
    ("status", "detail", "message"),
    [
        (409, "409: 7: Unit Validation Error: the name is taken", "the name is taken"),
        (422, "12: 7: no codes: of ours", "12: 7: no codes: of ours"),
        (422, "limit must be >= 0", "limit must be >= 0"),
        (500, "two\nlines\x1b", r"two\nlines\x1b"),
        (
            422,
            [
                {"type": "enum", "loc": ["query", "command"], "msg": "Input should be 'Update'"},
                {"type": "missing", "loc": ["body", 0], "msg": "Field required"},
            ],
            "command: Input should be 'Update'; 0: Field required",
        ),
        (
            401,
            "401: 1: No Access: Token expired",
            "Token expired; log in again: pepeunit login URL --login NAME",
        ),
        (422, [{"type": "value_error", "loc": ["body"], "msg": "Value error, give one of both"}], "give one of both"),
    ],
)
async def test_a_refusal_is_told_in_the_gateways_words_on_one_line(server, status, detail, message):
    server.json("/units", {"detail": detail}, status=status)
    with pytest.raises(RefusedError) as caught:
        await call(server, "GET", "/units")
    assert (caught.value.message, caught.value.status) == (message, status)


async def test_a_refusal_keeps_status_and_code_for_scripts(server):
    server.json("/units", {"detail": "409: 7: Unit Validation Error: taken: by you"}, status=409)
    with pytest.raises(RefusedError) as caught:
        await call(server, "GET", "/units")
    assert caught.value.message == "taken: by you"
    assert caught.value.detail == "409: 7: Unit Validation Error: taken: by you"


async def test_a_sequence_in_a_query_repeats_its_key(server):
    server.json("/units", {"count": 0, "units": []})
    await call(server, "GET", "/units", query={"uuids": ["a", "b"], "limit": 1})
    assert server.calls[0].query == {"uuids": "a", "limit": "1"}  # of a repeated key the server keeps the first


async def test_a_failed_login_gives_no_hint_to_log_in(server):
    server.json("/users/auth", {"detail": "401: 1: No Access: wrong"}, status=401)
    with pytest.raises(RefusedError) as caught:
        await asyncio.to_thread(client(server, None).call, "POST", "/users/auth", body={})
    assert caught.value.message == "wrong"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"<html>", 200),
        Answer(b"<html>", 502),
        Answer(b"{}", 404),
        Answer(b'{"detail": {}}', 404),
        Answer(b"", 302, {"Location": "http://127.0.0.1:1/"}),
    ],
)
async def test_what_is_no_gateway_is_named_and_no_redirect_is_followed(server, answer):
    server.answers["/units"] = [answer]
    with pytest.raises(UnexpectedAnswerError, match=rf"{server.port}/pepeunit/api/v1 answered .*; is a Pepeunit"):
        await call(server, "GET", "/units")
    assert len(server.calls) == 1


@pytest.mark.parametrize("value", [[], {}, {"count": 1}, {"count": 1, "units": [1]}, {"count": "1", "units": []}])
async def test_a_list_must_be_a_list(server, value):
    server.json("/units", value)
    with pytest.raises(UnexpectedAnswerError, match="without a list of units"):
        await asyncio.to_thread(client(server).rows, "/units", "units")


async def test_all_pages_of_a_list_are_fetched(server):
    pages = [[{"n": 1}, {"n": 2}], [{"n": 3}]]
    for page in pages:
        server.json("/units", {"count": 3, "units": page})
    rows = await asyncio.to_thread(client(server).rows, "/units", "units", {"search_string": "x"})
    assert rows == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [seen.query for seen in server.calls] == [
        {"search_string": "x", "offset": "0"},
        {"search_string": "x", "offset": "2"},
    ]


async def test_a_list_that_shrinks_meanwhile_ends(server):
    for page in ([{"n": 1}], []):
        server.json("/units", {"count": 2, "units": page})
    assert await asyncio.to_thread(client(server).rows, "/units", "units") == [{"n": 1}]


async def test_a_cut_answer_is_no_answer(server):
    server.answers["/units"] = [Answer(b'{"a": 1}' + b" " * 5000, cut_after=1400)]
    with pytest.raises(UnreachableError, match=r"the answer was cut|Connection reset"):
        await call(server, "GET", "/units")


async def test_a_silent_server_is_given_up(server):
    server.answers["/units"] = [Answer(b" " * 5000, stall_after=700)]
    with pytest.raises(UnreachableError, match=r"^http://127\.0\.0\.1:\d+ did not answer within 0\.3 s$"):
        await asyncio.to_thread(client(server, time_limit=0.3).call, "GET", "/units")


async def test_a_server_that_trickles_does_not_stretch_the_limit():
    async def trickle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():  # each header line alone comes well within the limit
            writer.write(b"X-More: 1\r\n")
            await writer.drain()
            try:
                async with asyncio.timeout(0.05):
                    await reader.read()
            except TimeoutError:
                continue
            break
        writer.close()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        slow = Client(f"http://127.0.0.1:{port}/api", time_limit=0.5)
        async with asyncio.timeout(20):
            with pytest.raises(UnreachableError, match="did not answer within"):
                await asyncio.to_thread(slow.call, "GET", "/units")


def test_a_refused_connection_names_the_address():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets this port, nobody answers
        origin = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(UnreachableError) as caught:
            Client(f"{origin}/pepeunit/api/v1", TOKEN).call("GET", "/units")
    assert caught.value.message == f"cannot reach {origin}: Connection refused"


@pytest.mark.parametrize("greeting", [b"220 mail ready\r\n", b""])
async def test_a_server_that_speaks_no_http_is_told(greeting):
    async def greet(_, writer):
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(UnreachableError, match=f"cannot reach http://127.0.0.1:{port}: "):
            await asyncio.to_thread(Client(f"http://127.0.0.1:{port}/api").call, "GET", "/units")


async def test_https_that_meets_plain_http_is_told_what_to_try(server):
    with pytest.raises(UnreachableError, match=rf"; if it speaks plain HTTP, try http://127\.0\.0\.1:{server.port}$"):
        await asyncio.to_thread(Client(f"https://127.0.0.1:{server.port}/api").call, "GET", "/units")


@pytest.mark.parametrize("answer", [b"", b"\x15\x03\x01\x00\x02\x02\x46"])  # the end, or an alert of TLS
async def test_http_that_meets_tls_is_told_what_to_try(answer):
    async def refuse(reader, writer):
        await reader.read(100)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(UnreachableError, match=rf"; if it speaks HTTPS, try https://127\.0\.0\.1:{port}$"):
            await asyncio.to_thread(Client(f"http://127.0.0.1:{port}/api").call, "GET", "/units")


async def test_a_certificate_of_an_unknown_authority_is_told_with_the_variable_to_set(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    Authority().files(cert, key, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def never(_, writer):
        writer.close()

    async with await asyncio.start_server(never, "127.0.0.1", 0, ssl=context) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(UnreachableError, match=r"CERTIFICATE_VERIFY_FAILED.*; if it is .* set SSL_CERT_FILE to"):
            await asyncio.to_thread(Client(f"https://127.0.0.1:{port}/api").call, "GET", "/units")


def test_a_host_that_cannot_be_one_is_told():
    with pytest.raises(UnreachableError, match="cannot reach"):
        Client(f"http://{'x' * 70}.invalid/api").call("GET", "/units")


async def test_a_name_that_is_no_unicode_is_sent_replaced(server):
    server.json("/units", {"count": 0, "units": []})
    assert await asyncio.to_thread(client(server).rows, "/units", "units", {"search_string": "\udcff"}) == []
