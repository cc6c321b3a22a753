"""The encoding of MQTT 3.1.1 and 5: lengths, strings, properties and packet types. Bytes in, values out, no I/O.

Source: OASIS MQTT 3.1.1 and 5.0, chapters 1.5 and 2.
"""

from collections.abc import Iterator
from enum import IntEnum

__all__ = [
    "MQTT_5",
    "MQTT_311",
    "MalformedPacketError",
    "PacketType",
    "Property",
    "encode_length",
    "encode_packet",
    "encode_property",
    "encode_string",
    "read_length",
    "read_properties",
    "read_string",
    "skip_properties",
]

MQTT_311 = 4
MQTT_5 = 5

_MAX_LENGTH_BYTES = 4


class MalformedPacketError(Exception):
    """Bytes that are no MQTT; the connection that sent them ends."""


class PacketType(IntEnum):
    """The upper four bits of a packet's first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Property(IntEnum):
    """The properties of MQTT 5 that the door handles by name."""

    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    AUTHENTICATION_METHOD = 0x15
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    MAXIMUM_PACKET_SIZE = 0x27


# The wire form of every property of MQTT 5: a number of bytes, or what follows a length.
_FIXED = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x18: 4, 0x19: 1, 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1, 0x25: 1}
_FIXED |= {0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
_STRINGS = frozenset({0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})
_USER_PROPERTY = 0x26
_SUBSCRIPTION_ID = 0x0B


def read_length(data: bytes, position: int) -> tuple[int, int] | None:
    """Read a variable byte integer; return (value, position after it), or None if it is not complete yet.

    Raises:
        MalformedPacketError: more than four bytes.
    """
    value = 0
    for index in range(_MAX_LENGTH_BYTES):
        if position + index >= len(data):
            return None
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit of the standard
            return value, position + index + 1
    raise MalformedPacketError("a length of more than four bytes")


def encode_length(value: int) -> bytes:
    """Return the variable byte integer of `value`, below 268,435,456."""
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        out.append(byte | 0x80 if value else byte)
        if not value:
            return bytes(out)


def encode_packet(first_byte: int, body: bytes) -> bytes:
    """Return a whole packet; `first_byte` is type and flags."""
    return bytes((first_byte,)) + encode_length(len(body)) + body


def read_string(data: bytes, position: int) -> tuple[bytes, int]:
    """Read a field with a two-byte length; return (its bytes, position after it).

    Raises:
        MalformedPacketError: the field reaches beyond the packet.
    """
    end = position + 2
    if end > len(data):
        raise MalformedPacketError("a field is cut off")
    end += int.from_bytes(data[position:end], "big")
    if end > len(data):
        raise MalformedPacketError("a field is cut off")
    return data[position + 2 : end], end


def encode_string(value: bytes) -> bytes:
    """Return `value` behind its two-byte length."""
    return len(value).to_bytes(2, "big") + value


def encode_property(identifier: Property, value: int | bytes) -> bytes:
    """Return one property; a number takes the width that the standard gives it."""
    if isinstance(value, int):
        return bytes((identifier,)) + value.to_bytes(_FIXED[identifier], "big")
    return bytes((identifier,)) + encode_string(value)


def skip_properties(data: bytes, position: int) -> int:
    """Return the position after a block of properties.

    Raises:
        MalformedPacketError: the block reaches beyond the packet.
    """
    length = read_length(data, position)
    if length is None or length[0] + length[1] > len(data):
        raise MalformedPacketError("properties are cut off")
    return length[0] + length[1]


def read_properties(data: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """Yield (identifier, whole bytes of the property, its identifier included) of the block at `position`.

    Raises:
        MalformedPacketError: an unknown property, or one that reaches beyond its block.
    """
    end = skip_properties(data, position)
    length = read_length(data, position)
    cursor = length[1] if length else end
    while cursor < end:
        following = _property_end(data, cursor)
        if following > end:
            raise MalformedPacketError("a property is cut off")
        yield data[cursor], data[cursor:following]
        cursor = following


def _property_end(data: bytes, position: int) -> int:
    identifier = data[position]
    if identifier in _FIXED:
        return position + 1 + _FIXED[identifier]
    if identifier in _STRINGS:
        return read_string(data, position + 1)[1]
    if identifier == _USER_PROPERTY:
        return read_string(data, read_string(data, position + 1)[1])[1]
    if identifier == _SUBSCRIPTION_ID:
        length = read_length(data, position + 1)
        if length:
            return length[1]
    raise MalformedPacketError("an unknown property")
