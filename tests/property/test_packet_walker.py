"""However a device's stream is cut into reads, mosquitto gets the same bytes, and the session ends the same way."""

from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.access.grants import Grants
from pepeunit_gateway.broker.walker import PacketWalker, Rights, SessionEndedError, WalkerLimits
from tests.support.mqtt import (
    DISCONNECT_PACKET,
    PINGREQ_PACKET,
    packet,
    publish_packet,
    subscribe_packet,
    unsubscribe_packet,
)

GRANTED = "d/out"
TOPICS = st.sampled_from([GRANTED, "d/in", "no", "#", "d/+", "$share/g/d/in", "", "a/b/c/d/e/f", "x" * 1100])
RIGHTS = Rights.of(Grants(frozenset({GRANTED}), frozenset({"d/in"})), max_topic_levels=5)
LIMITS = WalkerLimits(max_packet_size=2048)


def packets(level):
    publish = st.builds(
        publish_packet,
        TOPICS,
        st.binary(max_size=300),
        qos=st.integers(0, 2),
        level=st.just(level),
        mid=st.integers(1, 9),
    )
    filters = st.lists(TOPICS.filter(bool), min_size=1, max_size=4)
    subscribe = filters.map(lambda items: subscribe_packet(*items, level=level))
    unsubscribe = filters.map(lambda items: unsubscribe_packet(*items, level=level))
    acknowledge = st.sampled_from([packet(0x40, b"\x00\x01"), packet(0x62, b"\x00\x01"), PINGREQ_PACKET])
    broken = st.sampled_from([DISCONNECT_PACKET, packet(0x82, b"\x00\x01"), b"\x30\xff\xff\x7f", packet(0x10, b"x")])
    usual = st.one_of(publish, publish, subscribe, unsubscribe, acknowledge)
    return st.tuples(st.lists(usual, max_size=12), st.one_of(st.just(b""), broken, st.binary(max_size=40))).map(
        lambda parts: b"".join(parts[0]) + parts[1]
    )


def walk(level, chunks):
    unit = PacketWalker(level, RIGHTS, LIMITS)
    out = b""
    try:
        for chunk in chunks:
            out += unit.feed(chunk)
    except SessionEndedError as ended:
        return out + ended.output, ended.code, unit.subscribed
    return out, "open", unit.subscribed


@given(data=st.data(), level=st.sampled_from([4, 5]))
def test_any_cut_of_a_stream_gives_the_same_bytes(data, level):
    stream = data.draw(packets(level))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20).map(sorted))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    uncut = walk(level, [stream])
    assert walk(level, chunks) == uncut
    assert walk(level, [bytes([byte]) for byte in stream]) == uncut


@given(data=st.data())
def test_no_bytes_whatsoever_bring_a_topic_through_that_is_not_granted(data):
    stream = data.draw(packets(4))
    out, _, _ = walk(4, [stream])
    position = 0
    while position < len(out):
        first, length, shift, start = out[position], 0, 0, position + 1
        while start < len(out):
            length |= (out[start] & 0x7F) << shift
            shift, start = shift + 7, start + 1
            if out[start - 1] < 0x80:
                break
        if first >> 4 == 3 and start + 2 <= len(out):
            size = int.from_bytes(out[start : start + 2], "big")
            assert out[start + 2 : start + 2 + size] in {b"d/out", b"denied"}
        position = start + length
