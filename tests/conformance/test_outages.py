"""When the broker dies and when a unit is deleted: the program goes on."""

import os
import signal

import pytest
from structlog.testing import capture_logs

from tests.support.field_unit import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


def number(path):
    """The whole number in a file of the unit; 0 while it is being written."""
    return int(path.read_text() or 0)


async def kill_broker(stage):
    """Kill it while a message of the unit waits for the acknowledgement, however soon everything is back."""
    beats = stage.device.folder / "beats.txt"
    broker = stage.world.gateway.gateway.broker.broker_pid
    os.kill(broker, signal.SIGSTOP)
    before = number(beats)

    async def beaten():
        return number(beats) > before

    await eventually(beaten, expected=True)
    os.kill(broker, signal.SIGKILL)


async def test_the_unit_comes_back_after_the_death_of_the_broker_and_the_newest_value_arrives(stage):
    """S6, S9, S18."""
    outputs = ("beat/pepeunit", "value/pepeunit", "connects/pepeunit")
    device = await stage.install("keeping", outputs=outputs)
    await stage.keep_rows("connects/pepeunit")
    await stage.keep_rows("value/pepeunit")
    await stage.start()
    await stage.rows_become("connects/pepeunit", ["1"])
    await stage.output_becomes("beat/pepeunit", "alive")
    await kill_broker(stage)
    await stage.rows_become("value/pepeunit", ["three"])
    await stage.rows_become("connects/pepeunit", ["1", "2"])
    assert (device.folder / "results.txt").read_text() == "queued queued queued"
    assert device.codes == []
    # commands arrive again
    await stage.type_env(PU_MAX_LOG_LENGTH=32)
    await stage.command("EnvUpdate")

    async def length():
        return device.json("env.json")["PU_MAX_LOG_LENGTH"]

    await eventually(length, 32)


async def test_the_program_of_a_deleted_unit_goes_on_and_keeps_trying(stage):
    device = await stage.install("timers", outputs=("count/pepeunit",))
    await stage.start()

    count = device.folder / "count.txt"
    with capture_logs() as events:
        reply = await stage.owner.delete(f"/units/{device.uuid}")
        assert reply.status == 204, reply.body

        async def refused():
            found = [event for event in events if event["event"] == "broker.device.refused"]
            return len(found) >= 2

        await eventually(refused, expected=True, limit=15.0)
    before = number(count)

    async def goes_on():
        return number(count) > before + 3

    await eventually(goes_on, expected=True)
    assert device.is_running
    assert device.codes == []
    lines = (device.folder / "log.json").read_text().splitlines()
    assert sum("refuses the unit" in line for line in lines) == 1, lines
