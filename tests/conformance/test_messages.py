"""What a unit hears and says: the trace at the broker and over REST, written by hand for both interpreters."""

import json
from datetime import UTC, datetime, timedelta

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")

ECHO = {"inputs": ("first/pepeunit", "second"), "outputs": ("bytes", "told/pepeunit")}


def told(name, topic, text):
    return "told/pepeunit", json.dumps([name, topic, text], ensure_ascii=False, separators=(",", ":")).encode()


async def test_a_unit_reports_its_state_with_the_installed_commit_at_once(stage):
    """The interval is a minute: what arrives earlier is the state of the connection."""
    device = await stage.install("idle")
    assert device.json("env.json")["PU_STATE_SEND_INTERVAL"] == 60
    begun = datetime.now(UTC)
    await stage.start()
    unit = await stage.unit()
    state = unit["unit_state"]
    assert state["pu_commit_version"] == unit["current_commit_version"] == stage.tree.head()
    assert unit["firmware_update_status"] is None
    reported = datetime.fromtimestamp(state["millis"] / 1000, UTC)
    assert begun - timedelta(seconds=1) < reported < datetime.now(UTC) + timedelta(seconds=1)
    assert state["mem_free"] > 0
    assert state["mem_alloc"] > 0
    assert len(state["statvfs"]) == 10
    assert device.json(".pepeunit/installed.json") == {"commit": stage.tree.head(), "files": []}


async def test_a_value_set_over_rest_reaches_the_handler_of_its_input(stage):
    device = await stage.install("echo", **ECHO)
    observer = await stage.observe(hears=("told/pepeunit",))
    await stage.start()
    own = device.json("schema.json")["input_topic"]["first/pepeunit"][0]
    await stage.set_input("first/pepeunit", "grün")
    assert await observer.hears() == [told("first/pepeunit", own, "grün")]
    await stage.output_becomes("told/pepeunit", told("first/pepeunit", own, "grün")[1].decode())


async def test_a_linked_output_arrives_under_the_name_of_every_input_that_it_feeds(stage):
    await stage.install("echo", **ECHO)
    observer = await stage.observe(hears=("told/pepeunit",), feeds=("first/pepeunit", "second"))
    await stage.device.flash()  # the links were made after the first archive
    await stage.start()
    await observer.says(b"21.5")
    heard = await observer.hears(2)
    assert sorted(heard) == [told("first/pepeunit", observer.output, "21.5"), told("second", observer.output, "21.5")]


async def test_binary_and_empty_payloads_arrive_as_they_are_and_as_text(stage):
    """S7: a payload that is no UTF-8 harms nothing."""
    await stage.install("echo", **ECHO)
    observer = await stage.observe(hears=("bytes", "told/pepeunit"), feeds=("second",))
    await stage.device.flash()
    await stage.start()
    large = bytes(range(256)) * 16
    for payload, text in (
        (b"", ""),
        (b"\x00\xff\xc3(", "\x00\ufffd\ufffd("),
        ("\U0001f600".encode(), "\U0001f600"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"{", "{"),
    ):
        await observer.says(payload)
        (raw, (name, data)) = await observer.hears(2)
        assert raw == ("bytes", payload)
        assert (name, json.loads(data)) == ("told/pepeunit", ["second", observer.output, text])
    await observer.says(large)
    (raw, (name, data)) = await observer.hears(2)
    assert raw == ("bytes", large)
    assert (name, json.loads(data)[2]) == ("told/pepeunit", large[:16].decode())


async def test_values_of_every_kind_arrive_as_documented(stage):
    await stage.install("values", outputs=("value", "outcome/pepeunit"))
    observer = await stage.observe(hears=("value", "outcome/pepeunit"))
    await stage.start()
    heard = await observer.hears_until(("outcome/pepeunit", b'["TypeError","TypeError","UnknownNameError"]'))
    assert [payload for name, payload in heard if name == "value"] == [
        b"text",
        b"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80",
        b"",
        b"\x00\xff",
        b"buffer",
        b"42",
        b"-7",
        b"21.5",
        b"true",
        b"false",
        b'{"on":true}',
        b'[1,"\xc3\xbc",null,2.5,{}]',
    ]


async def test_an_exception_in_a_handler_or_timer_is_logged_and_the_next_message_is_handled(stage):
    """S19."""
    await stage.install("faulty", inputs=("work/pepeunit",), outputs=("done/pepeunit",))
    observer = await stage.observe(hears=("done/pepeunit",))
    device = await stage.start()
    await stage.set_input("work/pepeunit", "bad")
    await stage.set_input("work/pepeunit", "no JSON")
    await stage.set_input("work/pepeunit", '{"value": 5}')
    assert await observer.hears() == [("done/pepeunit", b"5")]
    await stage.logged("work/pepeunit", "Traceback", "in work", "ValueError: a bad message", level="Error")
    await stage.logged("timer", "Traceback", "in tick", "KeyError", "a broken timer", level="Error")
    assert device.is_running


async def test_timers_run_from_the_start_and_every_turn_is_heard(stage):
    await stage.install("timers", outputs=("count/pepeunit",))
    observer = await stage.observe(hears=("count/pepeunit",))
    await stage.start()
    heard = [int(payload) for _, payload in await observer.hears(10)]
    # what was counted before the connection waited, the last value only; from there on nothing is left out
    assert heard == list(range(heard[0], heard[0] + 10))


async def test_a_denied_topic_harms_nothing_else(stage):
    """S12: schema.json names an Output that was never linked, and one that nobody has."""
    device = await stage.install("echo", **ECHO)
    observer = await stage.observe(hears=("told/pepeunit",))
    schema = device.json("schema.json")
    domain = observer.output.split("/")[0]
    own = schema["input_topic"]["second"][0]
    denied = [observer.output, f"{domain}/00000000-0000-4000-8000-000000000000/pepeunit"]
    schema["input_topic"]["second"] = [*denied, own]
    (device.folder / "schema.json").write_text(json.dumps(schema))
    await stage.start()
    for topic in denied:
        await stage.logged(topic, level="Warning")
    await stage.set_input("second", "still here")
    assert await observer.hears() == [told("second", own, "still here")]
    await observer.says(b"not for you")
    await stage.set_input("first/pepeunit", "next")
    (last,) = await observer.hears()
    assert json.loads(last[1])[2] == "next"
