from uuid import UUID

import pytest

from pepeunit_gateway.broker.connect import (
    MAX_CONNECT_SIZE,
    broker_client_id,
    cut_connect,
    parse_connect,
    upstream_connect,
)
from pepeunit_gateway.broker.packets import MalformedPacketError
from pepeunit_gateway.broker.port import ConnectRefused, RefuseReason
from tests.support.mqtt import connect_packet, field_bytes, packet

UNIT = UUID("0b8f6d0e-8f2a-4c6e-9a51-2d6b1f0c7e11")


def parse(data, **kwargs):
    cut = cut_connect(data)
    assert cut is not None
    return parse_connect(cut[0], max_client_id_len=kwargs.get("max_client_id_len", 64))


def reason_of(data):
    with pytest.raises(ConnectRefused) as caught:
        parse(data)
    return caught.value.reason


def test_a_connect_that_is_cut_waits_and_what_follows_is_kept():
    data = connect_packet("id", "token")
    for size in range(len(data)):
        assert cut_connect(data[:size]) is None
    assert cut_connect(data + b"more") == (data[2:], b"more")


@pytest.mark.parametrize("level", [4, 5])
def test_a_device_s_connect_is_read(level):
    connect = parse(connect_packet("id", "the-token", level=level, keepalive=20, clean=False))
    assert (connect.level, connect.keepalive, connect.clean) == (level, 20, False)
    assert (connect.client_id, connect.token) == ("id", "the-token")


def test_the_token_stays_out_of_the_repr():
    assert "secret" not in repr(parse(connect_packet("id", "secret")))


def test_what_is_no_connect_is_malformed():
    for data in (b"GET / HTTP/1.1\r\n", b"\x30\x00", b"\x11\x00", packet(0x10, bytes(MAX_CONNECT_SIZE + 1))):
        with pytest.raises(MalformedPacketError):
            cut_connect(data)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        field_bytes("HTTP") + b"\x04\x02\x00\x00",
        field_bytes("MQTT") + b"\x04",
        field_bytes("MQTT") + b"\x04\x03\x00\x3c" + field_bytes("id"),  # reserved flag
        field_bytes("MQTT") + b"\x04\x0a\x00\x3c" + field_bytes("id"),  # QoS of a will that is not there
        field_bytes("MQTT") + b"\x04\x42\x00\x3c" + field_bytes("id") + field_bytes("p"),  # password alone
        field_bytes("MQTT") + b"\x04\x02\x00\x3c" + field_bytes("id") + b"x",  # something after the end
        field_bytes("MQTT") + b"\x04\x82\x00\x3c" + field_bytes("id"),  # the username is missing
        field_bytes("MQTT") + b"\x04\x02\x00\x3c" + field_bytes(b"\xff"),
        field_bytes("MQTT") + b"\x04\x02\x00\x3c" + field_bytes("a\0b"),
        field_bytes("MQTT") + b"\x05\x02\x00\x3c\x09\x11" + field_bytes("id"),
    ],
)
def test_a_broken_connect_is_malformed(body):
    with pytest.raises(MalformedPacketError):
        parse_connect(body, max_client_id_len=64)


def test_only_the_levels_4_and_5_are_spoken():
    for level in (3, 6, 0x84, 0x85):
        assert reason_of(connect_packet("id", "t", level=level)) is RefuseReason.PROTOCOL
    old = field_bytes("MQIsdp") + b"\x03\x02\x00\x3c" + field_bytes("id")
    assert reason_of(packet(0x10, old)) is RefuseReason.PROTOCOL


def test_wills_are_refused():
    for level in (4, 5):
        assert reason_of(connect_packet("id", "t", level=level, will=("topic", b"gone"))) is RefuseReason.WILL


def test_client_ids_have_a_length_and_an_empty_one_needs_a_clean_session():
    assert reason_of(connect_packet("x" * 65, "t")) is RefuseReason.CLIENT_ID
    assert reason_of(connect_packet("", "t", clean=False)) is RefuseReason.CLIENT_ID
    assert parse(connect_packet("", "t", clean=False, level=5)).client_id == ""


def test_extended_authentication_is_refused():
    properties = b"\x15" + field_bytes("SCRAM")
    assert reason_of(connect_packet("id", "t", level=5, properties=properties)) is RefuseReason.AUTH_METHOD


def test_mosquitto_is_told_a_clean_anonymous_session_and_nothing_of_the_token():
    told = upstream_connect(parse(connect_packet("id", "token", clean=False, keepalive=7)), "u/x")
    assert told == packet(0x10, field_bytes("MQTT") + b"\x04\x02\x00\x07" + field_bytes("u/x"))


def test_of_the_properties_only_what_concerns_the_way_to_the_device_is_passed_on():
    receive_maximum, expiry, user = b"\x21\x00\x05", b"\x11\x00\x00\x01\x2c", b"\x26\x00\x01a\x00\x01b"
    connect = parse(connect_packet("id", "t", level=5, properties=expiry + receive_maximum + user))
    assert connect.session_expiry == 300
    expected = field_bytes("MQTT") + b"\x05\x02\x00\x3c\x03" + receive_maximum + field_bytes("u/x")
    assert upstream_connect(connect, "u/x") == packet(0x10, expected)


def test_a_property_that_comes_twice_is_malformed():
    with pytest.raises(MalformedPacketError):
        parse(connect_packet("id", "t", level=5, properties=b"\x21\x00\x05\x21\x00\x06"))


def test_every_client_id_lands_in_the_unit_s_own_space():
    assert broker_client_id(UNIT, str(UNIT)) == f"u/{UNIT}"
    for other in ("gateway-main", "../gateway-main", "u/other"):
        assert broker_client_id(UNIT, other) == f"u/{UNIT}/{other}"
