"""Commands as rows: what waits, what was sent, what is taken back, and which index finds it."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import event, func, select, text

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import MqttError
from pepeunit_gateway.jobs.outbox_sender import OutboxSender
from pepeunit_gateway.registry import updates
from pepeunit_gateway.registry.outbox import WAITS, Outbox, forget_sent, queue_commands, sent_long_ago
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.registry.updates import Updates
from pepeunit_gateway.storage.own_tables import outbox as table
from pepeunit_gateway.storage.tables import units
from pepeunit_gateway.topics import BackendTopicCommand
from tests.support.field_unit import FieldUnit, eventually
from tests.support.rest_world import world
from tests.support.sample_program import make_unit

BOTH_DATABASES = True

UPDATE = BackendTopicCommand.UPDATE


@pytest.fixture
async def stage(tmp_path):
    """A gateway whose own sender sends nothing: the units of these tests do not listen."""
    async with world(tmp_path, repo_poll_interval=3600, state_send_interval=60) as stage:
        yield stage


async def queue(stage, unit, commit, **due):
    context = stage.gateway.registry.context
    async with context.act() as act:
        await queue_commands(act, context.settings.domain, [unit], UPDATE, commit=commit * 40, **due)


async def new_unit(stage, name="unit-1"):
    return UUID((await make_unit(stage.alice, stage.repo["uuid"], name))["uuid"])


async def rows(stage):
    """The commit and whether it was sent of each row, oldest first."""
    async with stage.gateway.registry.context.database.read() as connection:
        found = await connection.execute(select(table).order_by(table.c.id))
        return [(json.loads(row.payload)["PU_COMMIT_VERSION"][0], row.sent_datetime is not None) for row in found]


async def push(stage, content):
    """Push and fetch, and let nobody else look: this gateway is told, as by another one."""
    stage.tree.write("main.py", content)
    commit = stage.tree.commit(content)
    stage.tree.push()
    await sync_repository(stage.gateway.registry.context, UUID(stage.registry["uuid"]), told=True)
    return commit


def later(stage, **delta):
    context = stage.gateway.registry.context
    return replace(context, clock=lambda: context.clock() + timedelta(**delta))


async def status(stage, unit):
    return (await stage.alice.get(f"/units/{unit}")).body["firmware_update_status"]


async def test_what_was_sent_is_kept_for_a_day_and_what_waits_for_longer(stage):
    unit, other = await new_unit(stage), await new_unit(stage, "unit-2")
    outbox = stage.gateway.registry.outbox
    await queue(stage, unit, "a")
    await outbox.sent(await outbox.due(), begun=outbox.now())
    await queue(stage, unit, "b")
    await queue(stage, other, "c")
    assert await rows(stage) == [("a", True), ("b", False), ("c", False)]
    assert [command.unit_uuid for command in await outbox.due()] == [unit, other]
    assert await forget_sent(later(stage, hours=23)) == 0
    assert await forget_sent(later(stage, hours=25)) == 1
    assert await rows(stage) == [("b", False), ("c", False)]


async def test_a_newer_command_replaces_what_waits_and_an_acknowledgement_of_the_older_does_not_mark_it(stage):
    unit = await new_unit(stage)
    outbox = stage.gateway.registry.outbox
    await queue(stage, unit, "a")
    under_way = await outbox.due()
    await queue(stage, unit, "b")
    await outbox.sent(under_way, begun=outbox.now())
    await outbox.failed(under_way, 0.5)
    assert await rows(stage) == [("b", False)]
    (command,) = await outbox.due()
    assert command.id > under_way[0].id
    assert command.attempts == 0


async def test_a_command_that_waits_for_its_turn_keeps_it_when_it_is_asked_for_again(stage):
    unit = await new_unit(stage)
    outbox = stage.gateway.registry.outbox
    first, second = (outbox.now() + timedelta(seconds=seconds) for seconds in (10, 20))
    await queue(stage, unit, "a", due={unit: first})
    await queue(stage, unit, "a", due={unit: second})
    assert await outbox.next_due() == first
    context = stage.gateway.registry.context
    assert await Outbox(replace(context, clock=lambda: first - timedelta(microseconds=1))).due() == []
    assert [one.unit_uuid for one in await Outbox(replace(context, clock=lambda: first)).due()] == [unit]
    await queue(stage, unit, "b", due={unit: second})
    assert await outbox.next_due() == second
    await queue(stage, unit, "b")
    assert [command.unit_uuid for command in await outbox.due()] == [unit]


async def test_commands_that_are_not_due_are_not_dropped_and_others_after_the_longest_absence_of_a_unit(stage):
    unit, other = await new_unit(stage), await new_unit(stage, "unit-2")
    outbox = stage.gateway.registry.outbox
    await queue(stage, unit, "a", due={unit: outbox.now() + timedelta(seconds=300)})
    await queue(stage, other, "b")
    assert await Outbox(later(stage, seconds=149)).drop_unclaimed() == 0
    assert await Outbox(later(stage, seconds=160)).drop_unclaimed() == 1
    assert await rows(stage) == [("a", False)]


async def test_units_of_one_update_are_spread_over_its_transactions_and_explicit_commands_are_not(stage, monkeypatch):
    """Of 40 units in transactions of 15; the spread is two seconds, and it is over all of them."""
    made = [await new_unit(stage, f"unit-{number}") for number in range(40)]
    registry = stage.gateway.registry
    await push(stage, "new")
    monkeypatch.setattr(updates, "_MOST_UNITS", 15)
    await Updates(registry.context, random=Random(1)).update_all()
    async with registry.context.database.read() as connection:
        turns = (
            await connection.execute(select(table.c.next_attempt_datetime, func.count()).group_by(text("1")))
        ).all()
    assert sorted(count for _, count in turns) == [10, 10, 10, 10]
    chosen = made[7]
    path = f"/units/send_command_to_input_base_topic/{chosen}?command=Update"
    assert (await stage.alice.post(path)).status == 204
    assert chosen in {command.unit_uuid for command in await registry.outbox.due()}


async def test_w50_a_unit_that_reports_its_target_before_its_turn_hears_nothing(stage):
    made = await new_unit(stage)
    unit = await FieldUnit.connect(stage.gateway, stage.alice, str(made))
    new = await push(stage, "new")
    await stage.gateway.registry.updates.update_all()
    assert await rows(stage) == [(new[0], False)]
    await unit.report(new)
    await eventually(lambda: status(stage, made), "Success")
    assert await rows(stage) == []


async def test_w50_a_unit_whose_repo_moved_back_before_its_turn_hears_nothing(stage):
    made = await new_unit(stage)
    unit = await FieldUnit.connect(stage.gateway, stage.alice, str(made))
    old = unit.env["PU_COMMIT_VERSION"]
    await report(stage, unit, old)
    new = await push(stage, "new")
    await stage.gateway.registry.updates.update_all()
    assert await rows(stage) == [(new[0], False)]
    await go_back(stage, old)
    assert (await rows(stage), await status(stage, made)) == ([], "Success")


async def test_a_unit_whose_repo_moved_back_after_it_was_told_is_called_back(stage):
    made = await new_unit(stage)
    unit = await FieldUnit.connect(stage.gateway, stage.alice, str(made))
    old = unit.env["PU_COMMIT_VERSION"]
    await report(stage, unit, old)
    outbox = stage.gateway.registry.outbox
    new = await push(stage, "new")
    await stage.gateway.registry.updates.update_all()
    await outbox.sent(await outbox.due(), begun=outbox.now())
    await go_back(stage, old)
    assert (await rows(stage), await status(stage, made)) == ([(new[0], True), (old[0], False)], "RequestSent")


async def report(stage, unit, commit):
    """Let a unit tell what it runs and wait until that is stored."""
    await unit.report(commit)

    async def stored():
        return (await stage.alice.get(f"/units/{unit.api.uuid}")).body["current_commit_version"]

    await eventually(stored, commit)


async def go_back(stage, commit):
    body = {"is_auto_update_repo": False, "default_commit": commit}
    assert (await stage.alice.patch(f"/repos/{stage.repo['uuid']}", body)).status == 200


async def test_the_time_to_report_counts_from_when_a_command_was_sent(stage):
    made = await new_unit(stage)
    registry = stage.gateway.registry
    async with registry.context.act() as act:
        await act.connection.execute(units.update().values(current_commit_version="f" * 40))
    await push(stage, "new")
    await registry.updates.update_all()
    interval = registry.context.settings.state_send_interval
    late = later(stage, seconds=4 * interval)
    verdicts = type(registry.verdicts)(late)
    assert await verdicts.expire_requests() == 0
    await verdicts.judge(made, "f" * 40)
    assert await status(stage, made) == "RequestSent"  # it was not even told
    await Outbox(late).sent(await registry.outbox.due(), begun=registry.outbox.now())
    assert await verdicts.expire_requests() == 0
    much_later = type(registry.verdicts)(later(stage, seconds=8 * interval))
    assert await much_later.expire_requests() == 1
    assert await status(stage, made) == "Error"


async def test_a_unit_that_was_never_installed_is_not_blamed_for_its_silence(stage):
    made = await new_unit(stage)
    await push(stage, "new")
    registry = stage.gateway.registry
    await registry.updates.update_all()
    assert await status(stage, made) == "RequestSent"
    await registry.outbox.sent(await registry.outbox.due(), begun=registry.outbox.now())
    verdicts = type(registry.verdicts)(later(stage, hours=1))
    await verdicts.judge(made, None)
    assert await status(stage, made) == "RequestSent"
    assert await verdicts.expire_requests() == 0
    seen = (await stage.alice.get(f"/units/{made}")).body
    assert (seen["firmware_update_status"], seen["firmware_update_error"]) == (None, None)


class Broker:
    """Stands where commands are delivered: it acknowledges, and `fails` so many times before."""

    def __init__(self, fails=0):
        self.published, self.fails = [], fails

    async def __call__(self, command):
        if self.fails:
            self.fails -= 1
            raise MqttError("away")
        self.published.append(json.loads(command.payload)["PU_COMMIT_VERSION"][0])
        return True


def sender_of(stage, outbox, broker):
    queued = stage.gateway.registry.context.bus.subscribe(Change.OUTBOX)
    return OutboxSender(outbox, broker, queued, hears=lambda *_: True, is_up=lambda: True)


async def test_a_command_that_was_acknowledged_is_not_sent_again_when_the_database_did_not_take_it_down(stage):
    """The sender's task fails and is started anew, as every task of the gateway."""

    class Fragile(Outbox):
        fails = True

        async def sent(self, commands, *, begun):
            if self.fails:
                self.fails = False
                raise OSError("the disk is full")
            await super().sent(commands, begun=begun)

    await queue(stage, await new_unit(stage), "a")
    outbox, broker = Fragile(stage.gateway.registry.context), Broker()
    sender = sender_of(stage, outbox, broker)
    with pytest.raises(OSError, match="full"):
        await sender.run()
    running = asyncio.create_task(sender.run())
    await eventually(lambda: rows(stage), [("a", True)])
    running.cancel()
    assert broker.published == ["a"]


async def test_a_stop_marks_what_was_acknowledged_and_leaves_the_rest(stage):
    units_made = [await new_unit(stage, f"unit-{number}") for number in range(2)]
    for unit, commit in zip(units_made, "ab", strict=True):
        await queue(stage, unit, commit)
    half, never = asyncio.Event(), asyncio.Event()

    async def deliver(command):
        if command.unit_uuid == units_made[1]:
            half.set()
            await never.wait()
        return True

    running = asyncio.create_task(sender_of(stage, stage.gateway.registry.outbox, deliver).run())
    async with asyncio.timeout(10):
        await half.wait()
    running.cancel()
    await asyncio.wait([running])
    assert await rows(stage) == [("a", True), ("b", False)]


async def test_a_command_that_is_not_acknowledged_is_tried_again_later_each_time(stage):
    await queue(stage, await new_unit(stage), "a")
    outbox, broker = stage.gateway.registry.outbox, Broker(fails=3)
    sender = sender_of(stage, outbox, broker)
    for attempts in range(1, 4):
        (command,) = await Outbox(later(stage, seconds=60)).due()
        before = outbox.now()
        await sender._send([command])
        due = await outbox.next_due()
        assert 2 ** (attempts - 1) * 0.5 <= (due - before).total_seconds()
        assert (due - outbox.now()).total_seconds() <= 2 ** (attempts - 1)
    await sender._send(await Outbox(later(stage, seconds=60)).due())
    assert (broker.published, await rows(stage)) == (["a"], [("a", True)])


async def test_a_command_that_the_broker_acknowledged_and_nobody_heard_is_tried_again(stage):
    unit = await new_unit(stage)
    await queue(stage, unit, "a")
    outbox = stage.gateway.registry.outbox

    async def deliver(_command):
        return False

    await sender_of(stage, outbox, deliver)._send(await outbox.due())
    assert await rows(stage) == [("a", False)]
    (command,) = await Outbox(later(stage, seconds=60)).due()
    assert (command.unit_uuid, command.attempts) == (unit, 1)


async def test_what_a_batch_did_is_written_in_one_transaction(stage):
    for number in range(30):
        await queue(stage, await new_unit(stage, f"unit-{number}"), "a")
    writer = stage.gateway.registry.context.database._writer.sync_engine
    commits = []

    def note(connection):
        commits.append(connection)

    event.listen(writer, "commit", note)
    await sender_of(stage, stage.gateway.registry.outbox, Broker())._send(await stage.gateway.registry.outbox.due())
    event.remove(writer, "commit", note)
    assert (len(commits), await rows(stage)) == (1, [("a", True)] * 30)


async def test_w46_what_waits_is_found_by_its_index_however_much_was_sent(stage):
    """Of 3,000 rows three wait; the looks of the sender and of the expiry."""
    unit = await new_unit(stage)
    context = stage.gateway.registry.context
    now = context.clock()
    row = {"unit_uuid": unit, "command": "Update", "topic": "t", "payload": '{"PU_COMMIT_VERSION": "a"}', "attempts": 0}
    row |= {"create_datetime": now, "next_attempt_datetime": now, "sent_datetime": now}
    async with context.database.write() as connection:
        await connection.execute(table.insert(), [row] * 3000 + [{**row, "sent_datetime": None}] * 3)
        await connection.execute(text("ANALYZE outbox"))
    looks = await looks_of(stage)
    assert len(looks["ix_outbox_next_attempt_datetime"]) >= 5
    explain = "EXPLAIN QUERY PLAN " if context.database.is_sqlite else "EXPLAIN "
    for index, statements in looks.items():
        for statement, values in statements:
            async with context.database.read() as connection:
                plan = str((await connection.exec_driver_sql(explain + statement, values)).all())
            assert index in plan, (statement, plan)


async def looks_of(stage):
    """The statements that look for what waits and for what was sent, by the index that they should use."""
    context = stage.gateway.registry.context
    outbox, seen = Outbox(context), []

    def note(_c, _cursor, statement, values, *_):
        if statement.startswith("SELECT") and "FROM outbox" in statement:
            seen.append((statement, values))

    engine = context.database._reader.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    for look in (outbox.due(), outbox.next_due(), outbox.next_due(outbox.now()), outbox.drop_unclaimed()):
        await look
    async with context.database.read() as connection:
        await connection.execute(select(func.count()).select_from(table).where(WAITS))
        waiting, seen = seen, []
        await connection.execute(sent_long_ago(context.clock()))
    event.remove(engine, "before_cursor_execute", note)
    return {"ix_outbox_next_attempt_datetime": waiting, "ix_outbox_sent_datetime": seen}
