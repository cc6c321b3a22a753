"""What the gateway's own session promises: nothing it was sent with QoS 1 is lost, whatever stops in between."""

import asyncio
import os
import signal

import pytest

from pepeunit_gateway.errors import MqttError
from tests.support.mqtt import (
    DEADLINE,
    DISCONNECT_PACKET,
    DOMAIN,
    PUBACK,
    SUBACK,
    Inbox,
    publish_packet,
    running,
    subscribe_packet,
)
from tests.support.polling import until

BOTH_LOOPS = True


async def send(stand, unit, payloads, *, qos=1):
    """Send from a device and wait until mosquitto has taken everything."""
    client = await stand.connect(unit)
    last = len(payloads)
    for mid, payload in enumerate(payloads, 1):
        await client.send(publish_packet(unit.output, payload, qos=qos, mid=mid))
        if qos:
            await client.expect(PUBACK)
    if not qos:
        await client.send(publish_packet(unit.command, b"denied, but answered in order", qos=1, mid=last))
        await client.expect(PUBACK)
    await client.send(DISCONNECT_PACKET)
    await client.expect_end()


def payloads_of(inbox):
    return [payload for _, payload in inbox.messages]


async def test_w24_what_waits_for_the_gateway_survives_a_planned_restart(tmp_path):
    """W24: with QoS 0 and a clean session everything sent during a restart was lost."""
    sent = [str(number).encode() for number in range(1500)]
    unheard = Inbox()
    unheard.hold = True
    async with running(tmp_path / "broker", inbox=unheard) as stand:
        unit = stand.fleet.add()
        await send(stand, unit, sent)
    assert unheard.committed == []
    async with running(tmp_path / "broker") as stand:
        await stand.inbox.wait_for(len(sent), time_limit=2 * DEADLINE)
        assert sorted(set(payloads_of(stand.inbox)), key=int) == sent


async def test_w24_messages_of_qos_0_wait_for_a_gateway_that_is_away(tmp_path):
    """W24: devices in the field send their state with QoS 0."""
    async with running(tmp_path / "broker") as stand:
        unit = stand.fleet.add()
        await stand.broker._session.stop(time_limit=1)
        await send(stand, unit, [b"state"], qos=0)
        await stand.broker._mosquitto.stop()
    async with running(tmp_path / "broker") as stand:
        assert await stand.inbox.wait_for(1) == [(unit.output, b"state")]


async def test_what_was_committed_does_not_come_again(tmp_path):
    async with running(tmp_path / "broker") as stand:
        unit = stand.fleet.add()
        await send(stand, unit, [b"1", b"2", b"3"])
        await stand.inbox.wait_for_commits(3)
    async with running(tmp_path / "broker") as stand:
        await stand.broker.publish(unit.output, b"end", timeout=DEADLINE)
        assert (await stand.inbox.wait_for(1))[0] == (unit.output, b"end")


async def test_handlers_that_finish_during_a_stop_are_acknowledged(tmp_path):
    inbox = Inbox()
    inbox.hold = True
    async with running(tmp_path / "broker", inbox=inbox) as stand:
        unit = stand.fleet.add()
        await send(stand, unit, [b"1", b"2"])
        await inbox.wait_for(2)
        asyncio.get_running_loop().call_later(0.1, inbox.release)
        await stand.broker.stop()
        assert len(inbox.committed) == 2
    async with running(tmp_path / "broker") as stand:
        await stand.broker.publish(unit.output, b"end", timeout=DEADLINE)
        assert (await stand.inbox.wait_for(1))[0] == (unit.output, b"end")


async def test_a_message_whose_handler_failed_comes_again(tmp_path):
    inbox = Inbox()
    inbox.failing = 1
    async with running(tmp_path / "broker", inbox=inbox) as stand:
        unit = stand.fleet.add()
        await send(stand, unit, [b"important"])
        await inbox.wait_for_commits(1)
        assert payloads_of(inbox) == [b"important", b"important"]


async def test_many_handlers_wait_at_the_same_time_so_that_a_batch_can_form(tmp_path):
    inbox = Inbox()
    inbox.hold = True
    async with running(tmp_path / "broker", inbox=inbox) as stand:
        unit = stand.fleet.add()
        await send(stand, unit, [b"x"] * 20)
        await inbox.wait_for(20)
        assert inbox.committed == []
        inbox.release()
        await inbox.wait_for_commits(20)


async def test_an_acknowledgement_is_never_sent_over_a_later_connection(tmp_path):
    """mosquitto.md: there it would hit a different message."""
    inbox = Inbox()
    inbox.hold = True
    async with running(tmp_path / "broker", inbox=inbox) as stand:
        unit = stand.fleet.add()
        await send(stand, unit, [b"one"])
        await inbox.wait_for(1)
        stand.broker._session._link.abort()
        await inbox.wait_for(2)  # it came again, over the next connection
        first, inbox._released = inbox._released, asyncio.Event()
        first.set()  # both are handled, the first one for a connection that is gone
        await inbox.wait_for_commits(2)
        inbox.hold = True
        await send(stand, unit, [b"two"])
        await inbox.wait_for(3)
    async with running(tmp_path / "broker") as stand:
        assert await stand.inbox.wait_for(1) == [(unit.output, b"two")]


async def test_a_full_backlog_stops_the_reading_and_loses_nothing(tmp_path):
    inbox = Inbox()
    inbox.hold = True
    sent = [f"{number:05d}".encode() + bytes(2000) for number in range(1000)]
    async with running(tmp_path / "broker", inbox=inbox, max_pending=20) as stand:
        unit = stand.fleet.add()
        await send(stand, unit, sent)
        await inbox.wait_for(20)
        while len(inbox.committed) < len(sent):
            # What one read brings (64 KiB) and gmqtt's reader holds besides may pass the bound.
            assert len(inbox.messages) - len(inbox.committed) <= 20 + 200
            waiting = len(inbox.messages)
            inbox.release()
            await inbox.wait_for_commits(waiting)
            inbox.hold = True
            if len(inbox.committed) < len(sent):
                await inbox.wait_for(waiting + 1)
    assert payloads_of(inbox) == sent


async def test_the_gateway_publishes_many_messages_at_once(tmp_path):
    async with running(tmp_path / "broker") as stand:
        unit = stand.fleet.add()
        wanted = {str(number).encode() for number in range(500)}
        await asyncio.gather(
            *(stand.broker.publish(unit.output, payload, timeout=DEADLINE) for payload in sorted(wanted))
        )
        await stand.inbox.wait_for(len(wanted))
        assert set(payloads_of(stand.inbox)) == wanted


async def test_a_publish_tells_whether_anybody_was_subscribed(tmp_path):
    """The gateway itself is not: it subscribes to what units say."""
    async with running(tmp_path / "broker", subscriptions=(f"{DOMAIN}/output_base_topic/+/+/pepeunit",)) as stand:
        unit = stand.fleet.add()

        async def command():
            heard = stand.broker.hears(unit.uuid, unit.command)
            return heard, await stand.broker.publish(unit.command, b"{}", timeout=DEADLINE)

        assert await command() == (False, False)
        client = await stand.connect(unit)
        assert await command() == (False, False)
        await client.send(subscribe_packet(unit.command))
        await client.expect(SUBACK)
        assert await asyncio.gather(command(), command()) == [(True, True)] * 2
        await client.close()
        await until(command, lambda found: found == (False, False))


async def test_a_publish_after_the_stop_fails(tmp_path):
    async with running(tmp_path / "broker") as stand:
        await stand.broker.stop()
        with pytest.raises(MqttError):
            await stand.broker.publish("topic", b"", timeout=0.05)


async def test_a_device_that_is_back_before_the_gateway_is_let_in_when_it_is_heard(tmp_path):
    """A new mosquitto knows no session: what came before the gateway subscribed would be acknowledged and forgotten."""
    async with running(tmp_path / "broker") as stand:
        unit = stand.fleet.add()

        async def is_connected():
            return stand.broker.connected

        for number in range(3):
            assert stand.broker.broker_pid is not None
            os.kill(stand.broker.broker_pid, signal.SIGKILL)
            await until(is_connected, lambda connected: not connected)
            payload = str(number).encode()
            await send(stand, unit, [payload])  # waits for the new mosquitto from its first moment on
            await stand.inbox.wait_for_commits(number + 1)
            assert payloads_of(stand.inbox)[-1] == payload
