"""What happens to a live session: grants that change, kicks, revocations, stalled readers."""

import asyncio
import contextlib

import pytest

from pepeunit_gateway.access.grants import Grants
from pepeunit_gateway.broker.port import Identity
from tests.support.mqtt import (
    CONNACK,
    DEADLINE,
    DISCONNECT,
    PINGREQ_PACKET,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    Fleet,
    RawClient,
    connect_packet,
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


async def is_alive(client):
    await client.send(PINGREQ_PACKET)
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionResetError):
        return (await client.receive()).kind == PINGRESP
    return False


async def test_a_new_grant_counts_with_the_next_packet(stand):
    unit, other = stand.fleet.add(), stand.fleet.add()
    client = await stand.connect(unit)
    await client.send(subscribe_packet(other.output, mid=1))
    assert (await client.expect(SUBACK)).body == b"\x00\x01\x80"
    await stand.broker.grant(
        unit.uuid, Grants(unit.grants.publish | {other.command}, unit.grants.subscribe | {other.output})
    )
    await client.send(subscribe_packet(other.output, mid=2))
    assert (await client.expect(SUBACK)).body == b"\x00\x02\x01"
    listener = await stand.listen(other, other.command)
    await client.send(publish_packet(other.command, b"allowed now", qos=1))
    await client.expect(PUBACK)
    assert (await listener.expect(PUBLISH)).message() == (other.command, b"allowed now")


async def test_a_lost_right_to_publish_counts_with_the_next_packet_and_the_session_stays(stand):
    unit = stand.fleet.add()
    client = await stand.connect(unit, level=5)
    await client.send(publish_packet(unit.output, b"before", qos=1, level=5))
    assert len((await client.expect(PUBACK)).body) == 2
    await stand.broker.grant(unit.uuid, Grants(frozenset(), unit.grants.subscribe))
    await client.send(publish_packet(unit.output, b"after", qos=1, level=5))
    assert (await client.expect(PUBACK)).body == b"\x00\x01\x87"
    assert await is_alive(client)
    assert await stand.inbox.wait_for(1) == [(unit.output, b"before")]


async def test_a_lost_right_to_receive_ends_the_sessions_that_use_it_and_no_others(stand):
    source = stand.fleet.add()
    unit = stand.fleet.add(subscribe=(source.output,))
    listening = await stand.listen(unit, source.output, unit.command)
    idle = await stand.connect(unit, client_id="idle")
    left = await stand.connect(unit, client_id="left")
    await left.send(subscribe_packet(source.output), unsubscribe_packet(source.output), PINGREQ_PACKET)
    for _ in range(3):
        await left.receive()
    await stand.broker.grant(unit.uuid, Grants(unit.grants.publish, unit.grants.subscribe - {source.output}))
    await stand.broker.publish(source.output, b"no longer yours", timeout=DEADLINE)
    assert await listening.expect_end() == b""
    assert await is_alive(idle)
    assert await is_alive(left)


async def test_w5_a_kick_closes_every_session_of_the_unit_at_once_and_it_may_come_again(stand):
    """W5 (at the broker of one machine): revocations took minutes, clients were not kicked."""
    unit, bystander = stand.fleet.add(), stand.fleet.add()
    sessions = [await stand.connect(unit, client_id=name) for name in ("a", "b")]
    other = await stand.connect(bystander)
    await stand.broker.kick(unit.uuid)
    async with asyncio.timeout(1):
        for session in sessions:
            assert await session.expect_end() == b""
    assert await is_alive(other)
    assert await is_alive(await stand.connect(unit))


async def test_a_revoked_unit_is_closed_and_refused_by_the_authenticator(stand):
    unit = stand.fleet.add()
    client = await stand.connect(unit)
    del stand.fleet.units[unit.token]
    await stand.broker.revoke(unit.uuid)
    assert await client.expect_end() == b""
    again = await stand.open()
    await again.send(connect_packet(str(unit.uuid), unit.token))
    assert (await again.expect(CONNACK)).body == b"\x00\x04"


async def test_verbs_about_a_unit_that_is_not_connected_do_nothing(stand):
    unit = stand.fleet.add()
    await stand.broker.kick(unit.uuid)
    await stand.broker.revoke(unit.uuid)
    await stand.broker.grant(unit.uuid, unit.grants)


class SlowFleet(Fleet):
    """Answers with the grants that it read before it was told to go on: a change in between makes them stale."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = asyncio.Event()
        self.go_on = asyncio.Event()

    async def authenticate(self, token: str, client_id: str) -> Identity:
        identity = await super().authenticate(token, client_id)
        if self.asked == 1:
            self.reading.set()
            await self.go_on.wait()
        return identity


async def test_rights_that_change_while_a_connect_is_checked_are_not_missed(tmp_path):
    fleet = SlowFleet()
    async with running(tmp_path / "broker", fleet=fleet) as stand:
        source = fleet.add()
        unit = fleet.add(subscribe=(source.output,))
        client = await stand.open()
        await client.send(connect_packet(str(unit.uuid), unit.token), subscribe_packet(source.output))
        await fleet.reading.wait()
        unit.grants = Grants(unit.grants.publish, unit.grants.subscribe - {source.output})
        await stand.broker.grant(unit.uuid, unit.grants)
        fleet.go_on.set()
        await client.expect(CONNACK)
        assert (await client.expect(SUBACK)).body == b"\x00\x01\x80"


async def test_a_kick_reaches_a_session_that_is_still_opening(tmp_path):
    fleet = SlowFleet()
    async with running(tmp_path / "broker", fleet=fleet) as stand:
        unit = fleet.add()
        client = await stand.open()
        await client.send(connect_packet(str(unit.uuid), unit.token))
        await fleet.reading.wait()
        del fleet.units[unit.token]
        await stand.broker.revoke(unit.uuid)
        fleet.go_on.set()
        assert (await client.expect(CONNACK)).body == b"\x00\x04"


async def fill(sender: RawClient, topic: str, *, megabytes: int) -> None:
    """Send far more than any socket buffer holds; each megabyte is acknowledged before the next."""
    part = publish_packet(topic, bytes(64 * 1024))
    for _ in range(megabytes):
        await sender.send(part * 16, publish_packet(topic, b"", qos=1))
        await sender.expect(PUBACK)


async def test_a_device_that_does_not_read_is_ended(tmp_path):
    async with running(tmp_path / "broker", stall_timeout=0.2) as stand:
        source = stand.fleet.add()
        unit = stand.fleet.add(subscribe=(source.output,))
        await stand.listen(unit, source.output)  # its test client stops reading at 64 KiB
        sender = await stand.connect(source)
        probe = await stand.connect(unit, client_id="probe")
        await fill(sender, source.output, megabytes=16)
        async with asyncio.timeout(DEADLINE):
            while (
                len(stand.broker._door._units[unit.uuid]) > 1
            ):  # the door's own count: the stalled client reads nothing
                assert await is_alive(probe)


async def test_a_kick_leaves_nothing_for_a_device_that_does_not_read(stand):
    """mosquitto.md: closing in order let a stalled device read on for 4 MB."""
    source = stand.fleet.add()
    unit = stand.fleet.add(subscribe=(source.output,))
    stalled = await stand.listen(unit, source.output)
    sender = await stand.connect(source)
    await fill(sender, source.output, megabytes=16)
    await stand.broker.kick(unit.uuid)
    assert await is_alive(sender)
    assert len(stand.broker._door._connections) == 1  # closed in order it would still wait for its reader
    got = await stalled.expect_end()
    assert len(got) < 8 * 1024 * 1024  # what the kernel already held at most


async def test_a_slow_reader_gets_every_byte_in_order(stand):
    source = stand.fleet.add()
    unit = stand.fleet.add(subscribe=(source.output,))
    reader = await stand.listen(unit, source.output)
    sender = await stand.connect(source)
    await fill(sender, source.output, megabytes=16)
    for _ in range(16):
        for _ in range(16):
            assert len((await reader.expect(PUBLISH)).body) > 64 * 1024
        assert (await reader.expect(PUBLISH)).first == 0x32


async def test_at_a_stop_clients_of_protocol_5_are_told_and_all_are_closed(tmp_path):
    async with running(tmp_path / "broker") as stand:
        old, new = await stand.connect(stand.fleet.add()), await stand.connect(stand.fleet.add(), level=5)
        await stand.broker.stop()
        assert await old.expect_end() == b""
        assert (await new.expect(DISCONNECT)).body == b"\x8b"
        assert await new.expect_end() == b""
        await stand.broker.stop()


async def test_many_devices_connect_at_once(stand):
    """mosquitto's listen backlog is 10; parallel opens must not fail."""
    unit = stand.fleet.add()
    names = [f"device-{number}" for number in range(200)]
    clients = await asyncio.gather(*(stand.connect(unit, client_id=name) for name in names))
    assert all(await asyncio.gather(*map(is_alive, clients)))
