"""The first packet of a connection: what a client says in CONNECT, and what mosquitto is told instead.

Pure: bytes in, values and bytes out. Source: MQTT 3.1.1 chapter 3.1, MQTT 5 chapter 3.1, mosquitto.md "The door".
"""

from dataclasses import dataclass
from uuid import UUID

from pepeunit_gateway.broker.packets import (
    MQTT_5,
    MQTT_311,
    MalformedPacketError,
    PacketType,
    Property,
    encode_length,
    encode_packet,
    encode_string,
    read_length,
    read_properties,
    read_string,
    skip_properties,
)
from pepeunit_gateway.broker.port import ConnectRefused, RefuseReason

__all__ = ["MAX_CONNECT_SIZE", "Connect", "broker_client_id", "cut_connect", "parse_connect", "upstream_connect"]

MAX_CONNECT_SIZE = 16 * 1024
"""Bytes of a CONNECT: a token, a client id and a few properties; nothing else is let in."""

_CONNECT = PacketType.CONNECT << 4
_PROTOCOL_NAME = encode_string(b"MQTT")

_RESERVED = 0x01
_CLEAN = 0x02
_WILL = 0x04
_WILL_QOS_RETAIN = 0x38
_PASSWORD = 0x40
_USERNAME = 0x80

# What a client may ask of mosquitto: how much it takes at once, and what it wants to be told. The rest is the door's.
_PASSED = frozenset({Property.RECEIVE_MAXIMUM, Property.TOPIC_ALIAS_MAXIMUM, Property.MAXIMUM_PACKET_SIZE, 0x17, 0x19})


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT that is formally right. The token stays out of the repr through `__repr__`."""

    level: int
    keepalive: int
    clean: bool
    client_id: str
    token: str
    session_expiry: int
    properties: bytes

    def __repr__(self) -> str:
        return f"Connect(level={self.level}, client_id={self.client_id!r}, token=***)"


def cut_connect(data: bytes) -> tuple[bytes, bytes] | None:
    """Cut the body of the CONNECT off what has arrived; return (body, rest), or None while it is not complete.

    Raises:
        MalformedPacketError: not a CONNECT, or longer than MAX_CONNECT_SIZE.
    """
    if data and data[0] != _CONNECT:
        raise MalformedPacketError("the first packet is no CONNECT")
    length = read_length(data, 1) if data else None
    if length is None:
        return None
    size, start = length
    if size > MAX_CONNECT_SIZE:
        raise MalformedPacketError("a CONNECT that is too long")
    if len(data) < start + size:
        return None
    return data[start : start + size], data[start + size :]


def parse_connect(body: bytes, *, max_client_id_len: int) -> Connect:
    """Take a CONNECT apart.

    Raises:
        ConnectRefused: another protocol level, a will, a client id that is too long, authentication of MQTT 5.
        MalformedPacketError: not MQTT at all.
    """
    name, position = read_string(body, 0)
    if name not in {b"MQTT", b"MQIsdp"} or len(body) < position + 4:
        raise MalformedPacketError("not the head of a CONNECT")
    level, flags = body[position], body[position + 1]
    if name != b"MQTT" or level not in {MQTT_311, MQTT_5}:
        raise ConnectRefused(RefuseReason.PROTOCOL)
    _check_flags(level, flags)
    keepalive = int.from_bytes(body[position + 2 : position + 4], "big")
    position += 4
    expiry, properties = 0, b""
    if level == MQTT_5:
        expiry, properties = _connect_properties(body, position)
        position = skip_properties(body, position)
    client_id, position = read_string(body, position)
    if flags & _WILL:
        raise ConnectRefused(RefuseReason.WILL)
    token = b""
    if flags & _USERNAME:
        token, position = read_string(body, position)
    if flags & _PASSWORD:
        _, position = read_string(body, position)
    if position != len(body):
        raise MalformedPacketError("bytes after the last field of a CONNECT")
    text = _decode(client_id)
    if len(text) > max_client_id_len or (not text and level == MQTT_311 and not flags & _CLEAN):
        raise ConnectRefused(RefuseReason.CLIENT_ID)
    return Connect(level, keepalive, bool(flags & _CLEAN), text, _decode(token), expiry, properties)


def _check_flags(level: int, flags: int) -> None:
    if flags & _RESERVED or (not flags & _WILL and flags & _WILL_QOS_RETAIN):
        raise MalformedPacketError("wrong flags in a CONNECT")
    if level == MQTT_311 and flags & _PASSWORD and not flags & _USERNAME:
        raise MalformedPacketError("a password without a username")


def _connect_properties(body: bytes, position: int) -> tuple[int, bytes]:
    expiry, passed, seen = 0, bytearray(), set[int]()
    for identifier, raw in read_properties(body, position):
        if identifier == Property.AUTHENTICATION_METHOD:
            raise ConnectRefused(RefuseReason.AUTH_METHOD)
        if identifier == Property.SESSION_EXPIRY:
            expiry = int.from_bytes(raw[1:], "big")
        elif identifier in _PASSED:
            if identifier in seen:
                raise MalformedPacketError("a property twice")
            seen.add(identifier)
            passed += raw
    return expiry, bytes(passed)


def _decode(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise MalformedPacketError("a field is not UTF-8") from error
    if "\0" in text:
        raise MalformedPacketError("a zero in a field")
    return text


def broker_client_id(unit_uuid: UUID, client_id: str) -> str:
    """Return the id under which mosquitto knows a session: inside the unit's own space, whatever the client sent."""
    return f"u/{unit_uuid}" if client_id == str(unit_uuid) else f"u/{unit_uuid}/{client_id}"


def upstream_connect(connect: Connect, client_id: str) -> bytes:
    """Return the CONNECT for mosquitto: clean, anonymous, without a will, its session ending with the connection."""
    head = _PROTOCOL_NAME + bytes((connect.level, _CLEAN)) + connect.keepalive.to_bytes(2, "big")
    if connect.level == MQTT_5:
        head += encode_length(len(connect.properties)) + connect.properties
    return encode_packet(_CONNECT, head + encode_string(client_id.encode()))
