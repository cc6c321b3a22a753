import pytest

from pepeunit_gateway.access.grants import Grants
from pepeunit_gateway.broker.connack import DisconnectCode
from pepeunit_gateway.broker.walker import PacketWalker, Rights, SessionEndedError, WalkerLimits
from tests.support.mqtt import (
    DISCONNECT_PACKET,
    PINGREQ_PACKET,
    connect_packet,
    packet,
    publish_packet,
    subscribe_packet,
    unsubscribe_packet,
)

LIMITS = WalkerLimits(max_packet_size=2048)
RIGHTS = Rights.of(Grants(frozenset({"d/out"}), frozenset({"d/in", "d/cmd"})), max_topic_levels=5)


def walker(level=4, rights=RIGHTS, limits=LIMITS):
    return PacketWalker(level, rights, limits)


def ended(data, level=4, **kwargs):
    with pytest.raises(SessionEndedError) as caught:
        walker(level, **kwargs).feed(data)
    return caught.value


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_granted_messages_pass_untouched(level, qos):
    stream = publish_packet("d/out", b"payload" * 100, qos=qos, level=level) * 3 + PINGREQ_PACKET
    assert walker(level).feed(stream) == stream


@pytest.mark.parametrize(
    "topic", ["d/in", "d/out/", "D/out", "d", "$SYS/x", "$CONTROL/dynamic-security/v1", "x" * 1500]
)
def test_a_denied_message_of_qos_0_is_dropped_and_of_qos_1_and_2_goes_to_denied(topic):
    assert walker().feed(publish_packet(topic, b"x") + PINGREQ_PACKET) == PINGREQ_PACKET
    for qos in (1, 2):
        assert walker().feed(publish_packet(topic, b"x", qos=qos, mid=7)) == publish_packet(
            "denied", b"x", qos=qos, mid=7
        )


def test_only_denied_filters_are_replaced_and_in_their_order():
    sent = subscribe_packet("d/in", "d/#", "+/in", "$share/g/d/in", "d/cmd", "denied")
    assert walker().feed(sent) == subscribe_packet("d/in", "denied", "denied", "denied", "d/cmd", "denied")


def test_wildcards_are_denied_even_if_the_grants_held_one():
    rights = Rights.of(Grants(frozenset({"d/+"}), frozenset({"#", "d/+", "$share/g/x", "d/in"})), max_topic_levels=5)
    assert rights == Rights(frozenset(), frozenset({b"d/in"}))


def test_a_topic_with_too_many_levels_is_denied():
    rights = Rights.of(Grants(frozenset({"a/b/c/d/e", "a/b/c/d/e/f"}), frozenset()), max_topic_levels=5)
    assert walker(rights=rights).feed(publish_packet("a/b/c/d/e", b"")) == publish_packet("a/b/c/d/e", b"")
    assert walker(rights=rights).feed(publish_packet("a/b/c/d/e/f", b"")) == b""


def test_what_is_subscribed_is_known():
    unit = walker()
    unit.feed(subscribe_packet("d/in", "d/cmd", "d/other"))
    assert unit.subscribed == {b"d/in", b"d/cmd"}
    unit.feed(unsubscribe_packet("d/in", "nothing"))
    assert unit.subscribed == {b"d/cmd"}


def test_changed_rights_count_from_the_next_packet_on():
    unit = walker()
    stream = publish_packet("d/out", b"first") + publish_packet("d/out", b"second")
    cut = len(stream) // 2 - 3  # inside the first payload
    begun = unit.feed(stream[:cut])
    unit.rights = Rights(frozenset(), frozenset())
    assert begun + unit.feed(stream[cut:]) == publish_packet("d/out", b"first")


def test_an_empty_topic_is_an_alias_of_protocol_5_and_is_left_to_mosquitto():
    alias = packet(0x30, b"\x00\x00\x03\x23\x00\x01payload")
    assert walker(5).feed(alias) == alias
    assert walker(4).feed(alias) == b""


def test_a_disconnect_is_passed_plain_and_ends_the_session():
    end = ended(PINGREQ_PACKET + packet(0xE0, b"\x04\x05\x11\x00\x00\x01\x00") + PINGREQ_PACKET, 5)
    assert (end.code, end.output) == (None, PINGREQ_PACKET + DISCONNECT_PACKET)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (connect_packet("again", "t"), DisconnectCode.PROTOCOL_ERROR),
        (packet(0x20, b"\x00\x00"), DisconnectCode.PROTOCOL_ERROR),
        (packet(0xF0, b""), DisconnectCode.PROTOCOL_ERROR),
        (packet(0x00, b""), DisconnectCode.PROTOCOL_ERROR),
        (b"\x30\xff\xff\xff\xff\x7f", DisconnectCode.MALFORMED),
        (packet(0x36, b"\x00\x01a\x00\x01"), DisconnectCode.MALFORMED),
        (packet(0x30, b"\x00\x09a"), DisconnectCode.MALFORMED),
        (packet(0x32, b"\x00\x01a"), DisconnectCode.MALFORMED),
        (packet(0x80, b"\x00\x01\x00\x01a\x00"), DisconnectCode.MALFORMED),
        (packet(0x82, b"\x00\x01"), DisconnectCode.MALFORMED),
        (packet(0x82, b"\x00\x01\x00\x01a"), DisconnectCode.MALFORMED),
        (packet(0x82, b"\x00\x01\x00\x05a"), DisconnectCode.MALFORMED),
        (packet(0xA2, b"\x00\x01"), DisconnectCode.MALFORMED),
        (packet(0x60, b"\x00\x01"), DisconnectCode.MALFORMED),
        (b"\x30\xff\x0f", DisconnectCode.PACKET_TOO_LARGE),
        (b"\x82\xff\xff\x7f", DisconnectCode.PACKET_TOO_LARGE),
    ],
)
def test_broken_and_forbidden_packets_end_the_session_and_nothing_of_them_passes(data, code):
    end = ended(PINGREQ_PACKET + data)
    assert (end.code, end.output) == (code, PINGREQ_PACKET)


def test_the_largest_packet_passes_and_one_byte_more_does_not():
    overhead = len(publish_packet("d/out", bytes(1000))) - 1000
    fits = publish_packet("d/out", bytes(2048 - overhead))
    assert walker().feed(fits) == fits
    assert ended(publish_packet("d/out", bytes(2049 - overhead))).code is DisconnectCode.PACKET_TOO_LARGE


def test_a_qos_above_the_limit_ends_the_session():
    limits = WalkerLimits(max_packet_size=2048, max_qos=1)
    assert walker(limits=limits).feed(publish_packet("d/out", b"", qos=1))
    assert ended(publish_packet("d/out", b"", qos=2), limits=limits).code is DisconnectCode.QOS_NOT_SUPPORTED


def test_denied_topics_are_told():
    told = []
    PacketWalker(4, RIGHTS, LIMITS, told.append).feed(publish_packet("no", b"") + subscribe_packet("d/in", "#"))
    assert told == [b"no", b"#"]
