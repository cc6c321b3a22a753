"""The CPython SDK against a real mosquitto. Rows S… are those of protocol/pitfalls.md."""

import asyncio
import json

import pytest

from pepeunit import DELIVERED, QUEUED, RestError, Unit
from pepeunit.session import Session
from tests.support.cpython_unit import DEADLINE, QUICK, lay_out, logs, program, running, texts
from tests.support.device_broker import DeviceBroker
from tests.support.device_server import Answer, DeviceServer
from tests.support.micropython import COMMIT, DOMAIN, NODES, UUID, env, schema, token

TARGET = "/units/get_target_version/{unit}"
STATE = f"{DOMAIN}/output_base_topic/{UUID}/state/pepeunit"
LOG = f"{DOMAIN}/output_base_topic/{UUID}/log/pepeunit"


def node(name):
    return f"{DOMAIN}/{NODES[name]}/pepeunit"


def command(name):
    return f"{DOMAIN}/input_base_topic/{UUID}/{name}/pepeunit"


TEMP = node("temp/pepeunit")


@pytest.fixture
async def server():
    async with DeviceServer(UUID) as server:
        server.json(TARGET, {"commit": COMMIT, "tag": None})
        yield server


@pytest.fixture
async def broker(tmp_path):
    async with DeviceBroker(tmp_path) as broker:
        yield broker


@pytest.fixture
def make(tmp_path, broker, server):
    def make(**changes):
        return Unit(lay_out(tmp_path / "unit", env(server.port, broker.port, **changes), schema()), pace=QUICK)

    return make


@pytest.fixture
def unit(make):
    return make()


def online(unit):
    """An event that is set at each connection."""
    event = asyncio.Event()

    @unit.on_connect
    async def connected():
        event.set()

    return event


async def wait(event):
    async with asyncio.timeout(DEADLINE):
        await event.wait()
    event.clear()


async def test_connect_is_what_the_protocol_asks_for_and_the_state_comes_at_once(unit, broker):
    async with running(unit):
        await broker.until(lambda: broker.payloads(STATE))
    (connect,) = broker.connects
    assert (connect.client_id, connect.username, connect.password) == (UUID, token(), b"")
    assert (connect.clean, connect.keepalive) == (True, 60)
    assert sorted(broker.subscribed) == sorted(unit.schema.subscriptions())
    state = json.loads(broker.payloads(STATE)[0])
    assert state["pu_commit_version"] == COMMIT
    assert set(state) <= {"millis", "mem_free", "mem_alloc", "freq", "statvfs", "ifconfig", "pu_commit_version"}
    assert all((message.qos, message.retain) == (1, False) for message in broker.published)


async def test_the_state_comes_again_after_the_interval(make, broker):
    async with running(make(PU_STATE_SEND_INTERVAL=1)):
        await broker.until(lambda: len(broker.payloads(STATE)) >= 3)


async def test_an_input_comes_under_its_name_from_every_topic_behind_it_and_binary_as_it_is_s7(unit, broker):
    seen = asyncio.Queue()
    unit.on_input("fan/pepeunit")(seen.put)
    connected = online(unit)
    async with running(unit):
        await wait(connected)
        for topic, payload in (
            (node("fan/pepeunit"), b"1"),
            (f"{DOMAIN}/{NODES['linked']}", b"\xff\xfe"),
            (node("fan/pepeunit"), b""),
        ):
            await broker.send(topic, payload)
            async with asyncio.timeout(DEADLINE):
                message = await seen.get()
            assert (message.topic, message.name, message.payload) == (topic, "fan/pepeunit", payload)
    assert "Traceback" not in texts(unit)


async def test_publish_says_delivered_when_the_broker_acknowledged(unit, broker):
    connected = online(unit)
    async with running(unit):
        await wait(connected)
        assert await unit.publish("temp/pepeunit", 21.5) == DELIVERED
    assert broker.payloads(TEMP) == [b"21.5"]


async def test_a_hundred_messages_at_once_are_all_delivered(unit, broker):
    connected = online(unit)
    async with running(unit):
        await wait(connected)
        results = await asyncio.gather(*(unit.publish("temp/pepeunit", number) for number in range(100)))
    assert results == [DELIVERED] * 100
    assert sorted(map(int, broker.payloads(TEMP))) == list(range(100))


async def test_a_unit_starts_without_a_broker_works_and_sends_its_last_values_later_s9_s18(unit, broker):
    await broker.stop()
    values, enough = [], asyncio.Event()

    @unit.every(seconds=0.01)
    async def report():
        values.append(await unit.publish("temp/pepeunit", len(values)))
        if len(values) > 5:
            enough.set()

    async with running(unit):
        await wait(enough)
        assert set(values) == {QUEUED}
        await broker.start()
        await broker.until(lambda: broker.payloads(TEMP))
    assert int(broker.payloads(TEMP)[0]) > 3, "the last value of the topic is sent, the older ones are not"


async def test_a_link_that_breaks_comes_back_with_all_subscriptions(unit, broker):
    seen = asyncio.Queue()
    unit.on_input("fan/pepeunit")(seen.put)
    connected = online(unit)
    async with running(unit):
        for number in range(3):
            await wait(connected)
            await broker.send(node("fan/pepeunit"), str(number))
            async with asyncio.timeout(DEADLINE):
                assert (await seen.get()).text == str(number)
            await broker.cut()
        await wait(connected)
    assert len(broker.connects) == 4
    assert broker.subscribed.count(node("fan/pepeunit")) == 4
    assert texts(unit).count("the broker closed the connection; trying again in ") == 3


async def test_what_was_not_acknowledged_is_sent_again_over_the_next_link_s9(unit, broker):
    connected = online(unit)
    async with running(unit):
        await wait(connected)
        broker.swallow_pubacks = True
        publishing = asyncio.create_task(unit.publish("temp/pepeunit", "precious"))
        await broker.until(lambda: broker.payloads(TEMP))
        broker.swallow_pubacks = False
        await broker.cut()
        assert await publishing == QUEUED
        await broker.until(lambda: len(broker.payloads(TEMP)) == 2)
    assert broker.payloads(TEMP) == [b"precious"] * 2


async def test_one_denied_topic_is_logged_and_harms_nothing_else_s12(unit, broker):
    linked = f"{DOMAIN}/{NODES['linked']}"
    broker.denied.add(linked)
    seen = asyncio.Queue()
    unit.on_input("fan/pepeunit")(seen.put)
    connected = online(unit)
    async with running(unit):
        await wait(connected)
        await broker.send(node("fan/pepeunit"), "works")
        async with asyncio.timeout(DEADLINE):
            assert (await seen.get()).text == "works"
    assert f"the broker denies {linked}" in texts(unit)
    assert len(broker.connects) == 1


async def test_a_message_that_comes_before_the_answer_to_its_subscription_is_handled_s11(unit, broker):
    seen = asyncio.Queue()
    unit.on_input("fan/pepeunit")(seen.put)
    broker.early[node("fan/pepeunit")] = b"retained"
    async with running(unit), asyncio.timeout(DEADLINE):
        assert (await seen.get()).text == "retained"
        await broker.cut()
        assert (await seen.get()).text == "retained"


async def test_a_handler_that_fails_or_hangs_stops_neither_other_inputs_nor_commands_s19(unit, broker):
    seen = asyncio.Queue()
    never = asyncio.Event()

    @unit.on_input("fan/pepeunit")
    async def hang(_message):
        await never.wait()

    @unit.on_input("light/pepeunit")
    async def fail(message):
        await seen.put(message.text)
        raise RuntimeError("broken lamp")

    unit.on_command("log_sync/pepeunit")(seen.put)
    connected = online(unit)
    async with running(unit):
        await wait(connected)
        await broker.send(node("fan/pepeunit"), "x")
        for text in ("1", "2"):
            await broker.send(node("light/pepeunit"), text)
            async with asyncio.timeout(DEADLINE):
                assert await seen.get() == text
        await broker.send(command("log_sync"), b"\xff")
        async with asyncio.timeout(DEADLINE):
            assert (await seen.get()).name == "log_sync/pepeunit"
        await logs(unit, "RuntimeError: broken lamp", times=2)
    assert "in fail" in texts(unit)


async def test_logs_are_sent_when_connected_and_again_in_pieces_by_log_sync(make, broker):
    unit = make(PU_MAX_LOG_LENGTH=300)
    long = "x" * 3000
    for number in range(200):
        unit.log.info(" ".join((str(number), long)))
    connected = online(unit)

    def sent():
        entries = [entry for payload in broker.payloads(LOG) for entry in json.loads(payload)]
        return [entry["text"].split(" ")[0] for entry in entries]

    async with running(unit):
        await wait(connected)
        await broker.until(lambda: "199" in sent())
        broker.published.clear()
        await broker.send(command("log_sync"), "")
        await broker.until(lambda: "199" in sent())
    assert [text for text in sent() if text.isdigit()][:200] == [str(number) for number in range(200)]
    assert all(len(payload) < 256 * 1024 for payload in broker.payloads(LOG))
    assert len(broker.payloads(LOG)) >= 3


async def test_a_broker_that_falls_silent_is_noticed_and_left(make, broker):
    unit = make(PU_MQTT_KEEPALIVE=5)
    connected = online(unit)
    async with running(unit):
        await wait(connected)
        broker.silent = True
        await logs(unit, "the broker stopped answering; trying again in")
        broker.silent = False
        await wait(connected)
    assert len(broker.connects) >= 2


async def test_storage_comes_back_exactly_as_it_was_saved(unit, server):
    text = 'line "one"\nünïcode \\ end'
    server.answers["/units/set_state_storage/{unit}"] = [Answer(b"", 204)]
    server.json("/units/get_state_storage/{unit}", text)
    await unit.storage.save(text)
    assert json.loads(server.calls[-1].body) == {"state": text}
    assert server.calls[-1].headers["x-auth-token"] == token()
    assert await unit.storage.load() == text
    with pytest.raises(ValueError, match="1000000"):
        await unit.storage.save("x" * 1_000_001)
    server.answers["/units/get_state_storage/{unit}"] = [Answer(b"raw text")]
    with pytest.raises(RestError):
        await unit.storage.load()


async def test_a_session_that_was_never_run_queues(unit):
    assert await unit.publish("temp/pepeunit", 1) == QUEUED
    assert not Session(lambda: None, unit.log, lambda *_: None).is_online


PROGRAM = """
from pepeunit import Unit

unit = Unit()

@unit.on_input("fan/pepeunit")
async def fan(message):
    await unit.publish("temp/pepeunit", message.text)

@unit.on_input("light/pepeunit")
async def light(message):
    unit.stop()

unit.run()
"""


async def test_a_program_under_the_launcher_serves_until_it_stops_itself(tmp_path, broker, server):
    lay_out(tmp_path / "unit", env(server.port, broker.port), schema(), main_py=PROGRAM)
    async with program(tmp_path / "unit/main.py") as process:
        await broker.until(lambda: broker.payloads(STATE))
        await broker.send(node("fan/pepeunit"), "23")
        await broker.until(lambda: b"23" in broker.payloads(TEMP))
        await broker.send(node("light/pepeunit"), "")
        async with asyncio.timeout(DEADLINE):
            assert await process.wait() == 0


async def test_sigterm_ends_a_program_in_order_with_zero(tmp_path, broker, server):
    lay_out(tmp_path / "unit", env(server.port, broker.port), schema(), main_py=PROGRAM)
    async with program(tmp_path / "unit/main.py") as process:
        await broker.until(lambda: broker.payloads(STATE))
        process.terminate()
        async with asyncio.timeout(DEADLINE):
            assert await process.wait() == 0
