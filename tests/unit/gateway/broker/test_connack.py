import pytest

from pepeunit_gateway.broker.connack import (
    DisconnectCode,
    Terms,
    connack_with_terms,
    cut_connack,
    disconnect,
    refusal,
)
from pepeunit_gateway.broker.packets import MalformedPacketError, read_properties
from pepeunit_gateway.broker.port import RefuseReason


@pytest.mark.parametrize(
    ("reason", "old", "new"),
    [
        (RefuseReason.PROTOCOL, 1, 0x84),
        (RefuseReason.CLIENT_ID, 2, 0x85),
        (RefuseReason.UNAVAILABLE, 3, 0x88),
        (RefuseReason.BAD_CREDENTIALS, 4, 0x86),
        (RefuseReason.NOT_AUTHORIZED, 5, 0x87),
        (RefuseReason.WILL, 5, 0x87),
        (RefuseReason.AUTH_METHOD, 5, 0x8C),
    ],
)
def test_each_refusal_has_its_code_in_both_protocols(reason, old, new):
    assert refusal(4, reason) == bytes([0x20, 2, 0, old])
    assert refusal(3, reason) == bytes([0x20, 2, 0, old])
    assert refusal(5, reason) == bytes([0x20, 3, 0, new, 0])


def test_only_protocol_5_is_told_why_a_session_ends():
    assert disconnect(4, DisconnectCode.PACKET_TOO_LARGE) == b""
    assert disconnect(5, DisconnectCode.PACKET_TOO_LARGE) == b"\xe0\x01\x95"


def test_a_connack_that_is_cut_waits_and_what_follows_is_kept():
    assert cut_connack(b"") is None
    assert cut_connack(b"\x20\x02\x00") is None
    assert cut_connack(b"\x20\x02\x00\x00\x30\x00") == (b"\x00\x00", b"\x30\x00")
    for wrong in (b"\x30\x02\x00\x00", b"\x20\x00", b"\x20\xff\xff\x7f"):
        with pytest.raises(MalformedPacketError):
            cut_connack(wrong)


def test_a_connack_of_3_1_1_stays_as_it_is():
    assert connack_with_terms(
        b"\x00\x00", 4, Terms(expiry_overridden=True, assigned_client_id="x", max_packet_size=9)
    ) == (b"\x20\x02\x00\x00")


def test_protocol_5_is_told_the_door_s_terms_once_each():
    body = b"\x00\x00\x07\x25\x00\x27\x00\x00\xff\xff"  # mosquitto names a size of its own
    edited = connack_with_terms(body, 5, Terms(expiry_overridden=True, assigned_client_id="ab", max_packet_size=4096))
    assert dict(read_properties(edited[4:], 0)) == {
        0x25: b"\x25\x00",
        0x27: b"\x27\x00\x00\x10\x00",
        0x11: b"\x11\x00\x00\x00\x00",
        0x12: b"\x12\x00\x02ab",
    }
    assert edited[:4] == bytes([0x20, len(edited) - 2, 0, 0])
