"""Who gets through the front door and what each may do there; real mosquitto behind it, real sockets before it."""

import asyncio
from collections.abc import Callable

import paho.mqtt.client as paho
import pytest

from pepeunit_gateway.broker.port import Identity
from tests.support.mqtt import (
    CONNACK,
    DEADLINE,
    DISCONNECT,
    DISCONNECT_PACKET,
    DOMAIN,
    PINGREQ_PACKET,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    SUBACK,
    UNSUBACK,
    Fleet,
    connect_packet,
    packet,
    publish_packet,
    running,
    subscribe_packet,
    unsubscribe_packet,
)

BOTH_LOOPS = True


@pytest.fixture
async def stand(tmp_path):
    async with running(tmp_path / "broker") as stand:
        yield stand


# --- CONNECT ---


@pytest.mark.parametrize(("level", "refused"), [(4, b"\x00\x04"), (5, b"\x00\x86\x00")])
@pytest.mark.parametrize("token", [None, "", "wrong"])
async def test_w4_a_connect_without_a_right_token_is_refused_before_mosquitto_sees_it(stand, level, refused, token):
    """W4 (CONNECT part): the broker let everybody in."""
    unit = stand.fleet.add()
    client = await stand.open()
    await client.send(connect_packet(str(unit.uuid), token, level=level))
    assert (await client.expect(CONNACK)).body == refused
    assert await client.expect_end() == b""


async def test_w4_nothing_that_follows_a_refused_connect_reaches_mosquitto(stand):
    """W4 (CONNECT part)."""
    unit = stand.fleet.add()
    client = await stand.open()
    await client.send(connect_packet("x", "wrong"), publish_packet(unit.output, b"forged", qos=1))
    await client.expect(CONNACK)
    await client.expect_end()
    await stand.broker.publish(unit.output, b"after", timeout=DEADLINE)
    assert await stand.inbox.wait_for(1) == [(unit.output, b"after")]


async def test_a_connect_that_begins_with_something_else_gets_no_answer(stand):
    for data in (b"GET / HTTP/1.1\r\n\r\n", publish_packet("t", b""), packet(0x10, b"\x00\x04HTTP\x04\x02\x00\x00")):
        client = await stand.open()
        await client.send(data)
        assert await client.expect_end() == b""
    assert stand.fleet.asked == 0


@pytest.mark.parametrize(("level", "refused"), [(3, b"\x00\x01"), (6, b"\x00\x01"), (0x84, b"\x00\x01")])
async def test_other_protocol_levels_are_refused(stand, level, refused):
    client = await stand.open()
    await client.send(connect_packet("id", stand.fleet.add().token, level=level))
    assert (await client.expect(CONNACK)).body == refused
    await client.expect_end()


@pytest.mark.parametrize(("level", "refused"), [(4, b"\x00\x05"), (5, b"\x00\x87\x00")])
async def test_wills_are_refused(stand, level, refused):
    unit = stand.fleet.add()
    client = await stand.open()
    await client.send(connect_packet("id", unit.token, level=level, will=(unit.output, b"gone")))
    assert (await client.expect(CONNACK)).body == refused
    await client.expect_end()


@pytest.mark.parametrize(("level", "refused"), [(4, b"\x00\x02"), (5, b"\x00\x85\x00")])
async def test_the_client_id_of_another_unit_is_refused(stand, level, refused):
    unit, other = stand.fleet.add(), stand.fleet.add()
    client = await stand.open()
    await client.send(connect_packet(str(other.uuid), unit.token, level=level))
    assert (await client.expect(CONNACK)).body == refused
    await client.expect_end()


async def test_a_slow_connect_is_ended(tmp_path):
    async with running(tmp_path / "broker", connect_timeout=0.3) as stand:
        client = await stand.open()
        await client.send(connect_packet("id", stand.fleet.add().token)[:-1])
        assert await client.expect_end() == b""


async def test_an_authenticator_that_fails_or_hangs_makes_the_door_unavailable(tmp_path):
    class Broken(Fleet):
        async def authenticate(self, token: str, client_id: str) -> Identity:  # noqa: ARG002 - as the port says
            if token == "hang":
                await asyncio.Event().wait()
            raise RuntimeError("the database is away")

    async with running(tmp_path / "broker", fleet=Broken(), connect_timeout=0.3) as stand:
        for token in ("fail", "hang"):
            client = await stand.open()
            await client.send(connect_packet("id", token))
            assert (await client.expect(CONNACK)).body == b"\x00\x03"
            await client.expect_end()


async def test_more_clients_than_allowed_are_told_unavailable(tmp_path):
    async with running(tmp_path / "broker", max_clients=1) as stand:
        unit = stand.fleet.add()
        await stand.connect(unit, client_id="first")
        client = await stand.open()
        await client.send(connect_packet("second", unit.token))
        assert (await client.expect(CONNACK)).body == b"\x00\x03"


async def test_packets_that_are_sent_before_connack_are_not_lost(stand):
    unit = stand.fleet.add()
    client = await stand.open()
    await client.send(
        connect_packet(str(unit.uuid), unit.token),
        subscribe_packet(unit.command, mid=3),
        publish_packet(unit.output, b"early", qos=1, mid=4),
    )
    await client.expect(CONNACK)
    assert (await client.expect(SUBACK)).body == b"\x00\x03\x01"
    assert (await client.expect(PUBACK)).body[:2] == b"\x00\x04"
    assert await stand.inbox.wait_for(1) == [(unit.output, b"early")]


async def test_a_connect_in_single_bytes_is_understood(stand):
    unit = stand.fleet.add()
    client = await stand.open()
    for byte in connect_packet(str(unit.uuid), unit.token) + PINGREQ_PACKET:
        await client.send(bytes([byte]))
    await client.expect(CONNACK)
    await client.expect(PINGRESP)


@pytest.mark.parametrize("level", [4, 5])
async def test_a_second_connect_ends_the_session(stand, level):
    client = await stand.connect(stand.fleet.add(), level=level)
    await client.send(connect_packet("gateway-main", "token-0", level=level))
    if level == 5:
        assert (await client.expect(DISCONNECT)).body == b"\x82"
    assert await client.expect_end() == b""


async def test_no_client_id_takes_over_the_gateway_s_session(stand):
    """mosquitto.md: with ids passed as they come, a device took over the gateway's session."""
    unit = stand.fleet.add()
    link = stand.broker._session._link
    client = await stand.connect(unit, client_id="gateway-main")
    await client.send(PINGREQ_PACKET)
    await client.expect(PINGRESP)
    assert stand.broker._session._link is link
    assert not link.lost.is_set()
    await stand.broker.publish(unit.output, b"still there", timeout=DEADLINE)
    assert await stand.inbox.wait_for(1) == [(unit.output, b"still there")]


async def test_a_unit_that_connects_again_takes_over_its_own_session_only(stand):
    unit, other = stand.fleet.add(), stand.fleet.add()
    first, bystander = await stand.connect(unit), await stand.connect(other, client_id="same")
    second = await stand.connect(unit, client_id="same")
    await stand.connect(unit)
    await first.expect_end()
    for client in (second, bystander):
        await client.send(PINGREQ_PACKET)
        await client.expect(PINGRESP)


@pytest.mark.parametrize("level", [4, 5])
async def test_clients_without_an_id_get_one_each(stand, level):
    unit = stand.fleet.add()
    clients = [await stand.open() for _ in range(2)]
    for client in clients:
        await client.send(connect_packet("", unit.token, level=level))
        connack = await client.expect(CONNACK)
        assert connack.body[1] == 0
        assert (b"\x12\x00\x10" in connack.body) == (level == 5)
    for client in clients:
        await client.send(PINGREQ_PACKET)
        await client.expect(PINGRESP)


async def test_device_sessions_are_clean_whatever_the_client_asks(stand):
    unit = stand.fleet.add()
    for level, properties in ((4, b""), (5, b"\x11\x00\x00\x0e\x10")):
        hello = connect_packet(str(unit.uuid), unit.token, level=level, clean=False, properties=properties)
        client = await stand.open()
        await client.send(hello, subscribe_packet(unit.command, level=level))
        connack = await client.expect(CONNACK)
        assert connack.body[0] == 0
        if level == 5:
            assert b"\x11\x00\x00\x00\x00" in connack.body  # the session ends with its connection, and says so
            assert b"\x27\x00\x04\x00\x00" in connack.body  # and how large a packet may be
        await client.expect(SUBACK)
        await client.close()
        await stand.broker.publish(unit.command, b"missed", timeout=DEADLINE)
        again = await stand.open()
        await again.send(hello, PINGREQ_PACKET)
        assert (await again.expect(CONNACK)).body[0] == 0
        await again.expect(PINGRESP)
        await again.close()


# --- grants ---


@pytest.mark.parametrize("level", [4, 5])
async def test_w3_a_unit_cannot_publish_what_belongs_to_another_unit_or_domain(stand, level):
    """W3: any unit token could publish into Outputs and into topics of other domains."""
    victim = stand.fleet.add()
    foreign = f"elsewhere.test/{victim.uuid}/pepeunit"
    listener_unit = stand.fleet.add(subscribe=(victim.output, foreign))
    attacker = stand.fleet.add(subscribe=(victim.output,))  # may receive it, which gives no right to send it
    listener = await stand.listen(listener_unit, victim.output, foreign, listener_unit.command)
    client = await stand.connect(attacker, level=level)
    for qos in (0, 1, 2):
        for topic in (victim.output, foreign, victim.command, listener_unit.command):
            await client.send(publish_packet(topic, b"forged", qos=qos, mid=5, level=level))
            if qos == 1:
                answer = await client.expect(PUBACK)
                assert answer.body == (b"\x00\x05" if level == 4 else b"\x00\x05\x87")
            if qos == 2:
                answer = await client.expect(PUBREC)
                if level == 5:
                    assert answer.body == b"\x00\x05\x87"
                else:
                    await client.send(packet(0x62, b"\x00\x05"))
                    await client.expect(PUBCOMP)
    await client.send(publish_packet(attacker.output, b"mine", qos=1, mid=6, level=level))
    assert (await client.expect(PUBACK)).body[:2] == b"\x00\x06"
    await stand.broker.publish(listener_unit.command, b"the only one", timeout=DEADLINE)
    assert (await listener.expect(PUBLISH)).message() == (listener_unit.command, b"the only one")
    assert await stand.inbox.wait_for(2) == [(attacker.output, b"mine"), (listener_unit.command, b"the only one")]


@pytest.mark.parametrize(("level", "denied"), [(4, 0x80), (5, 0x87)])
async def test_denied_filters_are_answered_in_their_order(stand, level, denied):
    other = stand.fleet.add()
    unit = stand.fleet.add(subscribe=("a/b",))
    client = await stand.connect(unit, level=level)
    filters = (
        "a/b",
        "#",
        other.output,
        f"{DOMAIN}/+/pepeunit",
        unit.command,
        f"$share/g/{unit.command}",
        "$SYS/#",
        "denied",
    )
    await client.send(subscribe_packet(*filters, level=level))
    answer = await client.expect(SUBACK)
    expected = bytes([1, denied, denied, denied, 1, denied, denied, denied])
    assert answer.body[-len(filters) :] == expected
    for topic in ("denied", other.output):
        await stand.broker.publish(topic, b"not yours", timeout=DEADLINE)
    await client.send(unsubscribe_packet(other.output, level=level), PINGREQ_PACKET)
    await client.expect(UNSUBACK)
    await client.expect(PINGRESP)


async def test_linked_units_hear_each_other_with_every_qos_and_both_protocols(stand):
    sender = stand.fleet.add()
    old, new = (stand.fleet.add(subscribe=(sender.output,)) for _ in range(2))
    listeners = {4: await stand.listen(old, sender.output), 5: await stand.listen(new, sender.output, level=5)}
    client = await stand.connect(sender)
    payload = bytes(range(256)) * 300
    for qos in (0, 1, 2):
        await client.send(publish_packet(sender.output, payload, qos=qos, mid=qos + 1))
        if qos == 1:
            await client.expect(PUBACK)
        if qos == 2:
            await client.expect(PUBREC)
            await client.send(packet(0x62, b"\x00\x03"))
            await client.expect(PUBCOMP)
        for level, listener in listeners.items():
            assert (await listener.expect(PUBLISH)).message(level) == (sender.output, payload)


@pytest.mark.parametrize("level", [4, 5])
async def test_a_packet_that_is_too_large_ends_the_session(tmp_path, level):
    async with running(tmp_path / "broker", max_packet_size=1000) as stand:
        unit = stand.fleet.add()
        client = await stand.connect(unit, level=level)
        await client.send(publish_packet(unit.output, bytes(1000), level=level))
        if level == 5:
            assert (await client.expect(DISCONNECT)).body == b"\x95"
        assert await client.expect_end() == b""


async def test_a_disconnect_ends_both_sides(stand):
    unit = stand.fleet.add()
    client = await stand.connect(unit)
    await client.send(publish_packet(unit.output, b"last"), DISCONNECT_PACKET)
    assert await client.expect_end() == b""
    assert await stand.inbox.wait_for(1) == [(unit.output, b"last")]


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
async def test_a_client_of_the_field_connects_publishes_and_receives(stand, protocol):
    unit = stand.fleet.add()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=str(unit.uuid), protocol=protocol)
    client.username_pw_set(unit.token, "")
    loop = asyncio.get_running_loop()
    ready, command = asyncio.Event(), asyncio.Queue()

    def tell(call: Callable[..., object], *args: object) -> None:
        loop.call_soon_threadsafe(call, *args)

    client.on_connect = lambda *_: client.subscribe(unit.command, qos=1)
    client.on_subscribe = lambda *_: tell(ready.set)
    client.on_message = lambda _client, _data, message: tell(command.put_nowait, message.payload)
    await asyncio.to_thread(client.connect, "127.0.0.1", stand.broker.port)
    client.loop_start()
    try:
        async with asyncio.timeout(DEADLINE):
            await ready.wait()
            for qos in (0, 1, 2):
                await asyncio.to_thread(client.publish(unit.output, f"value {qos}", qos=qos).wait_for_publish, DEADLINE)
            await stand.broker.publish(unit.command, b"update", timeout=DEADLINE)
            assert await command.get() == b"update"
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
    received = await stand.inbox.wait_for(4)
    assert [payload for topic, payload in received if topic == unit.output] == [b"value 0", b"value 1", b"value 2"]


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
async def test_a_refused_client_of_the_field_is_told_why(stand, protocol):
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="x", protocol=protocol)
    client.username_pw_set("wrong", "")
    loop, reasons = asyncio.get_running_loop(), asyncio.Queue()
    client.on_connect = lambda _c, _d, _f, reason, _p: loop.call_soon_threadsafe(reasons.put_nowait, reason.value)
    await asyncio.to_thread(client.connect, "127.0.0.1", stand.broker.port)
    client.loop_start()
    try:
        async with asyncio.timeout(DEADLINE):
            assert await reasons.get() == 0x86  # bad user name or password
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
