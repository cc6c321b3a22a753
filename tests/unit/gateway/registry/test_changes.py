"""Absent is not null (W37)."""

from pepeunit_gateway.registry.changes import UNSET, sent


def test_only_what_was_sent_is_kept_null_included():
    assert sent(a=1, b=None, c=UNSET, d="") == {"a": 1, "b": None, "d": ""}


def test_unset_names_itself():
    assert repr(UNSET) == "UNSET"
