"""The packets of MQTT 3.1.1 that a unit sends, and the numbers of those it receives."""

import struct

CONNACK = 2
PUBLISH = 3
PUBACK = 4
SUBACK = 9
UNSUBACK = 11
PINGRESP = 13

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

REFUSALS = ("", "protocol version", "client id", "broker unavailable", "user name or token", "not authorized")


def _text(value):
    data = value.encode()
    return struct.pack("!H", len(data)) + data


def _packet(kind, *parts):
    length = sum(len(part) for part in parts)
    head = bytearray((kind,))
    while True:
        head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            break
    return bytes(head) + b"".join(parts)


def connect(client_id, username, keepalive):
    """CONNECT with a clean session, the user name and an empty password that is there."""
    flags = 0x80 | 0x40 | 0x02
    return _packet(
        0x10, b"\x00\x04MQTT\x04", struct.pack("!BH", flags, keepalive), _text(client_id), _text(username), b"\x00\x00"
    )


def publish(topic, payload, pid):
    """PUBLISH with QoS 1."""
    return _packet(0x32, _text(topic), struct.pack("!H", pid), payload)


def puback(pid):
    return struct.pack("!BBH", 0x40, 2, pid)


def subscribe(pid, topics):
    """SUBSCRIBE to every topic with QoS 1."""
    parts = []
    for topic in topics:
        parts.append(_text(topic))
        parts.append(b"\x01")
    return _packet(0x82, struct.pack("!H", pid), *parts)


def unsubscribe(pid, topics):
    return _packet(0xA2, struct.pack("!H", pid), *[_text(topic) for topic in topics])
