"""State and log messages of protocol/broker.md 6.4 and 6.5."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pepeunit_gateway.datapipe.messages import BadMessageError, parse_logs, parse_state

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
UNIT = UUID("11111111-1111-4111-8111-111111111111")
EMPTY = {
    "ifconfig": [],
    "statvfs": [],
    "millis": None,
    "mem_free": None,
    "mem_alloc": None,
    "freq": None,
    "pu_commit_version": None,
}


def state_of(payload):
    row = parse_state(UNIT, payload if isinstance(payload, bytes) else json.dumps(payload).encode(), NOW)
    assert (row.unit_uuid, row.time) == (UNIT, NOW)
    return row, json.loads(row.unit_state_dict)


def logs_of(payload):
    payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return parse_logs(UNIT, payload, NOW, keep_for=timedelta(days=1), random_bits=lambda _bits: 5)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, {}),
        ({"millis": 5, "freq": 1.5}, {"millis": 5.0, "freq": 1.5}),
        ({"mem_free": True, "mem_alloc": False}, {"mem_free": 1.0, "mem_alloc": 0.0}),
        ({"millis": "5", "freq": [], "mem_free": {}}, {}),
        ({"millis": 10**400}, {}),
        (
            {"ifconfig": ["10.0.0.2", "255.0.0.0"], "statvfs": [1, 2]},
            {"ifconfig": ["10.0.0.2", "255.0.0.0"], "statvfs": [1, 2]},
        ),
        ({"ifconfig": "10.0.0.2", "statvfs": {"a": 1}}, {}),
        ({"ifconfig": [[[[[[[[[1]]]]]]]]]}, {}),
        ({"pu_commit_version": "abc"}, {"pu_commit_version": "abc"}),
        ({"pu_commit_version": 7}, {}),
        ({"pu_commit_version": "a\0b"}, {}),
        ({"unknown": 1, "millis": 2}, {"millis": 2.0}),
        ({"unknown": "\ud800", "millis": 2}, {"millis": 2.0}),
        ({"\udfff": 1, "millis": 2}, {"millis": 2.0}),
        ({"pu_commit_version": "a\ud800", "millis": 2}, {"millis": 2.0}),
        ({"ifconfig": ["10.0.0.2", {"\ud800": 1}], "statvfs": [1], "millis": 2}, {"statvfs": [1], "millis": 2.0}),
        (b'{"unknown": "\xff", "millis": 2}', {"millis": 2.0}),
        (b'{"pu_commit_version": "\xed\xa0\x80", "freq": 1e999, "millis": 2}', {"millis": 2.0}),
        (b'{"pu_commit_version": "k\xc3\xb6ln", "unknown": 1e999}', {"pu_commit_version": "köln"}),
    ],
)
def test_a_state_is_filtered_key_by_key(message, expected):
    row, state = state_of(message)
    assert state == {**EMPTY, **expected}
    assert row.commit == expected.get("pu_commit_version")
    assert isinstance(state["millis"], float | None)


BROKEN = [b"", b"{", b"\xff", b"nonsense", b"NaN", b'{"millis": NaN}', b'{"a": "\xff}', b"[" * 100_000]


@pytest.mark.parametrize("payload", [*BROKEN, b"[]", b"3", b"null", b'"text"'], ids=lambda value: repr(value[:9]))
def test_a_state_that_is_no_object_is_bad(payload):
    with pytest.raises(BadMessageError):
        state_of(payload)


@pytest.mark.parametrize("payload", [*BROKEN, b"3", b"null", b'"text"'], ids=lambda value: repr(value[:9]))
def test_a_log_that_is_neither_object_nor_array_is_bad(payload):
    with pytest.raises(BadMessageError):
        logs_of(payload)


def test_one_object_is_one_line():
    logs = logs_of({"level": "info", "text": "hello"})
    (row,) = logs.rows
    assert (row.level, row.text, row.unit_uuid, row.create_datetime) == ("Info", "hello", UNIT, NOW)
    assert row.expiration_datetime == NOW + timedelta(days=1)
    assert logs.bad == 0


@pytest.mark.parametrize("level", ["Debug", "INFO", "warning", "eRROR", "critical"])
def test_the_level_is_written_in_any_case(level):
    assert [row.level for row in logs_of({"level": level, "text": ""}).rows] == [level.capitalize()]


@pytest.mark.parametrize(
    "item",
    [
        3,
        None,
        [],
        {},
        {"level": "Info"},
        {"text": "x"},
        {"level": "Trace", "text": "x"},
        {"level": 1, "text": "x"},
        {"level": "Info", "text": 5},
        {"level": "Info", "text": "a\0b"},
        {"level": "Info", "text": "half \ud83d of a pair"},
        {"level": "Info\udc00", "text": "x"},
        {"level": "Info", "text": "x", "create_datetime": "\ud800"},
        {"level": "Info", "text": "x", "create_datetime": "yesterday"},
        {"level": "Info", "text": "x", "create_datetime": []},
        {"level": "Info", "text": "x", "create_datetime": 1e300},
        {"level": "Info", "text": "x", "create_datetime": "0001-01-01T00:00:00+14:00"},
    ],
    ids=str,
)
def test_a_bad_item_is_left_out_alone_w26(item):
    logs = logs_of([{"level": "Info", "text": "before"}, item, {"level": "Info", "text": "after"}])
    assert [row.text for row in logs.rows] == ["before", "after"]
    assert logs.bad == 1
    assert logs.rows[1].create_datetime == NOW + timedelta(seconds=2)


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\\ud800"], ids=repr)
@pytest.mark.parametrize("more", [b"", b', "create_datetime": 1e999', b', "x": 1e999'])
def test_an_item_that_is_no_text_is_left_out_alone_w26(text, more):
    bad = b'{"level": "Info", "text": "' + text + b'"' + more + b"}"
    logs = logs_of(
        b'[{"level": "Info", "text": "\\ud83d\\ude00"}, ' + bad + b', {"level": "Info", "text": "k\xc3\xb6ln"}]'
    )
    assert [row.text for row in logs.rows] == ["\N{GRINNING FACE}", "köln"]
    assert logs.bad == 1


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2025-01-02T03:04:05Z", datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2025-01-02T03:04:05", datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2025-01-02T03:04:05+03:00", datetime(2025, 1, 2, 0, 4, 5, tzinfo=UTC)),
        (1_735_787_045, datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (None, NOW),
    ],
)
def test_the_time_of_a_line_may_be_given(value, moment):
    (row,) = logs_of({"level": "Info", "text": "x", "create_datetime": value}).rows
    assert row.create_datetime == moment


def test_the_uuids_of_one_message_are_ordered_and_of_version_7():
    rows = logs_of([{"level": "Info", "text": str(n)} for n in range(300)]).rows
    assert [row.uuid for row in rows] == sorted(row.uuid for row in rows)
    assert {row.uuid.version for row in rows} == {7}
