"""What concerns the whole platform over REST: figures, broker hooks, parts that are off, bulk updates, READMEs."""

import asyncio
from uuid import UUID

import jwt
import pytest
import pytest_asyncio
from aiohttp import FormData

from pepeunit_gateway.registry.totals import count_entities
from pepeunit_gateway.registry.updates import Updates
from pepeunit_gateway.storage.tables import repos, repository_registry, units
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600, allow_external_datapipe=True) as made:
        yield made


def _backend_token(here, **changed):
    settings = here.gateway.settings
    claims = {"domain": settings.domain, "type": "Backend", **changed}
    return jwt.encode(claims, settings.secret_key.get_secret_value(), algorithm="HS256")


async def test_everybody_reads_the_figures_and_they_are_counted_once_in_ten_minutes(here):
    await here.gateway.registry.context.bus.forget("totals")
    first = await here.nobody.get("/metrics/")
    assert first.status == 200
    assert set(first.body) == {
        "user_count", "repository_registry_count", "repo_count", "unit_count", "unit_node_count",
        "unit_node_edge_count",
    }  # fmt: skip
    unit = await make_unit(here.alice, here.repo["uuid"], "counted")
    assert (await here.alice.get("/metrics")).body == first.body
    await here.gateway.registry.context.bus.forget("totals")
    fresh = (await here.nobody.get("/metrics/")).body
    assert fresh == {
        **first.body,
        "unit_count": first.body["unit_count"] + 1,
        "unit_node_count": first.body["unit_node_count"] + 4,
    }
    assert (await here.nobody.with_token("junk").get("/metrics/")).status == 401
    assert (await here.alice.delete(f"/units/{unit['uuid']}")).status == 204


async def test_figures_that_another_version_kept_are_counted_anew(here):
    context = here.gateway.registry.context
    await context.bus.keep("totals", b'{"other": 1}', 60)
    assert (await count_entities(context)).user_count >= 3


async def test_an_old_brokers_hook_is_told_deny_for_everybody_but_a_data_pipes_subscription(here):
    """W3: it does not say what is to be done with the topic."""
    domain = here.gateway.settings.domain
    unit = await make_unit(here.alice, here.repo["uuid"], "hooked")
    own = await here.gateway.unit(here.alice, unit["uuid"])
    node = (await nodes_of(here.alice, unit["uuid"]))["temperature/pepeunit"]["uuid"]
    pipe = _backend_token(here)
    cases = [
        (pipe, f"{domain}/+/pepeunit", "allow"),
        (pipe, f"{domain}/+/+/+/pepeunit", "deny"),
        (pipe, f"{domain}/{node}/pepeunit", "deny"),
        (pipe, "#", "deny"),
        (_backend_token(here, domain="elsewhere.example.org"), f"{domain}/+/pepeunit", "deny"),
        (own.token, f"{domain}/{node}/pepeunit", "deny"),
        (own.token, f"{domain}/output_base_topic/{unit['uuid']}/state/pepeunit", "deny"),
        (own.token, f"{domain}/+/pepeunit", "deny"),
        (here.alice.token, f"{domain}/+/pepeunit", "deny"),
        ("", "", "deny"),
        ("junk", f"{domain}/+/pepeunit", "deny"),
    ]
    for token, topic, result in cases:
        reply = await here.nobody.post("/units/auth", {"token": token, "topic": topic})
        assert (reply.status, reply.body) == (200, {"result": result}), topic


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/bot",
        "/grafana/get_dashboards",
        "/grafana/oidc/token",
        f"/unit_nodes/get_data_pipe_data_csv/{MISSING}",
        "/unit_nodes/set_data_pipe_data_csv",
    ],
)
async def test_parts_that_are_not_there_answer_405_with_their_code(here, method, path):
    for caller in (here.nobody, here.alice):
        reply = await caller.call(method, path)
        assert (reply.status, reply.detail[:9]) == (405, "405: 15: "), reply.body


async def test_graphql_answers_405_outside_the_api(here):
    base = here.gateway.origin + here.gateway.settings.app_prefix
    async with here.nobody._session.post(f"{base}/graphql", json={"query": "{ x }"}) as answer:
        assert (answer.status, (await answer.json())["detail"][:9]) == (405, "405: 15: ")


async def test_nobody_asks_for_missing_clones_which_the_gateway_fetches_by_itself(here):
    path = "/repository_registry/backend_sync_registry"
    admin = await here.gateway.admin()
    callers = (here.nobody, here.alice, admin, here.nobody.with_token(_backend_token(here)))
    assert [(await caller.patch(path)).status for caller in callers] == [401, 403, 403, 403]


async def test_an_admin_updates_the_units_of_every_repo(here, monkeypatch):
    """The answer waits for no unit; asked again meanwhile the gateway looks once more, however often it was asked."""
    unit, admin = await make_unit(here.alice, here.repo["uuid"], "bulky"), await here.gateway.admin()
    registry = here.gateway.registry
    async with registry.context.database.write() as connection:
        elsewhere = units.update().where(units.c.uuid == UUID(unit["uuid"])).values(current_commit_version="0" * 40)
        await connection.execute(elsewhere)
    real, looks, began, gate, done = Updates.update_all, [], asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def update_all(updates, *, again=False):
        if not again:  # the look after each fetch
            return await real(updates)
        looks.append(again)
        began.set()
        await gate.wait()
        commanded = await real(updates, again=again)
        if len(looks) == 2:
            done.set()
        return commanded

    monkeypatch.setattr(Updates, "update_all", update_all)
    assert [(await caller.post("/repos/bulk_update")).status for caller in (here.nobody, here.alice)] == [401, 403]
    assert (await admin.post("/repos/bulk_update")).status == 204
    async with asyncio.timeout(10):
        await began.wait()
        assert [(await admin.post("/repos/bulk_update")).status for _ in range(3)] == [204] * 3
        assert (await here.alice.get(f"/units/{unit['uuid']}")).body["firmware_update_status"] is None
        gate.set()
        await done.wait()
    assert (await here.alice.get(f"/units/{unit['uuid']}")).body["firmware_update_status"] == "RequestSent"
    assert looks == [True, True]


async def _release(here, releases, *, is_compilable=True):
    async with here.gateway.registry.context.database.write() as connection:
        await connection.execute(repository_registry.update().values(releases_data=releases))
        await connection.execute(repos.update().values(is_compilable_repo=is_compilable))


async def test_platforms_are_the_files_of_the_release_of_the_target(here):
    """W33: a tag without a release has none."""
    path = f"/repos/available_platforms/{here.repo['uuid']}"
    assert (await here.bob.get(path)).body == [], "it is not compilable"
    here.tree.git("tag", "v1")
    here.tree.push()
    assert (
        await here.alice.patch(f"/repository_registry/update_local_repository/{here.registry['uuid']}")
    ).status == 204
    await _release(
        here, '{"v1": [["esp32.bin", "https://example.org/esp32.bin"]], "v0": [["pi", "https://example.org/pi"]]}'
    )
    try:
        one, none = [{"name": "esp32.bin", "link": "https://example.org/esp32.bin"}], []
        other = [{"name": "pi", "link": "https://example.org/pi"}]
        head = here.tree.head()
        for params, expected in (
            ({}, one),
            ({"target_commit": head}, one),
            ({"target_commit": "0" * 40}, none),
            ({"target_tag": "v0", "target_commit": head}, other),
            ({"target_tag": "v9"}, none),
        ):
            reply = await here.bob.get(path, params)
            assert (reply.status, reply.body) == (200, expected), params
        await _release(here, "junk")
        assert (await here.bob.get(path)).body == []
    finally:
        await _release(here, None, is_compilable=False)
    assert (await here.nobody.get(path)).status == 401
    assert (await here.bob.get(f"/repos/available_platforms/{MISSING}")).status == 404


async def _convert(caller, content):
    form = FormData()
    form.add_field("file", content, filename="pepeunit.toml")
    return await caller.call("POST", "/units/convert_toml_to_md", data=form)


async def test_a_programs_description_becomes_a_readme(here):
    reply = await _convert(here.alice, b'[general]\nname = "Lamp"\nversion = "1|2"\n')
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/markdown; charset=utf-8")
    assert reply.body == b"# Lamp\n\n| Parameter | Implementation |\n| -- | -- |\n| Version | 1\\|2 |\n"
    bad = await _convert(here.alice, b"[general")
    assert (bad.status, bad.detail[:9]) == (422, "422: 16: ")
    assert (await _convert(here.alice, b"#" * 10_001)).status == 422
    assert (await _convert(here.alice, b"#" * 50_000)).status == 413
    assert (await _convert(here.nobody, b"")).status == 401
