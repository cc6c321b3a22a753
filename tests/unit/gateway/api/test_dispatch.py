"""Declared routes over real HTTP."""

import asyncio
import hashlib
import json

import pytest
import structlog
from aiohttp import ClientPayloadError, FormData

from pepeunit_gateway.api import sending
from pepeunit_gateway.api.dispatch import add_routes
from pepeunit_gateway.api.models import QueryModel
from pepeunit_gateway.api.routing import RouteTable, Token
from tests.support.served import served
from tests.unit.gateway.api.sample import KNOWN, SlowStreams, sample_app, streams

BASE = "/pepeunit/api/v1/things"
AUTH = {"x-auth-token": "me"}
GOOD = {"name": "lamp", "password": "12345678"}


@pytest.fixture
async def client():
    async with served(sample_app()) as session:
        yield session


async def test_an_entity_is_answered_as_json_with_utc_times_ending_in_z(client):
    async with client.get(f"{BASE}/{KNOWN}", headers=AUTH) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        assert await answer.json() == {
            "uuid": str(KNOWN),
            "name": "me",
            "create_datetime": "2024-05-06T07:08:09.120000Z",
        }


async def test_a_repeated_key_makes_a_list_and_of_any_other_key_the_last_value_counts(client):
    params = [("uuids", str(KNOWN)), ("uuids", str(KNOWN)), ("offset", "1"), ("offset", "2"), ("search_string", "a b")]
    async with client.get(BASE, params=params) as answer:
        body = await answer.json()
    assert body == {"count": 2, "seen": ["Bot", str(KNOWN), str(KNOWN), "a b", "-", "2", "0"]}


async def test_unknown_query_keys_are_ignored(client):
    async with client.get(BASE, params={"is_bot_auth": "false"}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("text", "seen"),
    [("2024-01-02T03:04:05", "2024-01-02T03:04:05+00:00"), ("2024-01-02T03:04:05+02:00", "2024-01-02T01:04:05+00:00")],
)
async def test_a_query_time_without_an_offset_is_utc(client, text, seen):
    async with client.get(BASE, params={"since": text}) as answer:
        assert (await answer.json())["seen"][2] == seen


async def test_a_time_that_utc_cannot_tell_is_a_fault_of_the_client_told_in_plain_words(client):
    async with client.get(BASE, params={"since": "0001-01-01T00:00:00+05:00"}) as answer:
        problem = {"type": "value_error", "loc": ["query", "since"], "msg": "the time is outside the years 1 to 9999"}
        assert (answer.status, await answer.json()) == (422, {"detail": [problem]})


@pytest.mark.parametrize(("limit", "seen"), [("0", "0"), ("", None), ("7", "7"), ("500", "500")])
async def test_a_limit_in_range_reaches_the_handler(client, limit, seen):
    async with client.get(BASE, params={"limit": limit}) as answer:
        body = await answer.json()
    if seen is None:
        assert answer.status == 422
    else:
        assert body["seen"][-1] == seen


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({"limit": "-1"}, "limit must be >= 0"),
        ({"limit": "501"}, "limit must be <= 500"),
        ({"offset": "-1"}, "offset must be >= 0"),
        ({"offset": "9" * 30}, "offset must be <= 2147483647"),
    ],
)
async def test_a_page_out_of_range_is_one_plain_sentence(client, params, detail):
    async with client.get(BASE, params=params) as answer:
        assert answer.status == 422
        assert await answer.json() == {"detail": detail}


async def test_a_wrong_uuid_in_the_path_names_the_place(client):
    async with client.get(f"{BASE}/nonsense") as answer:
        body = await answer.json()
    assert answer.status == 422
    assert body["detail"][0]["loc"] == ["path", "uuid"]
    assert set(body["detail"][0]) == {"type", "loc", "msg"}


async def test_both_spellings_of_a_path_answer(client):
    for path in ("/log_list/", "/log_list"):
        async with client.get(BASE + path) as answer:
            assert (answer.status, await answer.json()) == (200, ["line"])


async def test_a_body_is_validated_and_tells_what_was_sent(client):
    async with client.post(BASE, json={**GOOD, "parent": None}, headers=AUTH) as answer:
        body = await answer.json()
    assert answer.status == 201
    assert body["name"] == "me lamp ['name', 'parent', 'password'] False"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**GOOD, "password": "hunter2"},
        {**GOOD, "active": "true"},
        {**GOOD, "parent": "hunter2"},
        ["hunter2"],
        "hunter2",
        None,
    ],
)
async def test_a_bad_body_is_refused_without_repeating_it(client, body):
    async with client.post(BASE, data=json.dumps(body), headers=AUTH) as answer:
        text = await answer.text()
    assert answer.status == 422
    assert "hunter2" not in text
    assert all(problem["loc"][0] == "body" for problem in json.loads(text)["detail"])


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"name": "\xff"}', b'{"name": "\\ud800", "password": "12345678"}', b"[" * 9000]
)
async def test_broken_json_is_code_nine(client, data):
    async with client.post(BASE, data=data, headers=AUTH) as answer:
        body = await answer.json()
    assert answer.status == 422
    assert body["detail"].startswith("422: 9: JSON Decode Error: the body is not JSON")


async def test_a_body_above_the_limit_is_refused_announced_or_not(client):
    async def endless():
        for _ in range(20):
            yield b"x" * 65536

    for data in (b"x" * 300_000, endless()):
        async with client.post(BASE, data=data, headers=AUTH) as answer:
            body = await answer.json()
        assert answer.status == 413
        assert body["detail"] == "413: 2: Payload Too Large: the body may have at most 262144 bytes"


@pytest.mark.parametrize("headers", [{}, {"x-auth-token": ""}, {"x-auth-token": "  "}], ids=["none", "empty", "blank"])
async def test_no_token_where_one_is_needed_is_401_before_anything_else_is_read(client, headers):
    async with client.post(BASE, data=b"{", headers=headers) as answer:
        body = await answer.json()
    assert answer.status == 401
    assert body["detail"].startswith("401: 1: No Access: ")
    assert "WWW-Authenticate" in answer.headers


async def test_an_empty_token_where_none_is_needed_is_none(client):
    async with client.get(f"{BASE}/{KNOWN}", headers={"x-auth-token": ""}) as answer:
        assert (answer.status, (await answer.json())["name"]) == (200, "Bot")


async def test_a_wrong_token_is_401_also_where_none_is_needed(client):
    async with client.get(f"{BASE}/{KNOWN}", headers={"x-auth-token": "wrong"}) as answer:
        assert answer.status == 401
        assert await answer.json() == {"detail": "401: 1: No Access: Token is invalid"}


async def test_none_is_answered_with_204_and_no_body(client):
    async with client.delete(f"{BASE}/{KNOWN}") as answer:
        assert (answer.status, await answer.read()) == (204, b"")


async def test_a_multipart_field_reaches_the_handler(client):
    form = FormData()
    form.add_field("other", b"no", filename="o")
    form.add_field("data", b"a: 1\n", filename="pipe.yml")
    async with client.post(f"{BASE}/upload", data=form) as answer:
        assert (answer.status, await answer.json()) == (200, hashlib.sha256(b"a: 1\n").hexdigest())


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"{}", {"Content-Type": "application/json"}),
        (b"", {"Content-Type": "multipart/form-data"}),
        (b"nonsense", {"Content-Type": "multipart/form-data; boundary=xyz"}),
        (b"--xyz\r\nbroken", {"Content-Type": "multipart/form-data; boundary=xyz"}),
        (
            b'--xyz\r\nContent-Disposition: form-data; name="else"\r\n\r\n1\r\n--xyz--\r\n',
            {"Content-Type": "multipart/form-data; boundary=xyz"},
        ),
    ],
)
async def test_a_form_without_the_field_is_told_what_to_send(client, data, headers):
    async with client.post(f"{BASE}/upload", data=data, headers=headers) as answer:
        body = await answer.json()
    assert answer.status == 422
    assert body["detail"] == "422: 2: Validation Error: send multipart/form-data with the field data"


async def test_a_field_above_the_limit_is_refused(client):
    for size in (1001, 50_000):
        form = FormData()
        form.add_field("data", b"x" * size, filename="f")
        async with client.post(f"{BASE}/upload", data=form) as answer:
            assert answer.status == 413


def flood(part_size):
    """A request without an end whose parts are that small or large, in chunks of the transfer."""
    part = b'--xyz\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"x" * part_size + b"\r\n"
    chunk = part * max(1, 60_000 // len(part))
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


HEAD = (
    f"POST {BASE}/upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    "Content-Type: multipart/form-data; boundary=xyz\r\n\r\n"
)


async def answer_on(reader):
    """Read one answer with Content-Length and return its status and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
    return int(head.split()[1]), await reader.readexactly(length)


@pytest.mark.parametrize("part_size", [0, 50_000], ids=["tiny parts", "large parts"])
async def test_a_form_without_an_end_is_refused_soon_and_hinders_nobody(client, part_size):
    longest, done = [0.0], asyncio.Event()

    async def measure():
        loop = asyncio.get_running_loop()
        while not done.is_set():
            before = loop.time()
            async with client.get("/healthz") as answer:
                assert answer.status == 200
            longest[0] = max(longest[0], loop.time() - before)

    reader, writer = await asyncio.open_connection("127.0.0.1", client._base_url.port)
    measuring = asyncio.create_task(measure())
    async with asyncio.timeout(20):
        writer.write(HEAD.encode())
        for _ in range(100):
            writer.write(flood(part_size))
            await writer.drain()
        status, body = await answer_on(reader)
        assert status == 413
        assert json.loads(body)["detail"].startswith("413: 2: Payload Too Large: the body may have at most 9")
        writer.write(b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer_on(reader))[0] == 200, "the connection is still of use"
    done.set()
    await measuring
    writer.close()
    assert longest[0] < 1


async def test_a_form_of_more_than_sixteen_parts_is_refused(client):
    for others, status in ((15, 200), (16, 413)):
        form = FormData()
        for number in range(others):
            form.add_field(f"f{number}", b"1", filename="f")
        form.add_field("data", b"1", filename="f")
        async with client.post(f"{BASE}/upload", data=form) as answer:
            assert answer.status == status
            detail = await answer.text()
    assert "413: 2: Payload Too Large: the form may have at most 16 parts; send the field data alone" in detail


async def test_text_is_sent_with_its_charset(client):
    async with client.get(f"{BASE}/text/") as answer:
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await answer.text() == "köln"


async def test_a_stream_carries_length_digest_and_request_id_and_is_closed(client):
    async with client.get(f"{BASE}/stream/whole") as answer:
        assert await answer.read() == b"abcdef"
        assert answer.headers["Content-Length"] == "6"
        assert answer.headers["Content-Type"] == "application/x-tar"
        assert answer.headers["Repr-Digest"] == "sha-256=:abc:"
        assert len(answer.headers["X-Request-ID"]) == 32
    assert not streams[-1].open


async def test_head_gets_the_headers_of_a_stream_and_nothing_else(client):
    async with client.head(f"{BASE}/stream/whole") as answer:
        assert (answer.status, answer.headers["Content-Length"], await answer.read()) == (200, "6", b"")
    async with client.head(f"{BASE}/{KNOWN}") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    assert not streams[-1].open


async def test_a_stream_that_breaks_is_cut_so_that_the_client_notices(client):
    async with client.get(f"{BASE}/stream/broken") as answer:
        with pytest.raises((ClientPayloadError, ConnectionError)):
            await answer.read()
    assert not streams[-1].open


async def test_a_stream_is_made_no_further_when_its_client_has_gone():
    slow = SlowStreams()
    with structlog.testing.capture_logs() as events:
        async with served(sample_app(slow=slow)) as client, asyncio.timeout(10):
            asking = asyncio.create_task(client.get(f"{BASE}/slow/stream"))
            await slow.begun.wait()
            asking.cancel()
            await slow.given_up.wait()
    assert events == []


async def test_a_stream_that_takes_long_is_waited_for(monkeypatch):
    monkeypatch.setattr(sending, "_LOOK_INTERVAL", 0.01)
    slow = SlowStreams()
    async with served(sample_app(slow=slow)) as client:
        asking = asyncio.create_task(client.get(f"{BASE}/slow/stream"))
        await slow.begun.wait()
        assert not (await asyncio.wait({asking}, timeout=0.1))[0]
        slow.go_on.set()
        async with await asking as answer:
            assert (answer.status, await answer.read()) == (200, b"abcdef")


async def test_many_requests_at_once_keep_their_own_ids(client):
    async def once():
        async with client.get(BASE) as answer:
            return answer.headers["X-Request-ID"]

    ids = await asyncio.gather(*(once() for _ in range(50)))
    assert len(set(ids)) == 50


async def test_a_handler_that_needs_something_unknown_is_found_at_start():
    table = RouteTable("/x", tag="X")

    @table.get("", token=Token.NONE)
    async def lost(thing: QueryModel, missing: bytes) -> None:
        assert thing
        assert missing

    app = sample_app()
    with pytest.raises(TypeError, match="GET /x: no provider for missing"):
        add_routes(app, [table], prefix="", providers={})


async def test_two_handlers_of_one_name_are_found_at_start():
    table = RouteTable("/x", tag="X")

    async def twin() -> None:
        return None

    table.get("/a", token=Token.NONE)(twin)
    table.get("/b", token=Token.NONE)(twin)
    with pytest.raises(TypeError, match="a second handler is named twin"):
        add_routes(sample_app(), [table], prefix="", providers={})


@pytest.mark.parametrize(("path", "kind"), [("", "application/json"), ("/upload", "multipart/form-data; boundary=xyz")])
async def test_a_client_that_goes_in_the_middle_of_its_body_is_no_failure_of_the_gateway(client, path, kind):
    lines = (
        f"POST {BASE}{path} HTTP/1.1",
        "Host: x",
        "x-auth-token: me",
        f"Content-Type: {kind}",
        "Content-Length: 99",
    )
    head = "\r\n".join([*lines, "Content-Length: 99", "", ""])
    with structlog.testing.capture_logs() as events:
        reader, writer = await asyncio.open_connection("127.0.0.1", client._base_url.port)
        writer.write(head.encode() + b"--xyz\r\n")
        await writer.drain()
        writer.write_eof()
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
    assert events == []
    assert answer == b"" or b" 400 " in answer.splitlines()[0] or b" 422 " in answer.splitlines()[0]
