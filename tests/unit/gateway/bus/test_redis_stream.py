"""Entries of the change stream as others wrote them."""

from uuid import uuid4

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.redis_stream import Entry


def test_an_entry_names_a_kind_of_change_and_its_entities():
    a, b = uuid4(), uuid4()
    assert Entry.parse({b"o": b"x", b"k": b"node", b"u": a.bytes + b.bytes}) == Entry(Change.NODE, (a, b))


def test_an_entry_without_entities_means_everything_of_its_kind():
    assert Entry.parse({b"k": b"node", b"u": b""}) == Entry(Change.NODE, None)


def test_an_entry_that_cannot_be_read_means_everything():
    for fields in ({}, {b"k": b"node"}, {b"u": b""}, {b"k": b"node", b"u": b"short"}):
        assert Entry.parse(fields) == Entry(None, None)


def test_a_kind_that_only_a_newer_gateway_knows_is_passed_over():
    assert Entry.parse({b"k": b"not-known", b"u": uuid4().bytes}) is None
    assert Entry.parse({b"k": b"\xff", b"u": uuid4().bytes}) is None
