"""Webhooks as strangers and platforms meet them: what is taken, and what is one and the same refusal."""

import asyncio
import json
import tracemalloc
from uuid import UUID

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from pepeunit_gateway.api.bodies import Bodies
from pepeunit_gateway.storage.tables import repository_registry
from tests.support.gateway import GatewayUnderTest
from tests.support.git_server import GitServer
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_repo, sample_tree
from tests.support.webhooks import Webhook, signature

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
REFUSED = "401: 1: No Access: this is not signed with the secret of a webhook; make a new one and give it to both"
TAKEN = (202, {"is_fetch_planned": True})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    settings = {"repo_poll_interval": 3600, "login_address_max_failures": 1000}
    async with world(tmp_path_factory.mktemp("world"), **settings) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def hook(here):
    return await Webhook.make(here.alice, here.registry["uuid"])


def answer(reply):
    return reply.status, reply.body


async def stored(here):
    query = repository_registry.select().where(repository_registry.c.uuid == UUID(here.registry["uuid"]))
    async with here.gateway.registry.context.database.read() as connection:
        return (await connection.execute(query)).one()


async def actions(here):
    rows = (await here.admin.get("/audit", {"subject_uuid": here.registry["uuid"]})).body["events"]
    return [row["action"] for row in reversed(rows)]


async def test_each_platforms_notice_is_taken(hook):
    form = b"payload=%7B%22ref%22%3A+%22refs%2Fheads%2Fmain%22%7D"
    signed = {"X-Hub-Signature-256": signature(hook.secret, form)}
    assert answer(await hook.github()) == TAKEN
    assert answer(await hook.gitlab()) == TAKEN
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert answer(await hook.send(form, {**signed, **kind, "X-GitHub-Event": "push"})) == TAKEN
    assert answer(await hook.send(form, {**signed, "X-Gitea-Event": "push", **kind})) == TAKEN
    assert answer(await hook.send(form, signed)) == TAKEN
    assert answer(await hook.send(b"", {"X-Hub-Signature-256": signature(hook.secret, b"")})) == TAKEN


async def test_a_ping_is_answered_and_nothing_is_fetched(here, hook, monkeypatch):
    asked = []
    monkeypatch.setattr(here.gateway.registry.webhooks.pushes, "add", asked.append)
    assert answer(await hook.github(b'{"zen": "Keep it logically awesome."}', event="ping")) == (
        202,
        {"is_fetch_planned": False},
    )
    assert asked == []
    await hook.github()
    assert asked == [[UUID(hook.registry)]]


async def test_whatever_is_wrong_is_one_and_the_same_refusal(here, hook, tmp_path):
    url = here.git.url("other")
    sample_tree(here.git, tmp_path, "other")
    other, _ = await make_repo(here.alice, url, f"other-{here.gateway.given.http_port}")
    theirs = await Webhook.make(here.alice, other["uuid"])
    without = Webhook(hook.api, other["uuid"], hook.secret)
    body = b"{}"
    wrong = [
        await hook.send(body, {}),
        await hook.send(body, {"X-Hub-Signature-256": ""}),
        await hook.send(body, {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        await hook.send(body, {"X-Hub-Signature-256": signature(hook.secret, body + b" ")}),
        await hook.send(body, {"X-Hub-Signature": signature(hook.secret, body)}),
        await hook.send(body, {"X-Gitlab-Token": "wrong"}),
        await Webhook(hook.api, hook.registry, theirs.secret).github(),
        await without.github(),
        await Webhook(hook.api, MISSING, hook.secret).github(),
        await Webhook(hook.api, MISSING, hook.secret).gitlab(),
    ]
    await here.alice.delete(f"/repository_registry/webhook/{other['uuid']}")
    wrong.append(await theirs.github())
    assert [reply.detail for reply in wrong] == [REFUSED] * len(wrong)
    assert len({tuple(sorted(reply.headers)) for reply in wrong}) == 1


async def test_a_secret_is_told_once_kept_encrypted_and_shown_nowhere(here, hook):
    row = await stored(here)
    assert hook.secret not in str(row)
    assert here.gateway.registry.context.cipher.decrypt(row.cipher_webhook_secret) == hook.secret
    body = (await here.alice.get(f"/repository_registry/{hook.registry}")).body
    assert body["is_webhook_set"] is True
    assert hook.secret not in json.dumps(body)
    assert hook.secret not in str((await here.admin.get("/audit")).body)


async def test_a_new_secret_ends_the_one_before_and_a_removed_one_counts_no_more(here):
    path = f"/repository_registry/webhook/{here.registry['uuid']}"
    await here.alice.delete(path)
    known = len(await actions(here))
    first = await Webhook.make(here.alice, here.registry["uuid"])
    second = await Webhook.make(here.alice, here.registry["uuid"])
    assert (await first.github()).status == 401
    assert (await second.github()).status == 202
    for _ in range(2):
        assert (await here.alice.delete(path)).status == 204
    assert (await second.github()).status == 401
    assert (await actions(here))[known:] == ["WebhookCreated", "WebhookReplaced", "WebhookRemoved"]
    body = (await here.alice.get(f"/repository_registry/{here.registry['uuid']}")).body
    assert body["is_webhook_set"] is False


async def test_only_the_creator_makes_a_secret_and_an_admin_may_remove_it(here, hook):
    path = f"/repository_registry/webhook/{hook.registry}"
    assert [(await who.post(path)).status for who in (here.bob, here.admin, here.nobody)] == [403, 403, 401]
    assert [(await who.delete(path)).status for who in (here.bob, here.nobody, here.admin)] == [403, 401, 204]
    assert (await hook.github()).status == 401


async def test_a_notice_of_25_mib_is_taken_and_never_stands_in_memory(hook):
    body = bytes(25 * MIB)
    signed = {"X-Hub-Signature-256": signature(hook.secret, body)}

    async def pieces():
        for _ in range(25):
            yield body[:MIB]
            await asyncio.sleep(0)

    tracemalloc.start()
    try:
        assert answer(await hook.send(pieces(), signed)) == TAKEN
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


async def test_a_larger_one_is_refused_with_and_without_its_length(hook):
    body = bytes(MIB)

    async def pieces():
        for _ in range(27):
            yield body

    assert (await hook.send(pieces(), {"X-Gitlab-Token": hook.secret})).status == 413
    reader, writer = await asyncio.open_connection(*address(hook))
    writer.write(head(hook, 27 * MIB))
    async with asyncio.timeout(10):
        assert (await reader.readline()).split()[1] == b"413"
    writer.close()


def address(hook):
    base = hook.api._base.removeprefix("http://").split("/")[0]
    host, port = base.split(":")
    return host, int(port)


def head(hook, length):
    return (
        f"POST /pepeunit/api/v1/webhooks/{hook.registry} HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: {hook.secret}\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()


async def test_a_body_that_stops_in_its_middle_is_given_up_and_hinders_nobody(hook, monkeypatch):
    monkeypatch.setattr(Bodies, "pour", _hasty(Bodies.pour))
    reader, writer = await asyncio.open_connection(*address(hook))
    writer.write(head(hook, 100) + b"{")
    await writer.drain()
    assert (await hook.github()).status == 202
    async with asyncio.timeout(10):
        assert (await reader.readline()).split()[1] == b"408"
    writer.close()


def _hasty(pour):
    async def hasty(_, request, limit, take):
        await pour(Bodies(grace=0.5), request, limit, take)

    return hasty


async def test_a_new_secret_key_of_the_gateway_ends_no_webhook(tmp_path):
    with GitServer(tmp_path / "git") as git:
        sample_tree(git, tmp_path / "work")
        async with GatewayUnderTest(tmp_path / "data", secret_key="the first key, of 32 characters. ") as gateway:
            alice = await gateway.user("alice")
            registry, _ = await make_repo(alice, git.url("sample"), "sample-repo")
            hook = await Webhook.make(alice, registry["uuid"])
        keys = {
            "secret_key": "the second key, of 32 characters.",
            "secret_key_previous": "the first key, of 32 characters. ",
        }
        async with GatewayUnderTest(tmp_path / "data", **keys) as gateway:
            again = Webhook(gateway.nobody, hook.registry, hook.secret)
            assert answer(await again.github()) == TAKEN
            assert (await Webhook(gateway.nobody, hook.registry, "wrong").github()).status == 401


async def test_wrong_notices_are_counted_by_address_and_right_ones_pass_all_the_same(tmp_path):
    settings = {"login_address_max_failures": 3, "trusted_proxies": "127.0.0.1", "repo_poll_interval": 3600}
    async with world(tmp_path, **settings) as here:
        hook = await Webhook.make(here.alice, here.registry["uuid"])
        wrong = Webhook(hook.api, hook.registry, "wrong")

        async def told(site):
            sent = {"X-Gitlab-Token": wrong.secret, "X-Forwarded-For": site}
            return await wrong.send(b"{}", sent)

        with capture_logs() as logs:
            replies = [await told("192.0.2.1") for _ in range(5)]
        assert [reply.status for reply in replies] == [401, 401, 401, 429, 429]
        where = {"repository": hook.registry, "address": "192.0.2.1", "signed": True}
        refusals = [line for line in logs if line["event"] == "webhook.refused"]
        assert refusals == [{"event": "webhook.refused", "log_level": "warning", **where}] * 3, "bounded by the count"
        assert 0 < int(replies[-1].headers["Retry-After"]) <= 900
        right = {"X-Gitlab-Token": hook.secret, "X-Forwarded-For": "192.0.2.1"}
        assert (await hook.send(b"{}", right)).status == 202
        assert (await told("192.0.2.2")).status == 401
