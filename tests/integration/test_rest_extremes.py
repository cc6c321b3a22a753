"""Requests of extreme size or content: an answer of 4xx or 2xx, never a fault, and what may pass passes."""

import json
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True

pytestmark = pytest.mark.asyncio(loop_scope="module")

HUGE = "1" + "0" * 400


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def unit(here):
    return await make_unit(here.alice, here.repo["uuid"], "extreme-unit")


LISTS = ("/users", "/repository_registry", "/repos", "/units", "/unit_nodes")


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_takes_as_many_uuids_as_a_page_has_rows(here, path):
    own = (await here.alice.get(path)).body
    (plural,) = own.keys() - {"count"}
    wanted = own[plural][0]["uuid"]
    params = [("uuids", str(uuid4())) for _ in range(499)] + [("uuids", wanted)]
    reply = await here.alice.get(path, params)
    assert (reply.status, reply.body["count"]) == (200, 1), reply.body


@pytest.mark.parametrize("path", [*LISTS, "/unit_nodes/edges", "/permission"])
@pytest.mark.parametrize("offset", ["1000000", str(2**31 - 1)])
async def test_a_page_beyond_the_end_is_empty_and_counts(here, path, offset):
    counted = (await here.alice.get(path)).body["count"]
    reply = await here.alice.get(path, {"offset": offset})
    (rows,) = [value for name, value in reply.body.items() if name != "count"]
    assert (reply.status, reply.body["count"], rows) == (200, counted, [])


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "params",
    [
        {"offset": HUGE},
        {"limit": "-" + HUGE},
        {"limit": "9" * 5000},
        {"limit": "1e400"},
        {"offset": "٣" * 3000},
        {"uuids": "x" * 7000},
        {"search_string": "x" * 101},
        {"search_string": "a " * 11},
        {"search_string": "\x00"},
        {"order_by_create_date": "sideways"},
    ],
    ids=lambda params: next(iter(params)),
)
async def test_parameters_out_of_range_are_422(here, path, params):
    assert (await here.alice.get(path, params)).status == 422


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("query", ["search_string=%ED%A0%80", "search_string=%FF%FE", "search_string=%F0%9F%98%80"])
async def test_bytes_that_are_no_text_are_searched_for_in_vain_or_refused(here, path, query):
    async with here.alice._session.get(
        f"{here.alice._base}{path}?{query}", headers={"x-auth-token": here.alice.token}
    ) as answer:
        assert answer.status in (200, 400, 422), await answer.text()


BODIES = [
    '{"name": "\\u0000abc"}',
    '{"name": "\\ud800abcd"}',
    '{"name": ' + HUGE + "}",
    '{"max_connections": ' + HUGE + "}",
    '{"max_connections": 1e400}',
    '{"max_connections": 2147483648}',
    '{"name": ' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"a": ' * 20_000 + "1" + "}" * 20_000,
    '{"visibility_level": "Everybody"}',
    '{"repo_branch": "a\\u0000b"}',
    '{"default_branch": "\\udfff"}',
    '{"name": "' + "x" * 200_000 + '"}',
    "NaN",
    "\ufeff{}",
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:24])
async def test_bodies_that_do_not_fit_are_4xx_and_change_nothing(here, unit, body):
    node = (await nodes_of(here.alice, unit["uuid"]))["raw_in"]
    paths = [f"/units/{unit['uuid']}", f"/repos/{here.repo['uuid']}", f"/unit_nodes/{node['uuid']}"]
    before = [(await here.alice.get(path)).body for path in paths]
    statuses = {(await here.alice.call("PATCH", path, data=body.encode())).status for path in paths}
    assert statuses <= {200, 413, 422}, statuses
    after = [(await here.alice.get(path)).body for path in paths]
    for old, new in zip(before, after, strict=True):
        assert {**new, "last_update_datetime": None} == {**old, "last_update_datetime": None}


async def test_texts_that_are_kept_come_back_as_they_were(here, unit):
    texts = ["", "\x00", "ж" * 1000, "\U0001f600", json.dumps({"a": "\x00"}), " \t\r\n ", "'; DROP TABLE units; --"]
    for text in texts:
        stored = await here.alice.post(f"/units/set_state_storage/{unit['uuid']}", {"state": text})
        assert stored.status == 204, stored.body
        assert (await here.alice.get(f"/units/get_state_storage/{unit['uuid']}")).body == text
