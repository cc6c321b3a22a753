"""A change that was committed and never published takes effect all the same, at the next look at everything (W5).

So it is when a gateway is killed between the two, and when the command line writes beside a running gateway.
"""

from uuid import UUID, uuid4

import pytest

from pepeunit_gateway import app
from pepeunit_gateway.storage.tables import units, units_nodes_edges
from tests.support.field_unit import FieldUnit, eventually
from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True


@pytest.fixture
async def stage(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "_LOOK_INTERVAL", 0.2)
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        yield stage


async def pair(stage):
    made = [await make_unit(stage.alice, stage.repo["uuid"], name) for name in ("unit-1", "unit-2")]
    return [await FieldUnit.connect(stage.gateway, stage.alice, unit["uuid"]) for unit in made]


async def unsaid(stage, statement):
    """Commit and tell nobody."""
    async with stage.gateway.registry.context.database.act() as connection:
        assert (await connection.execute(statement)).rowcount == 1


async def test_w5_a_deletion_that_nobody_was_told_of_ends_the_session(stage):
    first, second = await pair(stage)
    await unsaid(stage, units.delete().where(units.c.uuid == UUID(second.api.uuid)))
    await second.client.expect_end()
    await first.publish(first.topic("output_topic", "temperature/pepeunit"), b"1")


async def test_w5_a_reissued_token_that_nobody_was_told_of_ends_the_session_of_the_old_one(stage):
    first, second = await pair(stage)
    await unsaid(stage, units.update().where(units.c.uuid == UUID(second.api.uuid)).values(token_generation=1))
    await second.client.expect_end()
    again = await FieldUnit.connect(stage.gateway, stage.alice, second.api.uuid)
    for unit in (first, again):
        await unit.publish(unit.topic("output_topic", "temperature/pepeunit"), b"1")


async def test_w5_rights_that_nobody_was_told_of_come_and_go(stage):
    first, second = await pair(stage)
    topic = first.topic("output_topic", "temperature/pepeunit")
    ends = [
        (await nodes_of(stage.alice, unit.api.uuid))[name]["uuid"]
        for unit, name in ((first, "temperature/pepeunit"), (second, "set_fan/pepeunit"))
    ]
    edge = units_nodes_edges.insert().values(
        uuid=uuid4(), node_output_uuid=UUID(ends[0]), node_input_uuid=UUID(ends[1]), creator_uuid=None
    )
    await unsaid(stage, edge)

    async def heard():
        return await second.subscribe(topic)

    await eventually(heard, [True])
    await unsaid(stage, units_nodes_edges.delete())
    await second.client.expect_end()
