"""One table per step of protocol/datapipe.md 3; what is expected was written by hand from it."""

from datetime import UTC, datetime, timedelta

import pytest

from pepeunit_gateway.datapipe.pipe import compile_pipe
from pepeunit_gateway.datapipe.stages import Drop, NodeState, evaluate
from tests.support.telemetry import config

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
BEFORE, AFTER = "2025-06-01T11:00:00Z", "2025-06-01T13:00:00Z"
EXACT = "2025-06-01T12:00:00Z"


def judge(payload, state=None, **sections):
    verdict = evaluate(compile_pipe(config(**sections)), state, payload, NOW)
    return verdict.drop or verdict.value


def number(**filters):
    return {"type_input_value": "Number", **filters}


@pytest.mark.parametrize(
    ("period", "passes"),
    [
        ({"type": "Permanent"}, True),
        ({"type": "Permanent", "start": AFTER, "end": BEFORE}, True),
        ({"type": "FromDate", "start": BEFORE}, True),
        ({"type": "FromDate", "start": EXACT}, False),
        ({"type": "FromDate", "start": AFTER}, False),
        ({"type": "FromDate", "start": BEFORE, "end": BEFORE}, True),
        ({"type": "ToDate", "end": AFTER}, True),
        ({"type": "ToDate", "end": EXACT}, False),
        ({"type": "ToDate", "end": BEFORE}, False),
        ({"type": "DateRange", "start": BEFORE, "end": AFTER}, True),
        ({"type": "DateRange", "start": BEFORE, "end": EXACT}, False),
        ({"type": "DateRange", "start": EXACT, "end": AFTER}, False),
        # B9: a time without an offset is UTC
        ({"type": "FromDate", "start": "2025-06-01T11:59:59"}, True),
        ({"type": "FromDate", "start": "2025-06-01T12:00:01"}, False),
        ({"type": "FromDate", "start": "2025-06-01T14:59:59+03:00"}, True),
    ],
)
def test_the_active_period_has_strict_bounds_in_utc_b9(period, passes):
    assert judge(b"x", period=period) == ("x" if passes else Drop.PERIOD)


def listed(kind, values, input_type="Text"):
    return {"type_input_value": input_type, "type_value_filtering": kind, "filtering_values": values}


@pytest.mark.parametrize(
    ("filters", "payload", "passes"),
    [
        (listed("WhiteList", ["on", "off"]), b"on", True),
        (listed("WhiteList", ["on", "off"]), b"On", False),
        (listed("WhiteList", ["on", "off"]), b"on ", False),
        (listed("WhiteList", ["5"]), b"5.0", False),
        (listed("WhiteList", None), b"on", False),
        (listed("WhiteList", []), b"on", False),
        (listed("BlackList", ["on"]), b"on", False),
        (listed("BlackList", ["on"]), b"off", True),
        (listed("BlackList", None), b"on", True),
        (listed(None, ["on"]), b"off", True),
        (listed("WhiteList", [5], "Number"), b"5", True),
        (listed("WhiteList", [5], "Number"), b"5.0", True),
        (listed("WhiteList", [5.0], "Number"), b"5e0", True),
        (listed("WhiteList", [5], "Number"), b"6", False),
        (listed("WhiteList", [5], "Number"), b"NaN", False),
        (listed("BlackList", [5], "Number"), b"5_", False),
        (listed("BlackList", [0.5], "Number"), b".5", False),
        (listed("BlackList", [0.5], "Number"), b".6", True),
    ],
)
def test_lists_match_text_exactly_and_numbers_by_value(filters, payload, passes):
    verdict = judge(payload, filters=filters)
    assert (verdict == payload.decode()) is passes
    assert passes or verdict in {Drop.LIST, Drop.NOT_A_NUMBER}


@pytest.mark.parametrize(
    ("filters", "payload", "passes"),
    [
        ({"type_value_threshold": "Min", "threshold_min": 1.5}, b"1.5", True),
        ({"type_value_threshold": "Min", "threshold_min": 1.5}, b"1.4", False),
        ({"type_value_threshold": "Max", "threshold_max": 2.25}, b"2.25", True),
        ({"type_value_threshold": "Max", "threshold_max": 2.25}, b"2.26", False),
        ({"type_value_threshold": "Range", "threshold_min": 1, "threshold_max": 2}, b"1", True),
        ({"type_value_threshold": "Range", "threshold_min": 1, "threshold_max": 2}, b"2", True),
        ({"type_value_threshold": "Range", "threshold_min": 1, "threshold_max": 2}, b"0.999", False),
        ({"type_value_threshold": "Range", "threshold_min": 1, "threshold_max": 2}, b"2.001", False),
        ({"type_value_threshold": "Range", "threshold_min": 1, "threshold_max": 2}, b"NaN", True),
        ({"type_value_threshold": "Range", "threshold_min": 1, "threshold_max": 2}, b"Inf", False),
        ({"type_value_threshold": "Max", "threshold_min": 5, "threshold_max": 9}, b"1", True),
        ({"threshold_min": 5}, b"1", True),
    ],
)
def test_thresholds_are_inclusive_and_may_have_fractions_b19(filters, payload, passes):
    assert judge(payload, filters=number(**filters)) == (payload.decode() if passes else Drop.THRESHOLD)


def test_thresholds_do_not_touch_text_b12():
    assert judge(b"99", filters={"type_value_threshold": "Max", "threshold_max": 5}) == "99"


@pytest.mark.parametrize("payload", [b"", b"abc", b"1,5", b" 1", b"1e999", b"0x10"])
@pytest.mark.parametrize("kind", [None, "BlackList"])
def test_a_number_pipe_refuses_what_is_no_number_b12(payload, kind):
    filters = number(type_value_filtering=kind, filtering_values=[7])
    assert judge(payload, filters=filters) is Drop.NOT_A_NUMBER


@pytest.mark.parametrize("payload", [b"\xff", b"ok\xc3", b"a\0b", b"\0", b"\xed\xa0\x80"])
@pytest.mark.parametrize("kind", ["Text", "Number"])
def test_text_that_no_database_holds_is_refused_before_the_batch_b2(payload, kind):
    assert judge(payload, filters={"type_input_value": kind}) is Drop.BAD_TEXT


@pytest.mark.parametrize(
    ("max_rate", "elapsed", "passes"),
    [(0, 0, True), (5, None, True), (5, 0, False), (5, 4.999, False), (5, 5, True), (5, 6, True), (5, -3600, True)],
)
def test_the_rate_counts_from_the_last_accepted_message(max_rate, elapsed, passes):
    state = None if elapsed is None else NodeState(NOW - timedelta(seconds=elapsed), "y")
    assert judge(b"x", state, filters={"max_rate": max_rate}) == ("x" if passes else Drop.RATE)


@pytest.mark.parametrize(
    ("max_size", "payload", "passes"),
    [
        (0, b"x" * 1000, True),
        (3, b"abc", True),
        (3, b"abcd", False),
        (3, "дд".encode(), False),
        (4, "дд".encode(), True),
    ],
)
def test_the_size_is_that_of_the_raw_payload_in_bytes(max_size, payload, passes):
    assert judge(payload, filters={"max_size": max_size}) == (payload.decode() if passes else Drop.SIZE)


def test_the_size_is_judged_before_the_text_is_cut():
    assert judge(b"abcdef", filters={"max_size": 3}, transformations={"slice_end": 2}) is Drop.SIZE


@pytest.mark.parametrize(
    ("payload", "last", "transformations", "passes"),
    [
        (b"9", "9", None, False),
        (b"9", "8", None, True),
        (b"9", None, None, True),
        (b"9", "9.00", {"round_decimal_point": 2}, False),
        (b"9.001", "9.00", {"round_decimal_point": 2}, False),
        (b"9.01", "9.00", {"round_decimal_point": 2}, True),
        (b"9.00", "9", None, True),
    ],
)
def test_the_unique_check_compares_what_would_be_stored_b11(payload, last, transformations, passes):
    state = None if last is None else NodeState(NOW - timedelta(hours=1), last)
    verdict = judge(payload, state, filters=number(last_unique_check=True), transformations=transformations)
    assert (verdict is not Drop.UNCHANGED) is passes


@pytest.mark.parametrize(
    ("payload", "transformations", "value"),
    [
        (b"1.50", None, "1.50"),
        (b"1_0", {}, "1_0"),
        (b"1.5", {"multiplication_ratio": 2}, "3.000000"),
        (b"2.5e-9", {"multiplication_ratio": 2}, "0.000000"),
        (b"1e20", {"round_decimal_point": 0}, "100000000000000000000"),
        (b"0.5", {"round_decimal_point": 0}, "0"),
        (b"2.5", {"round_decimal_point": 0}, "2"),
        (b"-0.4", {"round_decimal_point": 0}, "-0"),
        (b"9", {"round_decimal_point": 2}, "9.00"),
        (b"1", {"multiplication_ratio": 0.1234567, "round_decimal_point": 7}, "0.1234570"),
        (b"1", {"multiplication_ratio": 0.4999999, "round_decimal_point": 0}, "0"),
        (b"1", {"multiplication_ratio": 0.0049999996, "round_decimal_point": 2}, "0.01"),
        (b"1e308", {"multiplication_ratio": 100}, "+Inf"),
        (b"-1e308", {"multiplication_ratio": 100, "round_decimal_point": 3}, "-Inf"),
        (b"NaN", {"multiplication_ratio": 2}, "NaN"),
        (b"12345", {"slice_start": 1, "slice_end": 3}, "12345"),
    ],
)
def test_numbers_are_multiplied_then_rounded(payload, transformations, value):
    assert judge(payload, filters=number(), transformations=transformations) == value


@pytest.mark.parametrize(
    ("text", "transformations", "value"),
    [
        ("abcdef", {"slice_start": 1, "slice_end": 3}, "bc"),
        ("abcdef", {"slice_end": -2}, "abcd"),
        ("abcdef", {"slice_start": -2}, "ef"),
        ("abcdef", {"slice_start": -100, "slice_end": 100}, "abcdef"),
        ("abcdef", {"slice_start": 4, "slice_end": 2}, ""),
        ("abcdef", {"slice_start": 0, "slice_end": 0}, ""),
        ("тест", {"slice_end": 3}, "тес"),
        ("a😀b", {"slice_start": 1, "slice_end": 2}, "😀"),
        ("", {"slice_end": 3}, ""),
        ("1.5", {"multiplication_ratio": 2, "round_decimal_point": 0}, "1.5"),
    ],
)
def test_text_is_cut_between_characters_b13(text, transformations, value):
    assert judge(text.encode(), transformations=transformations) == value


def test_an_empty_text_is_a_value():
    assert judge(b"") == ""
