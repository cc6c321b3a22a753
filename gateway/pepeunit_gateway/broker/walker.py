"""Walks the packets that a device sends: headers, PUBLISH topics and SUBSCRIBE filters; nothing else is looked at.

Pure (sans I/O): bytes in, bytes for mosquitto out. A topic that is not granted becomes `denied`, so that mosquitto
ends the handshake with the right answer; a denied PUBLISH of QoS 0 is dropped. However the stream is cut into reads,
the bytes that come out are the same. Source: design.md "The broker on one machine", mosquitto.md "The door".
"""

from collections.abc import Callable
from dataclasses import dataclass

from pepeunit_gateway.access.grants import Grants
from pepeunit_gateway.broker.connack import DisconnectCode
from pepeunit_gateway.broker.packets import (
    MQTT_5,
    MalformedPacketError,
    PacketType,
    encode_length,
    encode_packet,
    encode_string,
    read_length,
    read_string,
    skip_properties,
)

__all__ = ["DENIED_TOPIC", "PacketWalker", "Rights", "SessionEndedError", "WalkerLimits"]

DENIED_TOPIC = b"denied"
"""The one topic that mosquitto's static rules deny to every device."""

_DENIED = encode_string(DENIED_TOPIC)
_DISCONNECT = b"\xe0\x00"
_MAX_TOPIC_BYTES = 1024
_PUBLISH_QOS = 0x06
_SUBSCRIBE_FLAGS = 0x02
_FAST_MASK = 0xF6  # type and QoS
_CONTINUES = 0x80  # the byte of a length that has another one behind it

# Passed as they are: acknowledgements and pings, with the flags the standard demands.
_PASSED = {PacketType.PUBACK: 0, PacketType.PUBREC: 0, PacketType.PUBREL: 2, PacketType.PUBCOMP: 0}
_PASSED |= {PacketType.PINGREQ: 0}


class SessionEndedError(Exception):
    """The device's session must end; `code` is None where the device itself said DISCONNECT.

    `output` holds what still goes to mosquitto: whole packets only.
    """

    def __init__(self, code: DisconnectCode | None, output: bytes) -> None:
        super().__init__(code.name if code else "disconnect")
        self.code = code
        self.output = output


@dataclass(frozen=True, slots=True)
class Rights:
    """The grants of a unit as they stand on the wire."""

    publish: frozenset[bytes]
    subscribe: frozenset[bytes]

    @classmethod
    def of(cls, grants: Grants, *, max_topic_levels: int) -> "Rights":
        """Encode a unit's grants. They are exact: what could mean more than itself, or has too many levels, is out."""
        return cls(_exact(grants.publish, max_topic_levels), _exact(grants.subscribe, max_topic_levels))


def _exact(topics: frozenset[str], max_levels: int) -> frozenset[bytes]:
    return frozenset(
        topic.encode()
        for topic in topics
        if not ("+" in topic or "#" in topic or topic.startswith("$") or topic.count("/") >= max_levels)
    )


@dataclass(frozen=True, slots=True)
class WalkerLimits:
    """Bytes of a whole packet, highest QoS of a PUBLISH."""

    max_packet_size: int
    max_qos: int = 2


class PacketWalker:
    """One device's stream. `rights` may be replaced at any time and counts from the next packet on.

    Holds at most the header and topic of one PUBLISH (about 1 KiB) or one whole SUBSCRIBE or UNSUBSCRIBE
    (`max_packet_size`); payloads pass as they arrive.
    """

    def __init__(
        self, level: int, rights: Rights, limits: WalkerLimits, on_denied: Callable[[bytes], None] | None = None
    ) -> None:
        self.rights = rights
        self.subscribed: set[bytes] = set()
        self._version5 = level == MQTT_5
        self._limits = limits
        self._on_denied = on_denied
        self._fast = frozenset(0x30 | qos << 1 for qos in range(limits.max_qos + 1))
        self._held = bytearray()
        self._needed = 0  # bytes that must be held before looking again makes sense
        self._skip = 0  # bytes of the current packet still to be dropped, before those that pass
        self._pass = 0  # bytes of the current packet still to be passed on

    def feed(self, data: bytes) -> bytes:
        """Take what was read; return what goes to mosquitto now.

        Raises:
            SessionEndedError: DISCONNECT, a broken or forbidden packet, one that is too large. Nothing follows.
        """
        if self._held:
            self._held += data
            if len(self._held) < self._needed:
                return b""
            data = bytes(self._held)
            self._held.clear()
        out: list[bytes] = []
        position = 0
        try:
            while position < len(data):
                if not (self._skip or self._pass):
                    run = self._granted_run(data, position)
                    if run > position:
                        out.append(data[position:run])
                        position = run
                        continue
                following = self._step(data, position, out)
                if following is None:
                    self._held += data[position:]
                    break
                position = following
        except MalformedPacketError:
            raise SessionEndedError(DisconnectCode.MALFORMED, b"".join(out)) from None
        except SessionEndedError as ended:
            raise SessionEndedError(ended.code, b"".join(out) + ended.output) from None
        return out[0] if len(out) == 1 else b"".join(out)

    def _granted_run(self, data: bytes, position: int) -> int:
        """Return where the whole, short, granted PUBLISH packets end that begin at `position`; the usual case, fast.

        It only ever shortens the way: whatever is unusual is left to `_step`.
        """
        granted, size, largest = self.rights.publish, len(data), self._limits.max_packet_size
        while position + 4 <= size and data[position] & _FAST_MASK in self._fast:
            length, body = data[position + 1], position + 2
            if length >= _CONTINUES:
                if data[body] >= _CONTINUES:
                    break
                length, body = length & 0x7F | data[body] << 7, position + 3
            end = body + length
            if length < 2 or end > size or end - position > largest:  # noqa: PLR2004 - the length field of the topic
                break
            topic_end = body + 2 + (data[body] << 8 | data[body + 1])
            identifier = 2 if data[position] & _PUBLISH_QOS else 0
            if topic_end + identifier > end or data[body + 2 : topic_end] not in granted:
                break
            position = end
        return position

    def _step(self, data: bytes, position: int, out: list[bytes]) -> int | None:
        """Handle one piece from `position` on; return the position after it, or None if more bytes are needed."""
        available = len(data) - position
        if self._skip:
            taken = min(self._skip, available)
            self._skip -= taken
            return position + taken
        if self._pass:
            taken = min(self._pass, available)
            self._pass -= taken
            out.append(data[position : position + taken])
            return position + taken
        length = read_length(data, position + 1)
        if length is None:
            self._needed = available + 1
            return None
        remaining, body = length
        if body - position + remaining > self._limits.max_packet_size:
            raise SessionEndedError(DisconnectCode.PACKET_TOO_LARGE, b"")
        if data[position] >> 4 == PacketType.PUBLISH:
            return self._publish(data, position, body, remaining, out)
        if len(data) < body + remaining:
            self._needed = body + remaining - position
            return None
        out.append(self._whole(data[position], data[position : body + remaining], body - position))
        return body + remaining

    def _publish(self, data: bytes, position: int, body: int, remaining: int, out: list[bytes]) -> int | None:
        if len(data) < body + 2:
            self._needed = body + 2 - position
            return None
        size = data[body] << 8 | data[body + 1]
        qos = (data[position] & _PUBLISH_QOS) >> 1
        if remaining < 2 + size + (2 if qos else 0) or qos == 3:  # noqa: PLR2004 - 3 is no QoS
            raise MalformedPacketError("PUBLISH")
        if qos > self._limits.max_qos:
            raise SessionEndedError(DisconnectCode.QOS_NOT_SUPPORTED, b"")
        topic_end = body + 2 + size
        if size <= _MAX_TOPIC_BYTES:
            if len(data) < topic_end:
                self._needed = topic_end - position
                return None
            topic = data[body + 2 : topic_end]
            # An empty topic is an alias of MQTT 5; none is offered, so mosquitto ends such a session itself.
            if topic in self.rights.publish or (not topic and self._version5):
                self._pass = body + remaining - position
                return position
            self._tell_denied(topic)
        else:
            self._tell_denied(data[body + 2 : topic_end][:_MAX_TOPIC_BYTES])
        if qos == 0:
            self._skip = body + remaining - position
            return position
        rest = remaining - 2 - size
        out.append(data[position : position + 1] + encode_length(len(_DENIED) + rest) + _DENIED)
        self._skip, self._pass = size, rest
        return body + 2

    def _whole(self, first: int, packet: bytes, body: int) -> bytes:
        """Return what mosquitto gets for a packet other than PUBLISH; `body` is where its variable header begins."""
        kind, flags = first >> 4, first & 0x0F
        if kind == PacketType.DISCONNECT:
            raise SessionEndedError(None, _DISCONNECT)
        if kind in {PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE}:
            if flags != _SUBSCRIBE_FLAGS:
                raise MalformedPacketError("flags of a SUBSCRIBE")
            return self._subscribe(packet, body) if kind == PacketType.SUBSCRIBE else self._unsubscribe(packet, body)
        expected = _PASSED.get(PacketType(kind)) if kind else None
        if expected is None:
            raise SessionEndedError(DisconnectCode.PROTOCOL_ERROR, b"")
        if flags != expected:
            raise MalformedPacketError("flags of a packet")
        return packet

    def _subscribe(self, packet: bytes, body: int) -> bytes:
        position = self._filters_start(packet, body)
        out = bytearray(packet[body:position])
        denied = False
        while position < len(packet):
            topic, options = read_string(packet, position)
            if options >= len(packet):
                raise MalformedPacketError("a filter without options")
            if topic in self.rights.subscribe:
                self.subscribed.add(topic)
                out += packet[position : options + 1]
            else:
                denied = True
                self._tell_denied(topic)
                out += _DENIED
                out.append(packet[options])
            position = options + 1
        return encode_packet(packet[0], bytes(out)) if denied else packet

    def _unsubscribe(self, packet: bytes, body: int) -> bytes:
        position = self._filters_start(packet, body)
        while position < len(packet):
            topic, position = read_string(packet, position)
            self.subscribed.discard(topic)
        return packet

    def _filters_start(self, packet: bytes, body: int) -> int:
        position = body + 2
        if self._version5:
            position = skip_properties(packet, position)
        if position >= len(packet):
            raise MalformedPacketError("no filter")
        return position

    def _tell_denied(self, topic: bytes) -> None:
        if self._on_denied:
            self._on_denied(topic)
