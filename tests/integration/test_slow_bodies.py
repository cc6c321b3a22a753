"""Bodies that arrive slowly, at a running gateway: what ends meanwhile counts, and nobody else waits."""

import asyncio
import json
import re

import pytest

from tests.support.gateway import PASSWORD, Api, GatewayUnderTest

BOTH_DATABASES = True

TOKEN = "a-token-for-prometheus"


@pytest.fixture
async def gateway(tmp_path):
    async with GatewayUnderTest(tmp_path, trusted_proxies="127.0.0.1", metrics_token=TOKEN) as running:
        yield running


async def begin(gateway, method, path, body, *, token="", site="192.0.2.1", kind="application/json"):
    """Send a head and one byte of the body."""
    head = (
        f"{method} {gateway.given.api_prefix}{path} HTTP/1.1\r\nHost: x\r\nx-auth-token: {token}\r\n"
        f"X-Forwarded-For: {site}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.given.http_port)
    writer.write(head.encode() + body[:1])
    await writer.drain()
    return reader, writer


async def arriving(gateway, number):
    """Wait until so many bodies arrive."""
    root = Api(gateway.nobody._session, gateway.origin + gateway.given.app_prefix)
    async with asyncio.timeout(20):
        while True:
            text = (await root.call("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).body.decode()
            if float(re.search(r"^pepeunit_http_bodies_arriving (.+)$", text, re.MULTILINE)[1]) == number:
                return


async def finish(connection, body):
    reader, writer = connection
    writer.write(body[1:])
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])


@pytest.mark.parametrize("ended_by", ["a new password", "a block"])
async def test_a_token_that_ends_while_the_body_arrives_does_nothing_more(gateway, ended_by):
    alice = await gateway.user("alice")
    form = b'--xyz\r\nContent-Disposition: form-data; name="data"\r\n\r\na: 1\r\n--xyz--\r\n'
    kind = "multipart/form-data; boundary=xyz"
    calls = [
        ("PATCH", f"/users/{alice.uuid}", json.dumps({"password": "thief-owns-it-1"}).encode(), "application/json"),
        ("POST", "/tokens", json.dumps({"name": "backdoor", "scope": "Write"}).encode(), "application/json"),
        ("POST", "/unit_nodes/check_data_pipe_config", form, kind),
    ]
    waiting = [(await begin(gateway, *call[:3], token=alice.token, kind=call[3]), call[2]) for call in calls]
    await arriving(gateway, len(calls))
    if ended_by == "a block":
        assert (await (await gateway.admin()).patch(f"/users/block/{alice.uuid}")).status == 204
    else:
        assert (await alice.patch(f"/users/{alice.uuid}", {"password": "the-owner-has-it-1"})).status == 200
    assert [await finish(*one) for one in waiting] == [401] * len(calls)


async def test_slow_strangers_keep_nobody_from_an_answer(gateway):
    alice = await gateway.user("alice")
    body = json.dumps({"credentials": "alice", "password": PASSWORD}).encode()
    strangers = [await begin(gateway, "POST", "/users/auth", body, site="203.0.113.7") for _ in range(130)]
    reads = {asyncio.create_task(reader.readuntil(b"\r\n\r\n")) for reader, _ in strangers}
    refused, waiting = set(), reads
    async with asyncio.timeout(20):
        while len(refused) < 30:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
    heads = [task.result().decode() for task in refused]
    assert {(head.split()[1], "Retry-After: 5" in head) for head in heads} == {("429", True)}
    assert (await alice.get("/units")).status == 200
    assert await finish(await begin(gateway, "POST", "/users/auth", body, site="203.0.113.8"), body) == 200
    for task in waiting:
        task.cancel()
    for _, writer in strangers:
        writer.close()
        await writer.wait_closed()
