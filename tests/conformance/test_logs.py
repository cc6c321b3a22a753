"""Log lines on their way to the gateway, and a clean end."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.field_unit import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEVELS = ["Debug", "Info", "Warning", "Error", "Critical"]
PROGRAM = {"inputs": ("say/pepeunit", "stop/pepeunit"), "outputs": ("last/pepeunit",)}


def lines(*levels, text):
    return [(level, f"{level.lower()} {text}") for level in levels]


async def said(stage, *texts):
    """The stored lines that end in one of the texts, in the order of their times."""
    return [
        (line["level"], line["text"])
        for line in await stage.logs()
        if any(line["text"].endswith(f" {text}") for text in texts)
    ]


async def become(stage, expected, *texts):
    await eventually(lambda: said(stage, *texts), expected, limit=15.0)


async def test_every_level_arrives_with_its_time_and_the_filter_of_env_json_counts_at_once(stage):
    device = await stage.install("levels", **PROGRAM)
    await stage.start()
    begun = datetime.now(UTC)
    await stage.set_input("say/pepeunit", "one")
    await become(stage, lines(*LEVELS, text="one"), "one")
    for line in await stage.logs():
        if line["text"].endswith(" one"):
            moment = datetime.fromisoformat(line["create_datetime"])
            assert begun - timedelta(milliseconds=2) < moment < datetime.now(UTC)
    await stage.type_env(PU_MIN_LOG_LEVEL="Warning")
    await stage.command("EnvUpdate")

    async def level():
        return device.json("env.json")["PU_MIN_LOG_LEVEL"]

    await eventually(level, "Warning")
    await stage.set_input("say/pepeunit", "two")
    await become(stage, lines("Warning", "Error", "Critical", text="two"), "two")
    assert b"info two" not in (device.folder / "log.json").read_bytes()


async def test_log_sync_brings_every_stored_line_once_and_loses_none(stage):
    """W26: the gateway's copy gives way to what the unit has stored."""
    await stage.install("levels", **PROGRAM)
    await stage.start()
    for text in ("one", "two", "three"):
        await stage.set_input("say/pepeunit", text)
        await become(stage, lines(*LEVELS, text=text), text)
    before = [line["uuid"] for line in await stage.logs()]
    expected = [line for text in ("one", "two", "three") for line in lines(*LEVELS, text=text)]
    await stage.command("LogSync")

    async def replaced():
        now = {line["uuid"] for line in await stage.logs()}
        return not now & set(before) and await said(stage, "one", "two", "three") == expected

    await eventually(replaced, expected=True, limit=15.0)
    await stage.set_input("say/pepeunit", "four")
    await become(stage, [*expected, *lines(*LEVELS, text="four")], "one", "two", "three", "four")


async def test_stop_sends_what_waits_and_ends_with_0(stage):
    device = await stage.install("levels", **PROGRAM)
    observer = await stage.observe(hears=("last/pepeunit",))
    await stage.start()
    await stage.set_input("stop/pepeunit", "now")
    assert await device.exit_code() == 0
    assert await observer.hears() == [("last/pepeunit", b"now")]
    await become(stage, [("Info", "good-bye now")], "now")
    assert device.codes == [0]


async def test_handlers_that_nothing_can_reach_are_named_once_and_the_others_work(stage):
    device = await stage.install(
        "misspelled", inputs=("ask/pepeunit", "fan-state/pepeunit"), outputs=("told/pepeunit",)
    )
    await stage.start()
    await stage.logged(
        "on_input fan_state/pepeunit (the Inputs: ask/pepeunit, fan-state/pepeunit)",
        "on_command update (the commands: env_update/pepeunit, ",
        level="Warning",
    )
    await stage.set_input("ask/pepeunit", "works")
    await stage.output_becomes("told/pepeunit", "works")
    # another link changes schema.json, but not the names in it
    observer = await stage.observe(hears=("told/pepeunit",), feeds=("ask/pepeunit",))
    assert await observer.says_until_answered(b"more") == ("told/pepeunit", b"more")
    await stage.logged("schema.json ", level="Info")
    assert sum("never called" in line["text"] for line in await stage.logs()) == 1
    console = device.console.read_text()
    assert console.count("Warning: never called, schema.json has no such name: on_input fan_state/pepeunit") == 1


async def test_the_console_shows_the_lines_of_the_log_once_with_their_level(stage):
    device = await stage.install("faulty", inputs=("work/pepeunit",), outputs=("done/pepeunit",))
    await stage.start()
    await stage.set_input("work/pepeunit", "bad")
    await stage.logged("a bad message", level="Error")
    await stage.logged("connected to the broker at ", level="Info")
    console = device.console.read_text()
    assert console.count("Info: connected to the broker at ") == 1
    assert console.count("ValueError: a bad message") == 1
    assert console.count("Error: handler of work/pepeunit ") == 1
