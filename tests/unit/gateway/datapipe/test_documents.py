"""Configurations of protocol/datapipe.md 2: what is accepted, what is refused and how it is named."""

import json

import pytest
import yaml

from pepeunit_gateway.datapipe.config import WINDOW_SIZES
from pepeunit_gateway.datapipe.documents import MAX_CONFIG_BYTES, check_config, export_yaml, load_config, parse_config
from pepeunit_gateway.errors import DataPipeError
from pepeunit_gateway.registry.default_pipe import DEFAULT_PIPE_JSON

GOOD = {
    "active_period": {"type": "Permanent"},
    "filters": {"type_input_value": "Number", "max_rate": 5, "max_size": 100},
    "processing_policy": {"policy_type": "LastValue"},
}


def document(**sections):
    """GOOD with these keys of its sections changed; a section that is None is left out."""
    merged = {name: {**GOOD.get(name, {}), **(sections.get(name) or {})} for name in {**GOOD, **sections}}
    kept = {name: section for name, section in merged.items() if sections.get(name, ...) is not None}
    return yaml.safe_dump(kept, sort_keys=False).encode()


def without(section, key):
    kept = {name: value for name, value in GOOD[section].items() if name != key}
    return yaml.safe_dump({**GOOD, section: kept}).encode()


WINDOW_ERROR = f"Value error, Invalid time_window_size. Must be one of: {list(WINDOW_SIZES)}"


@pytest.mark.parametrize(
    ("content", "stage", "message"),
    [
        (document(filters=None), "Filters", "Field required"),
        (document(active_period=None), "ActivePeriod", "Field required"),
        (document(processing_policy=None), "ProcessingPolicy", "Field required"),
        (without("filters", "max_rate"), "Filters", "Field required"),
        (without("filters", "max_size"), "Filters", "Field required"),
        (document(filters={"type_input_value": "number"}), "Filters", "Input should be 'Text' or 'Number'"),
        (document(filters={"type_value_threshold": "X"}), "Filters", "Input should be 'Min', 'Max' or 'Range'"),
        (
            document(filters={"max_rate": 1.5}),
            "Filters",
            "Input should be a valid integer, got a number with a fractional part",
        ),
        (document(filters={"max_rate": 86_401}), "Filters", "Input should be less than or equal to 86400"),
        (document(filters={"max_rate": -1}), "Filters", "Input should be greater than or equal to 0"),
        (
            document(transformations={"round_decimal_point": 8}),
            "Transformations",
            "Input should be less than or equal to 7",
        ),
        (
            document(active_period={"type": "FromDate"}),
            "ActivePeriod",
            "Value error, start must be provided for FROM_DATE",
        ),
        (document(active_period={"type": "ToDate"}), "ActivePeriod", "Value error, end must be provided for TO_DATE"),
        (
            document(active_period={"type": "DateRange", "start": "2025-01-01"}),
            "ActivePeriod",
            "Value error, start and end must be provided for DATE_RANGE",
        ),
        (
            document(
                active_period={"type": "DateRange", "start": "2025-01-02T00:00:00", "end": "2025-01-02T01:00:00+02:00"}
            ),
            "ActivePeriod",
            "Value error, start must be before end for DATE_RANGE",
        ),
        (
            document(filters={"type_value_filtering": "WhiteList", "filtering_values": [1, "2"]}),
            "Filters",
            "Value error, filtering_values must be numeric for NUMBER input",
        ),
        (
            document(
                filters={"type_input_value": "Text", "type_value_filtering": "BlackList", "filtering_values": ["1", 2]}
            ),
            "Filters",
            "Value error, filtering_values must be strings for TEXT input",
        ),
        (
            document(filters={"type_value_threshold": "Min"}),
            "Filters",
            "Value error, threshold_min is required for MIN threshold",
        ),
        (
            document(filters={"type_value_threshold": "Max", "threshold_min": 1}),
            "Filters",
            "Value error, threshold_max is required for MAX threshold",
        ),
        (
            document(filters={"type_value_threshold": "Range", "threshold_min": 1}),
            "Filters",
            "Value error, Both threshold_min and threshold_max are required for RANGE threshold",
        ),
        (
            document(filters={"type_value_threshold": "Range", "threshold_min": 1.5, "threshold_max": 1.5}),
            "Filters",
            "Value error, threshold_min must be less than threshold_max",
        ),
        (document(filters={"max_size": 262_145}), "Filters", "Value error, max_size must be <= 262144"),
        (
            document(processing_policy={"policy_type": "NRecords"}),
            "ProcessingPolicy",
            "Value error, n_records_count is required for N_RECORDS",
        ),
        (
            document(processing_policy={"policy_type": "NRecords", "n_records_count": 1025}),
            "ProcessingPolicy",
            "Value error, n_records_count must be between 1 and 1024",
        ),
        (
            document(processing_policy={"policy_type": "TimeWindow"}),
            "ProcessingPolicy",
            "Value error, time_window_size is required",
        ),
        (
            document(processing_policy={"policy_type": "TimeWindow", "time_window_size": 61}),
            "ProcessingPolicy",
            WINDOW_ERROR,
        ),
        (
            document(processing_policy={"policy_type": "Aggregation", "time_window_size": 60}),
            "ProcessingPolicy",
            "Value error, aggregation_functions is required for AGGREGATION",
        ),
        # B10: neither is a number that a threshold or a list could be compared with
        (document(filters={"threshold_min": float("nan")}), "Filters", "Input should be a finite number"),
        (document(filters={"threshold_max": float("inf")}), "Filters", "Input should be a finite number"),
        (
            document(filters={"filtering_values": [float("nan")]}),
            "Filters",
            "Value error, filtering_values must be finite numbers",
        ),
        (
            document(transformations={"multiplication_ratio": float("inf")}),
            "Transformations",
            "Input should be a finite number",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_section(content, stage, message):
    assert [(problem.stage, problem.message) for problem in check_config(content)] == [(stage, message)]
    with pytest.raises(DataPipeError) as caught:
        parse_config(content)
    assert caught.value.detail == "422: 8: DataPipe Validation Error: 1 validation error for DataPipeConfig"


def test_several_findings_come_at_once_and_are_counted():
    content = document(active_period={"type": "x"}, filters={"max_rate": -1, "max_size": -1})
    assert [problem.stage for problem in check_config(content)] == ["ActivePeriod", "Filters", "Filters"]
    with pytest.raises(DataPipeError, match="3 validation errors for DataPipeConfig"):
        parse_config(content)


@pytest.mark.parametrize(
    "content",
    [
        document(),
        document(transformations={}),
        document(unknown={"x": 1}),
        document(filters={"max_rate": "5", "max_size": 1.0, "last_unique_check": "yes"}),
        document(filters={"type_value_filtering": "WhiteList"}),
        document(filters={"type_input_value": "Text", "type_value_threshold": "Min"}),
        document(processing_policy={"policy_type": "LastValue", "time_window_size": 61, "n_records_count": 9999}),
        document(
            processing_policy={"policy_type": "Aggregation", "time_window_size": 60, "aggregation_functions": "Avg"}
        ),
        document(processing_policy={"policy_type": "NRecords", "n_records_count": 1024}),
        document(
            active_period={"type": "DateRange", "start": "2025-01-01", "end": "2025-01-01T00:00:00+00:01"}
        ).replace(b"+00:01", b"-00:01"),
    ],
)
def test_what_the_contract_accepts_is_accepted(content):
    assert check_config(content) == []
    parse_config(content)


@pytest.mark.parametrize(
    "content",
    [b"3", b"text", b"[1, 2]", b"true", b"2024-01-01"],
)
def test_a_document_that_is_no_mapping_is_the_clients_error(content):
    with pytest.raises(DataPipeError, match="must be a YAML mapping") as caught:
        check_config(content)
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"a: b: c",
        b"\xff\xfe\xff",
        b"\0",
        b"a: *nobody",
        b"[" * 16_000,
        b"a: 2024-99-99",
        b"a: !!timestamp x",
        b"a: !!bool x",
        b"a: !!int ''",
        b"a: !!float x",
        b"a: " + b"9" * 5000,
        b"a: !!python/object/apply:os.system [x]",
        b"? [1]\n: 2",
        b"a: " + b"1:" * 6000 + b"1.0",
        b'a: "\\UFFFFFFFF"',
        b"a: !<" + b"x" * 9000 + b"> 1",
        b"? " * 5000,
        b"{a: " * 4000,
    ],
    ids=lambda value: repr(value[:12]),
)
def test_garbage_is_the_clients_error(content):
    with pytest.raises(DataPipeError, match="cannot be read as YAML") as caught:
        check_config(content)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("content", [b"", b"# nothing", b"null", b"---\n"])
def test_an_empty_document_is_named_so(content):
    with pytest.raises(DataPipeError, match="DataPipe is None"):
        check_config(content)


def test_a_document_that_is_too_long_is_refused_before_it_is_read():
    with pytest.raises(DataPipeError, match="larger than"):
        check_config(b"#" * (MAX_CONFIG_BYTES + 1))


def test_the_bound_of_max_size_is_the_largest_payload():
    content = document(filters={"max_size": 2000})
    assert [p.message for p in check_config(content, max_size=1024)] == ["Value error, max_size must be <= 1024"]
    assert load_config(parse_config(content).model_dump_json()).filters.max_size == 2000


def test_times_without_an_offset_are_stored_as_utc_b9():
    config = parse_config(document(active_period={"type": "DateRange", "start": "2025-01-01", "end": 1_767_225_600}))
    stored = json.loads(config.model_dump_json())["active_period"]
    assert stored == {"type": "DateRange", "start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}


def test_a_time_without_an_offset_that_was_stored_earlier_is_read_as_utc_b9():
    stored = parse_config(
        document(active_period={"type": "FromDate", "start": "2025-01-01T00:00:00Z"})
    ).model_dump_json()
    old = stored.replace("2025-01-01T00:00:00Z", "2025-01-01T00:00:00")
    assert load_config(old) == load_config(stored)


def test_a_time_beyond_the_calendar_is_refused():
    content = document(active_period={"type": "FromDate", "start": "0001-01-01T00:00:00+14:00"})
    assert [p.message for p in check_config(content)] == ["Value error, the time is outside the years 1 to 9999"]


def test_text_that_utf8_cannot_carry_is_refused():
    content = document(filters={"type_input_value": "Text"}).replace(
        b"max_rate", b'filtering_values: ["\\ud800"]\n  max_rate'
    )
    assert [p.message for p in check_config(content)] == ["Value error, filtering_values must be valid Unicode"]


def test_thresholds_keep_fractions_and_whole_ones_stay_whole_b19():
    content = document(filters={"type_value_threshold": "Range", "threshold_min": 0.5, "threshold_max": 3})
    stored = json.loads(parse_config(content).model_dump_json())["filters"]
    assert json.dumps([stored["threshold_min"], stored["threshold_max"]]) == "[0.5, 3]"


def test_everything_is_stored_and_nulls_are_left_out_of_the_export():
    stored = parse_config(document(transformations={})).model_dump_json()
    assert json.loads(stored)["transformations"] == {
        "multiplication_ratio": None,
        "round_decimal_point": None,
        "slice_start": None,
        "slice_end": None,
    }
    assert export_yaml(stored) == (
        "active_period:\n  type: Permanent\n"
        "filters:\n  type_input_value: Number\n  max_rate: 5\n  last_unique_check: false\n  max_size: 100\n"
        "transformations: {}\n"
        "processing_policy:\n  policy_type: LastValue\n"
    )
    assert parse_config(export_yaml(stored).encode()).model_dump_json() == stored


def test_the_default_is_that_of_the_contract():
    assert (
        json.loads(load_config(DEFAULT_PIPE_JSON).model_dump_json())
        == json.loads(DEFAULT_PIPE_JSON)
        == {
            "active_period": {"type": "Permanent", "start": None, "end": None},
            "filters": {
                "type_input_value": "Text",
                "type_value_filtering": None,
                "filtering_values": None,
                "type_value_threshold": None,
                "threshold_min": None,
                "threshold_max": None,
                "max_rate": 5,
                "last_unique_check": False,
                "max_size": 100,
            },
            "transformations": None,
            "processing_policy": {
                "policy_type": "LastValue",
                "n_records_count": None,
                "time_window_size": None,
                "aggregation_functions": None,
            },
        }
    )


@pytest.mark.parametrize("stored", ["", "{", "null", "[]", "{}", DEFAULT_PIPE_JSON.replace("100", "NaN")])
def test_a_broken_stored_text_says_what_to_do_b10(stored):
    with pytest.raises(DataPipeError, match="send it again with set_data_pipe_config"):
        load_config(stored)


def test_a_stored_text_that_is_no_json_cannot_be_exported():
    with pytest.raises(DataPipeError, match="send it again"):
        export_yaml("{")


def test_a_stored_value_that_is_no_longer_valid_can_be_exported_and_mended_b10():
    assert "threshold_min: .nan" in export_yaml('{"filters": {"threshold_min": NaN}}')
