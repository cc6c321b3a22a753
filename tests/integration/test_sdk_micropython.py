"""The SDK for boards in the real MicroPython against a real broker. Rows S… are those of protocol/pitfalls.md."""

import json

import pytest

from tests.support.device_broker import DeviceBroker
from tests.support.device_server import DeviceServer
from tests.support.micropython import COMMIT, DOMAIN, NODES, UUID, Program, env, schema, token

PROGRAM = """
import asyncio
from pepeunit import DELIVERED, DROPPED, QUEUED, Unit

unit = Unit()
print("offline?")

@unit.on_input("fan/pepeunit")
async def fan(message):
    print("fan", message.topic, message.name, message.text)
    if message.text == "raise":
        raise ValueError("handler fell over")
    if message.text == "slow":
        await asyncio.sleep(3600)
    if message.text == "stop":
        unit.stop()

@unit.on_input("light/pepeunit")
async def light(message):
    print("light", message.text)
    print(await unit.publish("temp/pepeunit", {"echo": message.text}))

@unit.on_connect
async def connected():
    print("now connected")

@unit.on_command("log_sync/pepeunit")
async def command(message):
    print("command", message.name)

@unit.every(seconds=0.2)
async def tick():
    print("tick")
    if unit.env.get("TICK_RAISES"):
        raise RuntimeError("timer fell over")

unit.run()
"""

FAN = f"{DOMAIN}/{NODES['fan/pepeunit']}/pepeunit"
LINKED = f"{DOMAIN}/{NODES['linked']}"
LIGHT = f"{DOMAIN}/{NODES['light/pepeunit']}/pepeunit"
TEMP = f"{DOMAIN}/{NODES['temp/pepeunit']}/pepeunit"
STATE = f"{DOMAIN}/output_base_topic/{UUID}/state/pepeunit"
LOG = f"{DOMAIN}/output_base_topic/{UUID}/log/pepeunit"


def command(name: str) -> str:
    return f"{DOMAIN}/input_base_topic/{UUID}/{name}/pepeunit"


@pytest.fixture
async def broker(tmp_path):
    async with DeviceBroker(tmp_path) as broker:
        yield broker


@pytest.fixture
async def server():
    async with DeviceServer(UUID) as server:
        server.json("/units/get_target_version/{unit}", {"commit": COMMIT, "tag": None})
        yield server


@pytest.fixture
def program(tmp_path, broker, server):
    program = Program(tmp_path / "unit")
    program.write(PROGRAM, env(server.port, broker.port), schema())
    return program


async def test_connect_is_what_the_protocol_asks_for_and_the_state_comes_at_once(program, broker):
    async with program:
        await program.prints("now connected")
        await broker.until(lambda: broker.payloads(STATE))
    connect = broker.connects[0]
    assert (connect.client_id, connect.username, connect.password) == (UUID, token(), b"")
    assert connect.clean
    assert connect.keepalive == 60
    state = json.loads(broker.payloads(STATE)[0])
    assert state["pu_commit_version"] == COMMIT
    assert state["millis"] > 1_600_000_000_000
    assert len(state["statvfs"]) == 10
    assert state.keys() <= {"millis", "mem_free", "mem_alloc", "freq", "statvfs", "ifconfig", "pu_commit_version"}
    assert all(message.qos == 1 and not message.retain for message in broker.published)
    assert set(broker.subscribed) == {FAN, LINKED, LIGHT} | {
        command(name) for name in ("update", "env_update", "schema_update", "log_sync")
    }
    assert len(broker.subscribed) == 7, "each topic once"


async def test_an_input_comes_under_its_name_from_every_topic_behind_it(program, broker):
    async with program:
        await program.prints("now connected")
        await broker.send(FAN, "one")
        await broker.send(LINKED, b"two \xff\xe2\x82")
        await program.prints(f"fan {FAN} fan/pepeunit one")
        await program.prints(f"fan {LINKED} fan/pepeunit two \ufffd\ufffd")
        await broker.until(lambda: broker.pubacks >= 2)


async def test_publish_says_delivered_when_the_broker_acknowledged(program, broker):
    async with program:
        await program.prints("now connected")
        await broker.send(LIGHT, "on")
        await program.prints("delivered")
        assert json.loads(broker.payloads(TEMP)[0]) == {"echo": "on"}


async def test_a_slow_handler_holds_up_neither_other_inputs_nor_commands_s10(program, broker):
    async with program:
        await program.prints("now connected")
        await broker.send(FAN, "slow")
        await program.prints("pepeunit slow")
        for number in range(30):  # more than its inbox takes
            await broker.send(FAN, str(number))
        await broker.send(LIGHT, "on")
        await program.prints("light on")
        await broker.send(command("log_sync"), '{"COMMAND": "LogSync"}')
        await program.prints("command log_sync/pepeunit")
        await program.prints("too slow")


async def test_an_exception_in_a_handler_or_timer_is_logged_and_the_unit_goes_on(program, broker, server):
    program.write(PROGRAM, env(server.port, broker.port, TICK_RAISES=True), schema())
    async with program:
        await program.prints("now connected")
        await broker.send(FAN, "raise")
        await program.prints("ValueError: handler fell over")
        await broker.send(FAN, "after")
        await program.prints("fan/pepeunit after")
        await program.prints("RuntimeError: timer fell over", 2)
        await broker.until(lambda: any(b"handler fell over" in payload for payload in broker.payloads(LOG)))
    entries = [entry for payload in broker.payloads(LOG) for entry in json.loads(payload)]
    assert {"level", "text", "create_datetime"} == set(entries[0])


async def test_the_program_runs_and_keeps_its_last_values_while_there_is_no_broker_s6(program, broker):
    await broker.stop()
    program.write(
        PROGRAM.replace('    print("tick")', '    print("tick", await unit.publish("temp/pepeunit", 21.5))'),
        env(1, broker.port),
        schema(),
    )
    async with program:
        await program.prints("tick queued", 12)
        assert program.running
        await broker.start()
        await program.prints("tick delivered")
        assert program.output.count("offline?") == 1, "it never restarted"
    assert broker.payloads(TEMP)[0] == b"21.5"


async def test_a_link_that_breaks_comes_back_with_all_subscriptions(program, broker):
    async with program:
        await program.prints("now connected")
        await broker.cut()
        await program.prints("Warning: the broker closed the connection; trying again in ")
        await program.prints("now connected", 2)
        await broker.until(lambda: len(broker.subscribed) == 14)
        await broker.send(FAN, "again")
        await program.prints("fan/pepeunit again")


async def test_a_broker_that_falls_silent_is_noticed_and_left(program, broker, server):
    program.write(PROGRAM, env(server.port, broker.port, PU_MQTT_PING_INTERVAL=1), schema())
    async with program:
        await program.prints("now connected")
        broker.silent = True
        await program.prints("the broker stopped answering")
        broker.silent = False
        await broker.until(lambda: len(broker.connects) >= 2)
        assert broker.pings >= 2


async def test_one_denied_topic_harms_nothing_else_s12(program, broker):
    broker.denied.add(LINKED)
    async with program:
        await program.prints("now connected")
        await program.prints(f"subscription to {LINKED} is denied")
        await broker.send(FAN, "one")
        await program.prints("fan/pepeunit one")
        await broker.send(LIGHT, "on")
        await program.prints("delivered")
        assert len(broker.connects) == 1


async def test_many_topics_are_subscribed_in_batches_and_each_denial_counts_for_its_own_s12(program, broker, server):
    many = {f"many{number}": [f"{DOMAIN}/many-{number}"] for number in range(30)}
    broker.denied.update(f"{DOMAIN}/many-{number}" for number in (0, 7, 8, 29))
    inputs = {**schema()["input_topic"], **many}
    program.write(PROGRAM, env(server.port, broker.port), schema(input_topic=inputs))
    async with program:
        await program.prints("now connected")
        denied = [line for line in program.output if "is denied" in line]
        assert sorted(line.split()[-3] for line in denied) == sorted(broker.denied)
        assert len(broker.subscribed) == 37
        assert len(broker.connects) == 1


async def test_a_message_that_comes_before_the_answer_to_its_subscription_is_handled_s11(program, broker):
    broker.early[FAN] = b"retained"
    broker.early[command("log_sync")] = b""
    async with program:
        await program.prints("fan/pepeunit retained")
        await program.prints("command log_sync")
        await broker.cut()
        await program.prints("fan/pepeunit retained", 2)


async def test_messages_of_qos_0_and_empty_payloads_come_too(program, broker):
    async with program:
        await program.prints("now connected")
        await broker.send(FAN, "fleeting", qos=0)
        await program.prints("fan/pepeunit fleeting")
        await broker.send(LIGHT, b"")
        await program.prints("delivered")
        assert broker.payloads(TEMP) == [b'{"echo":""}']


async def test_a_message_larger_than_the_board_takes_is_skipped_and_the_next_one_comes(program, broker):
    async with program:
        await program.prints("now connected")
        await broker.send(FAN, b"x" * 200_000)
        await broker.send(FAN, "small")
        await program.prints("200000 bytes")
        await program.prints("fan/pepeunit small")
        assert len(broker.connects) == 1


async def test_log_sync_sends_every_stored_line_in_pieces(program, broker):
    async with program:
        await program.prints("now connected")
        before = program.read("log.json").splitlines()
        padding = [json.dumps({"level": "Info", "text": f"{number} " + "x" * 200}) for number in range(40)]
        with (program.directory / "log.json").open("ab") as file:
            file.write("".join(line + "\n" for line in padding).encode())
        count = len(broker.payloads(LOG))
        await broker.send(command("log_sync"), "")
        await broker.until(lambda: any(b'"39 x' in payload for payload in broker.payloads(LOG)))
    sent = broker.payloads(LOG)[count:]
    texts = [entry["text"] for payload in sent for entry in json.loads(payload)]
    assert [json.loads(line)["text"] for line in [*before, *padding]] == texts[: len(before) + len(padding)]
    assert len(sent) > 1
    assert all(len(payload) < 4096 for payload in sent)


async def test_stop_ends_with_exit_code_0(program, broker):
    async with program:
        await program.prints("now connected")
        await broker.send(FAN, "stop")
        assert await program.exit_code() == 0


async def test_what_was_not_acknowledged_is_sent_again_over_the_next_link(program, broker):
    async with program:
        await program.prints("now connected")
        broker.swallow_pubacks = True
        await broker.send(LIGHT, "on")
        await broker.until(lambda: broker.payloads(TEMP))
        broker.swallow_pubacks = False
        await broker.cut()
        await program.prints("queued")
        await broker.until(lambda: len(broker.payloads(TEMP)) >= 2)
