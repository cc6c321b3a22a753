"""What Prometheus gets: who may read it, which names, and figures that are true."""

import asyncio
import re
from functools import partial
from operator import eq
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pepeunit_gateway.api.prometheus import CachedCount
from tests.support.gateway import GatewayUnderTest
from tests.support.polling import until
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.rest_world import MISSING

BOTH_DATABASES = True

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
TOKEN = "a-token-for-prometheus"


def _root(api):
    """The same caller, for paths that are not below the API's prefix."""
    return type(api)(api._session, api._base.removesuffix("/api/v1"), api.token)


async def _families(api, **options):
    reply = await api.call("GET", "/metrics", **options)
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(reply.body.decode())}


def _documented():
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| ([a-z, ]*)\|", PAGE.read_text(), re.MULTILINE)
    return {name.removesuffix("_total"): (kind, labels.strip()) for name, kind, labels in rows}


async def test_the_page_lists_every_name_with_its_kind_and_labels(tmp_path):
    async with GatewayUnderTest(tmp_path) as gateway:
        admin = await gateway.admin()
        await admin.get("/units")
        found = await _families(_root(admin))
    exposed = {}
    for name, family in found.items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le", "quantile"}
        exposed[name] = (family.type, labels)
    documented = {name: (kind, set(filter(None, text.split(", ")))) for name, (kind, text) in _documented().items()}
    assert exposed == documented


async def test_w18_only_admins_and_the_bearer_of_the_token_read_metrics(tmp_path):
    """W18: figures of the platform are not public."""
    async with GatewayUnderTest(tmp_path, metrics_token=TOKEN) as gateway:
        nobody, user, admin = _root(gateway.nobody), _root(await gateway.user("alice")), _root(await gateway.admin())
        assert (await nobody.get("/metrics")).status == 401
        assert (await user.get("/metrics")).status == 403
        assert (await nobody.with_token("wrong").call("GET", "/metrics")).status == 401
        assert (await admin.get("/metrics")).status == 200
        for header, status in [
            (f"Bearer {TOKEN}", 200), (f"bearer  {TOKEN}", 200), ("Bearer wrong", 401), (TOKEN, 401), ("Bearer ", 401),
            (f"Basic {TOKEN}", 401), ("Bearer é", 401),
        ]:  # fmt: skip
            reply = await nobody.call("GET", "/metrics", headers={"Authorization": header})
            assert reply.status == status, header


@pytest.mark.parametrize("bearer", [b"\xff\xfe", b"\xed\xa0\x80", TOKEN.encode() + b"\xff"])
async def test_a_bearer_that_is_no_text_is_wrong_and_no_fault_of_the_gateway(tmp_path, bearer):
    async with GatewayUnderTest(tmp_path, metrics_token=TOKEN) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.given.http_port)
        head = (
            f"GET {gateway.given.app_prefix}/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "
        )
        writer.write(head.encode() + bearer + b"\r\n\r\n")
        async with asyncio.timeout(20):
            answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_without_a_metrics_token_no_bearer_is_let_in(tmp_path):
    async with GatewayUnderTest(tmp_path) as gateway:
        for header in ("Bearer ", "Bearer", "Bearer null"):
            reply = await _root(gateway.nobody).call("GET", "/metrics", headers={"Authorization": header})
            assert reply.status == 401


async def test_metrics_that_are_off_say_so(tmp_path):
    async with GatewayUnderTest(tmp_path, ff_prometheus_enable=False, metrics_token=TOKEN) as gateway:
        reply = await _root(gateway.nobody).call("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert (reply.status, reply.detail[:8]) == (405, "405: 15:")


async def test_routes_are_templates_and_paths_that_do_not_exist_share_one_label(tmp_path):
    """W55: as many series as routes, whatever is asked."""
    async with GatewayUnderTest(tmp_path) as gateway:
        admin = await gateway.admin()
        for number in range(5):
            assert (await gateway.nobody.get(f"/nowhere/{number}")).status == 404
            assert (await admin.get(f"/units/{MISSING[:-1]}{number}?secret={number}")).status == 404
            assert (await gateway.nobody.call("PUT", f"/units/{MISSING}")).status == 405
        found = await _families(_root(admin))
    counts = {
        (sample.labels["handler"], sample.labels["method"], sample.labels["status"]): sample.value
        for sample in found["http_requests"].samples
        if sample.name == "http_requests_total"
    }
    assert counts["none", "GET", "4xx"] == 5
    assert counts["none", "PUT", "4xx"] == 5
    assert counts["/pepeunit/api/v1/units/{uuid}", "GET", "4xx"] == 5
    assert not any(MISSING[:-1] in handler or "secret" in handler for handler, _, _ in counts)


async def test_whether_redis_answers_is_said_as_it_is(tmp_path):
    """A Redis that is away fails nothing; /readyz and the figure tell of it, and of its return."""
    server, port = RedisServer(tmp_path / "redis"), free_port()

    async def said(gateway):
        nobody = _root(gateway.nobody)
        ready = await type(nobody)(nobody._session, nobody._base.removesuffix("/pepeunit"), "").call("GET", "/readyz")
        (sample,) = (await _families(_root(await gateway.admin())))["pepeunit_bus_up"].samples
        return ready.status, ready.body, sample.value

    async with GatewayUnderTest(tmp_path / "alone") as gateway:
        assert await said(gateway) == (200, {"status": "ready"}, 1)
    async with GatewayUnderTest(tmp_path / "dead", redis_url=f"redis://127.0.0.1:{port}/0") as gateway:
        assert await said(gateway) == (200, {"status": "ready", "redis": "away"}, 0)
    with server:
        async with GatewayUnderTest(tmp_path / "joined", redis_url=server.url) as gateway:
            connected = (200, {"status": "ready", "redis": "connected"}, 1)
            assert await said(gateway) == connected
            server.kill()
            await until(partial(said, gateway), partial(eq, (200, {"status": "ready", "redis": "away"}, 0)))
            server.start()
            await until(partial(said, gateway), partial(eq, connected))


async def test_w56_two_gateways_in_one_process_count_apart(tmp_path):
    """W56: nothing is shared, so that nobody wipes what another counts."""
    async with GatewayUnderTest(tmp_path / "a") as first, GatewayUnderTest(tmp_path / "b") as second:
        for _ in range(3):
            assert (await first.nobody.get("/units")).status == 200
        for gateway, expected in ((first, 3), (second, None)):
            found = await _families(_root(await gateway.admin()))
            counts = {sample.labels.get("handler"): sample.value for sample in found["http_requests"].samples}
            assert counts.get("/pepeunit/api/v1/units") == expected


@pytest.mark.parametrize("failing", [False, True])
async def test_a_count_is_read_once_in_its_life_time_and_a_failure_keeps_the_old_one(failing):
    asked = []

    async def read():
        asked.append(1)
        if failing and len(asked) > 1:
            raise OSError("the database is away")
        return 6 + len(asked)

    count = CachedCount(read)
    await count.refresh(1000.0)
    await count.refresh(1014.9)
    assert (count(), len(asked)) == (7, 1)
    await count.refresh(1015.1)
    assert (count(), len(asked)) == (7 if failing else 8, 2)
