"""What a git server announces, read from anything that a server might say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.firmware.advertised import AdvertisementError, parse_http
from pepeunit_gateway.firmware.refs import parse_show_ref

A, B, C = "a" * 40, "b" * 40, "c" * 40
SERVICE = b"001e# service=git-upload-pack\n0000"
CAPABILITIES = b"\0multi_ack symref=HEAD:refs/heads/main object-format=sha1"
NOTHING = b"0" * 40 + b" capabilities^{}"


def http(lines):
    packets = [line + CAPABILITIES * (number == 0) for number, line in enumerate(lines)]
    return SERVICE + b"".join(b"%04x" % (len(data) + 4) + data for data in packets) + b"0000"


def ref(commit, name):
    return commit.encode() + b" " + name


NAMES = st.binary(max_size=12).map(lambda name: b"refs/heads/" + name.translate(None, b"\0\n"))  # what ends a name


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda tail: SERVICE + tail)))
def test_garbage_is_refused_and_never_crashes(body):
    try:
        parse_http(body)
    except AdvertisementError:
        return
    assert body == SERVICE + b"0000"


@given(st.lists(NAMES, max_size=6), st.data())
def test_a_list_that_is_accepted_is_the_whole_list_and_any_part_of_it_is_refused(names, data):
    lines = [ref(A, name) for name in names]
    body = http(lines or [NOTHING])
    try:
        refs = parse_http(body)
    except AdvertisementError:
        return
    assert refs == parse_show_ref(b"\n".join(lines))
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(AdvertisementError):
        parse_http(body[:cut])


@given(st.data())
def test_a_byte_that_changed_is_refused_or_changes_what_was_said(data):
    body = bytearray(http([ref(A, b"refs/heads/main"), ref(B, b"refs/tags/v1"), ref(C, b"refs/tags/v1^{}")]))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] = data.draw(st.integers(0, 255))
    try:
        refs = parse_http(bytes(body))
    except AdvertisementError:
        return
    assert all(len(commit) == len(A) for commit in [*refs.heads.values(), *refs.tags.values()])
