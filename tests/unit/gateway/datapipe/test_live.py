"""The pipes in memory against a real SQLite file."""

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from pepeunit_gateway.datapipe import live
from pepeunit_gateway.datapipe.documents import load_config
from pepeunit_gateway.datapipe.live import LivePipes
from pepeunit_gateway.datapipe.stages import NodeState
from pepeunit_gateway.registry.default_pipe import DEFAULT_PIPE_JSON
from pepeunit_gateway.storage.tables import units_nodes
from tests.support.databases import held, open_database
from tests.support.telemetry import add_node, add_unit, change_node, config, row_of

BOTH_DATABASES = True

DOMAIN = "example.org:8080"
NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
LATER = config(policy={"policy_type": "NRecords", "n_records_count": 3}).model_dump_json()


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path, busy_timeout=0.05) as opened:
        yield opened


@pytest.fixture
async def unit(database):
    return await add_unit(database)


@pytest.fixture
def pipes(database):
    return LivePipes(database, DOMAIN)


def topic(node):
    return f"{DOMAIN}/{node}/pepeunit"


async def status(database, node):
    row = await row_of(database, units_nodes, node)
    return row["data_pipe_status"], row["data_pipe_error"]


async def test_active_nodes_are_read_by_their_topic(database, unit, pipes):
    node = await add_node(database, unit)
    await pipes.reload()
    found = pipes.get(topic(node))
    assert (found.node_uuid, found.unit_uuid, found.state) == (node, unit, None)


@pytest.mark.parametrize(
    "columns",
    [{"active": False}, {"config": None}, {"topic_name": "value"}, {"config": "{"}, {"config": LATER}],
    ids=["inactive", "not-filled", "topic", "broken", "later-policy"],
)
async def test_other_nodes_are_not_read(database, unit, pipes, columns):
    node = await add_node(database, unit, **columns)
    await pipes.reload()
    assert (pipes.get(topic(node)), len(pipes)) == (None, 0)


async def test_owners_see_whether_their_pipe_works_b21(database, unit, pipes):
    good = await add_node(database, unit)
    broken = await add_node(database, unit, "{")
    later = await add_node(database, unit, LATER)
    off = await add_node(database, unit, active=False, data_pipe_status="Active")
    await pipes.reload()
    assert await status(database, good) == ("Active", None)
    assert await status(database, off) == ("Inactive", None)
    state, reason = await status(database, broken)
    assert (state, "send it again with set_data_pipe_config" in reason) == ("Error", True)
    state, reason = await status(database, later)
    assert (state, "comes with a later version" in reason) == ("Error", True)

    await change_node(database, broken, data_pipe_yml=DEFAULT_PIPE_JSON)
    await change_node(database, good, is_data_pipe_active=False)
    await pipes.refresh([broken, good])
    assert await status(database, broken) == ("Active", None)
    assert await status(database, good) == ("Inactive", None)


async def test_a_status_is_written_only_where_it_differs(database, unit, pipes):
    await add_node(database, unit)
    with capture_logs() as logs:
        await pipes.reload()
        await pipes.reload()
    assert [entry["event"] for entry in logs] == ["datapipe.pipe.status"]


async def test_a_status_that_cannot_be_written_stops_nothing(database, unit, pipes):
    node = await add_node(database, unit)
    async with held(database):
        await pipes.reload()
    assert pipes.get(topic(node)) is not None
    assert await status(database, node) == ("Inactive", None)
    await pipes.reload()
    assert await status(database, node) == ("Active", None)


async def test_a_text_is_parsed_once_however_many_nodes_and_reloads_w61(database, unit, pipes, monkeypatch):
    parsed = []
    monkeypatch.setattr(live, "load_config", lambda text: parsed.append(text) or load_config(text))
    nodes = [await add_node(database, unit) for _ in range(5)]
    for _ in range(3):
        await pipes.reload()
        await pipes.refresh(nodes)
    assert parsed == [DEFAULT_PIPE_JSON]
    assert len({id(pipes.get(topic(node)).pipe) for node in nodes}) == 1


async def test_memory_survives_a_change_and_goes_with_the_node_w61(database, unit, pipes):
    """W55."""
    node = await add_node(database, unit)
    await pipes.reload()
    state = pipes.get(topic(node)).state = NodeState(NOW, "5")
    await change_node(database, node, data_pipe_yml=config().model_dump_json())
    await pipes.refresh([node])
    assert pipes.get(topic(node)).state == state
    await pipes.reload()
    assert pipes.get(topic(node)).state == state

    await change_node(database, node, is_data_pipe_active=False)
    await pipes.refresh([node])
    assert pipes.get(topic(node)) is None
    await change_node(database, node, is_data_pipe_active=True)
    await pipes.refresh([node])
    assert pipes.get(topic(node)).state is None


async def test_a_reload_finds_what_no_one_announced_w35(database, unit, pipes):
    await pipes.reload()
    node = await add_node(database, unit)
    await pipes.reload()
    assert pipes.get(topic(node)) is not None
    async with database.write() as connection:
        await connection.execute(units_nodes.delete())
    await pipes.reload()
    assert len(pipes) == 0


async def test_a_refresh_forgets_a_node_that_is_gone(database, unit, pipes):
    node, other = await add_node(database, unit), await add_node(database, unit)
    await pipes.reload()
    async with database.write() as connection:
        await connection.execute(units_nodes.delete().where(units_nodes.c.uuid == node))
    await pipes.refresh([node])
    assert (pipes.get(topic(node)), len(pipes)) == (None, 1)
    assert pipes.get(topic(other)) is not None
