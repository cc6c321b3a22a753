"""CONNACK and DISCONNECT of the door: refusals in the words of each protocol, and the door's own terms in MQTT 5.

Pure. Source: MQTT 3.1.1 chapter 3.2.2.3, MQTT 5 chapters 3.2.2 and 3.14.2.1.
"""

from dataclasses import dataclass
from enum import IntEnum

from pepeunit_gateway.broker.packets import (
    MQTT_5,
    MalformedPacketError,
    PacketType,
    Property,
    encode_length,
    encode_packet,
    encode_property,
    read_length,
    read_properties,
)
from pepeunit_gateway.broker.port import RefuseReason

__all__ = ["DisconnectCode", "Terms", "connack_with_terms", "cut_connack", "disconnect", "refusal"]

_CONNACK = PacketType.CONNACK << 4
_MIN_CONNACK_SIZE = 2
_MAX_CONNACK_SIZE = 4096

_CODES = {
    RefuseReason.PROTOCOL: (1, 0x84),
    RefuseReason.CLIENT_ID: (2, 0x85),
    RefuseReason.UNAVAILABLE: (3, 0x88),
    RefuseReason.BAD_CREDENTIALS: (4, 0x86),
    RefuseReason.NOT_AUTHORIZED: (5, 0x87),
    RefuseReason.WILL: (5, 0x87),
    RefuseReason.AUTH_METHOD: (5, 0x8C),
}


class DisconnectCode(IntEnum):
    """Why the door ends a session, as MQTT 5 says it; 3.1.1 has no word for it."""

    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    NOT_AUTHORIZED = 0x87
    SERVER_SHUTTING_DOWN = 0x8B
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE = 0x98
    QOS_NOT_SUPPORTED = 0x9B


@dataclass(frozen=True, slots=True)
class Terms:
    """What the door tells a client of MQTT 5 beside mosquitto's own CONNACK.

    Attributes:
        expiry_overridden: the client asked for a session that outlives its connection, and does not get it.
        assigned_client_id: the id the door chose for a client that sent none.
        max_packet_size: bytes of a whole packet that the door lets through.
    """

    expiry_overridden: bool
    assigned_client_id: str | None
    max_packet_size: int


def refusal(level: int, reason: RefuseReason) -> bytes:
    """Return the CONNACK that refuses; levels that the door does not speak get the form of 3.1.1."""
    old, new = _CODES[reason]
    if level == MQTT_5:
        return encode_packet(_CONNACK, bytes((0, new, 0)))
    return encode_packet(_CONNACK, bytes((0, old)))


def disconnect(level: int, code: DisconnectCode) -> bytes:
    """Return the DISCONNECT that tells a client of MQTT 5 why; nothing in 3.1.1, where a server only closes."""
    return encode_packet(PacketType.DISCONNECT << 4, bytes((code,))) if level == MQTT_5 else b""


def cut_connack(data: bytes) -> tuple[bytes, bytes] | None:
    """Cut the body of mosquitto's CONNACK off what has arrived; return (body, rest), or None while incomplete.

    Raises:
        MalformedPacketError: it is something else.
    """
    if data and data[0] != _CONNACK:
        raise MalformedPacketError("the broker did not answer with CONNACK")
    length = read_length(data, 1) if data else None
    if length is None:
        return None
    size, start = length
    if not _MIN_CONNACK_SIZE <= size <= _MAX_CONNACK_SIZE:
        raise MalformedPacketError("the broker's CONNACK has an impossible length")
    if len(data) < start + size:
        return None
    return data[start : start + size], data[start + size :]


def connack_with_terms(body: bytes, level: int, terms: Terms) -> bytes:
    """Return mosquitto's CONNACK as the client gets it."""
    if level != MQTT_5 or body[1] != 0:
        return encode_packet(_CONNACK, body)
    own = {Property.MAXIMUM_PACKET_SIZE: encode_property(Property.MAXIMUM_PACKET_SIZE, terms.max_packet_size)}
    if terms.expiry_overridden:
        own[Property.SESSION_EXPIRY] = encode_property(Property.SESSION_EXPIRY, 0)
    if terms.assigned_client_id is not None:
        own[Property.ASSIGNED_CLIENT_ID] = encode_property(
            Property.ASSIGNED_CLIENT_ID, terms.assigned_client_id.encode()
        )
    kept = b"".join(raw for identifier, raw in read_properties(body, 2) if identifier not in own)
    properties = kept + b"".join(own.values())
    return encode_packet(_CONNACK, body[:2] + encode_length(len(properties)) + properties)
