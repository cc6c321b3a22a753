"""Brokers and gateways that talk nonsense, to the SDK for boards in the real MicroPython."""

import asyncio
import contextlib
import json

import pytest

from tests.support.device_broker import DeviceBroker
from tests.support.device_server import Answer, DeviceServer
from tests.support.micropython import COMMIT, DOMAIN, NODES, UUID, Program, env, schema
from tests.support.ports import free_port

PROGRAM = """
import pepeunit.http as http
import pepeunit.mqtt as mqtt
http.READ_TIMEOUT = http.CONNECT_TIMEOUT = 1
mqtt.TIMEOUT = 1

from pepeunit import RestError, Unit
unit = Unit()

@unit.on_connect
async def connected():
    print("now connected")

@unit.on_input("fan/pepeunit")
async def fan(message):
    try:
        await unit.storage.save(message.text)
        text = await unit.storage.load()
        print("same", text == message.text)
    except RestError as error:
        print("RestError", error.status, error)

unit.run()
"""
FAN = f"{DOMAIN}/{NODES['fan/pepeunit']}/pepeunit"
CONNACK = b"\x20\x02\x00\x00"
LOAD, SAVE = "/units/get_state_storage/{unit}", "/units/set_state_storage/{unit}"


@contextlib.asynccontextmanager
async def says(answer: bytes, *, hold: bool):
    """A server that answers whatever comes with the same bytes, then closes or falls silent."""
    over = asyncio.Event()
    count = 0

    async def serve(reader, writer):
        nonlocal count
        count += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.read(1)
            writer.write(answer)
            await writer.drain()
            if hold:
                await over.wait()
        writer.transport.abort()

    port = free_port()
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield port
    finally:
        over.set()
        server.close()
        await server.wait_closed()
        assert count


@pytest.mark.parametrize(
    ("answer", "hold", "reason"),
    [
        (b"", False, "trying again in"),
        (b"", True, "the broker does not answer; trying again in"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, "does not speak MQTT"),
        (b"\x20\x02\x00\x05", True, "not authorized"),
        (b"\x20\x02\x00\x63", True, "refuses the unit: 99"),
        (CONNACK, True, "the broker does not answer; trying again in"),
        (CONNACK + b"\xff\xff\xff\xff\xff", True, "no MQTT"),
        (CONNACK + b"\x90\x80\x80\x80\x01", True, "no MQTT"),
        (CONNACK + b"\x90\x03\x00\x01\x00", True, "other subscriptions"),
        (CONNACK + b"\x36\x05\x00\x01aXY", True, "no MQTT"),
        (CONNACK + b"\x32\x02\x00\x09", True, "no MQTT"),
        (CONNACK + b"\x30\x03\x00\x01\xff", True, "unreadable topic"),
    ],
)
async def test_a_broker_that_talks_nonsense_is_left_and_the_unit_goes_on(tmp_path, answer, hold, reason):
    program = Program(tmp_path / "unit")
    async with says(answer, hold=hold) as port, DeviceBroker(tmp_path) as broker:
        program.write(PROGRAM, env(1, port), schema())
        async with program:
            await program.prints(reason)
            assert program.running
            assert not [line for line in program.output if "Traceback" in line]
            assert not broker.connects


@pytest.fixture
async def unit(tmp_path):
    async with DeviceBroker(tmp_path) as broker, DeviceServer(UUID) as server:
        server.json("/units/get_target_version/{unit}", {"commit": COMMIT, "tag": None})
        program = Program(tmp_path / "unit")
        program.write(PROGRAM, env(server.port, broker.port), schema())
        async with program:
            await program.prints("now connected")
            yield program, broker, server


@pytest.mark.parametrize("text", ['line "one"\n\\ and ä😀', "", "x" * 5000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_storage_reads_back_what_was_saved(unit, text, chunked):
    program, broker, server = unit
    server.answers[SAVE] = [Answer(status=204)]
    server.answers[LOAD] = [Answer(json.dumps(text).encode(), chunked=chunked)]
    await broker.send(FAN, text)
    await program.prints("same True")
    saved = next(call for call in server.calls if call.path == SAVE)
    assert saved.method == "POST"
    assert json.loads(saved.body) == {"state": text}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(b'{"detail": "no"}', 403), "RestError 403"),
        (Answer(b"no json"), "RestError None"),
        (Answer(b"[]"), "RestError None"),
        (Answer(b'"cut here', cut_after=4), "RestError None"),
        (Answer(b'"cut here', cut_after=4, chunked=True), "RestError None"),
        (Answer(b'"stalled"', stall_after=4), "RestError None"),
        (Answer(status=302, headers={"Location": "http://127.0.0.1:1/"}), "RestError 302"),
    ],
)
async def test_a_failed_call_is_a_rest_error_with_its_status(unit, answer, error):
    program, broker, server = unit
    server.answers[SAVE] = [Answer(status=204)]
    server.answers[LOAD] = [answer]
    await broker.send(FAN, "x")
    await program.prints(error)
    assert not [line for line in program.output if "Traceback" in line]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100,
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
    ],
)
async def test_a_gateway_that_talks_nonsense_is_a_rest_error(tmp_path, answer):
    async with says(answer, hold=True) as port, DeviceBroker(tmp_path) as broker:
        program = Program(tmp_path / "unit")
        program.write(PROGRAM, env(port, broker.port), schema())
        async with program:
            await program.prints("now connected")
            await broker.send(FAN, "x")
            await program.prints("RestError None")
            assert not [line for line in program.output if "Traceback" in line]
