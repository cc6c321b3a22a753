"""A unit's stored log lines give way to its answer to LogSync, and only to that."""

import json
from uuid import UUID

from pepeunit_gateway.registry.outbox import Command
from pepeunit_gateway.topics import BackendTopicCommand
from tests.support.field_unit import FieldUnit, eventually
from tests.support.rest_world import world
from tests.support.sample_program import make_unit

BOTH_DATABASES = True


async def test_w26_an_answer_that_comes_before_the_old_lines_are_deleted_is_not_deleted_with_them(tmp_path):
    """One slow command of a round holds up all, up to five seconds; a unit answers within milliseconds."""
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        made = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
        unit = await FieldUnit.connect(stage.gateway, stage.alice, made["uuid"])

        async def say(text):
            line = json.dumps({"level": "Info", "text": text}).encode()
            await unit.publish(unit.topic("output_base_topic", "log/pepeunit"), line)

        async def lines():
            reply = await unit.api.get("/units/log_list/", {"uuid": made["uuid"], "order_by_create_date": "asc"})
            return [line["text"] for line in reply.body["unit_logs"]]

        outbox = stage.gateway.registry.outbox
        await say("old")
        await eventually(lines, ["old"])
        begun = outbox.now()
        await say("the answer")
        await eventually(lines, ["old", "the answer"])
        command = Command(0, UUID(made["uuid"]), BackendTopicCommand.LOG_SYNC, "topic", b"{}", 0)
        await outbox.sent([command], begun=begun)
        assert await lines() == ["the answer"]
