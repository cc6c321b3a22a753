import pytest

from pepeunit_gateway.broker.packets import (
    MalformedPacketError,
    Property,
    encode_length,
    encode_property,
    read_length,
    read_properties,
    read_string,
    skip_properties,
)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16383, "ff7f"), (16384, "808001"), (268435455, "ffffff7f")],
)
def test_a_length_is_written_and_read_as_the_standard_says(value, encoded):
    assert encode_length(value).hex() == encoded
    assert read_length(bytes.fromhex(encoded), 0) == (value, len(encoded) // 2)


def test_a_length_that_is_cut_is_not_there_yet():
    assert read_length(b"\x80\x80", 0) is None
    assert read_length(b"", 0) is None


def test_a_length_of_five_bytes_is_malformed():
    with pytest.raises(MalformedPacketError):
        read_length(b"\x80\x80\x80\x80\x01", 0)


def test_a_string_beyond_its_packet_is_malformed():
    for data in (b"", b"\x00", b"\x00\x03ab"):
        with pytest.raises(MalformedPacketError):
            read_string(data, 0)


def test_properties_are_taken_apart():
    block = (
        encode_property(Property.SESSION_EXPIRY, 300)
        + b"\x26\x00\x01a\x00\x01b"
        + b"\x0b\x80\x01"
        + encode_property(Property.ASSIGNED_CLIENT_ID, b"x")
    )
    data = encode_length(len(block)) + block + b"rest"
    assert [identifier for identifier, _ in read_properties(data, 0)] == [0x11, 0x26, 0x0B, 0x12]
    assert b"".join(raw for _, raw in read_properties(data, 0)) == block
    assert data[skip_properties(data, 0) :] == b"rest"


@pytest.mark.parametrize("block", ["05 11000000", "02 11000000", "01 7f", "03 260001", "09 11"])
def test_properties_that_are_cut_or_unknown_are_malformed(block):
    with pytest.raises(MalformedPacketError):
        list(read_properties(bytes.fromhex(block), 0))
