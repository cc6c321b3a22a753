"""Pieces of SQL in the filters of the lists: where words are known they are refused, and free text stays a value."""

import json

import pytest
import pytest_asyncio

from pepeunit_gateway.api.server import TABLES
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_unit
from tests.support.statement_counts import counting
from tests.support.statements import snapshot

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAGMENTS = (
    "Info' OR '1'='1",
    "Info') OR 1=1 --",
    "asc; DROP TABLE users",
    "' UNION SELECT hashed_password FROM users --",
)


def _filters():
    """Every filter of a route: its method, its path, its name and whether it knows its words."""
    for endpoint in (endpoint for table in TABLES for endpoint in table.endpoints if endpoint.query):
        schema = endpoint.query[1].model_json_schema()
        words = {name for name, found in schema.get("$defs", {}).items() if "enum" in found}
        for name, part in schema["properties"].items():
            text = json.dumps(part)
            if any(f'"#/$defs/{word}"' in text for word in words):
                yield endpoint.route.method, endpoint.route.path, name, True
            elif '"type": "string"' in text and '"format"' not in text:
                yield endpoint.route.method, endpoint.route.path, name, False


WORDS = [(method, path, name) for method, path, name, known in _filters() if known]
TEXTS = [(path, name) for method, path, name, known in _filters() if not known and name == "search_string"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        await make_unit(made.alice, made.repo["uuid"], "unit-1")
        yield made


@pytest.mark.parametrize(("method", "path", "name"), WORDS, ids=[f"{path}-{name}" for _, path, name in WORDS])
async def test_a_filter_that_knows_its_words_refuses_sql_w9(here, method, path, name):
    with counting() as counted:
        for fragment in FRAGMENTS:
            reply = await here.admin.call(method, path.format(uuid=MISSING), params=[(name, fragment)])
            assert reply.status == 422, reply.body
            assert ["query", name] in [problem["loc"][:2] for problem in reply.detail]
            assert not [statement for statement in counted.of(reply) if fragment in statement]


@pytest.mark.parametrize(("path", "name"), TEXTS)
async def test_free_text_of_a_filter_is_a_value_and_no_part_of_a_statement_w9(here, path, name):
    before = await snapshot(here.gateway.registry.context.database)
    required = {"/unit_nodes/get_data_pipe_data/": {"uuid": await _node(here), "type": "TimeWindow"}}.get(path, {})
    with counting() as counted:
        for fragment in FRAGMENTS:
            reply = await here.alice.get(path, {**required, name: fragment})
            assert (reply.status, reply.body["count"]) == (200, 0), reply.body
            ran = counted.of(reply)
            assert ran
            assert not [statement for statement in ran if fragment in statement]
    assert await snapshot(here.gateway.registry.context.database) == before


async def _node(here):
    listed = await here.alice.get("/unit_nodes", {"type": "Output"})
    return listed.body["unit_nodes"][0]["uuid"]


async def test_these_filters_know_their_words_w9():
    """By hand, so that one that becomes free text is seen."""
    order = ("order_by_create_date", "order_by_last_update")
    expected = {
        "/users": ("role", "status", order[0]),
        "/repository_registry": order,
        "/repos": ("visibility_level", *order),
        "/units": ("visibility_level", "unit_node_type", *order, "order_by_unit_name"),
        "/units/send_command_to_input_base_topic/{uuid}": ("command",),
        "/units/log_list/": ("level", order[0]),
        "/unit_nodes": ("type", "visibility_level", order[0]),
        "/unit_nodes/get_data_pipe_data/": ("type", order[0]),
        "/permission/get_resource_agents": ("resource_type", "agent_type"),
        "/permission": ("agent_type", "resource_type"),
        "/audit": ("action",),
        "/jobs/runs": ("job", "outcome"),
    }
    assert {(path, name) for _, path, name in WORDS} == {(path, n) for path, names in expected.items() for n in names}
    assert {path for path, _ in TEXTS} >= {"/users", "/units", "/unit_nodes/get_data_pipe_data/"}
