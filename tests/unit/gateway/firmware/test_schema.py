import json
from uuid import UUID

import pytest

from pepeunit_gateway.errors import CustomJSONDecodeError, GitRepoError
from pepeunit_gateway.firmware.schema import MAX_NAMES, NodeLink, SchemaExample, build_schema, parse_schema_example

UNIT = UUID(int=1)
DOCUMENT = {
    "input_base_topic": ["update/pepeunit", "env_update/pepeunit", "schema_update/pepeunit", "log_sync/pepeunit"],
    "output_base_topic": ["state/pepeunit", "log/pepeunit"],
    "input_topic": ["set_fan/pepeunit", "raw"],
    "output_topic": ["temp/pepeunit"],
}


def parse(**changes):
    return parse_schema_example(json.dumps({**DOCUMENT, **changes}).encode())


def test_a_schema_example_is_read_in_the_order_of_the_file():
    assert parse() == SchemaExample(*(tuple(names) for names in DOCUMENT.values()))


def test_programs_in_the_field_may_name_reset():
    assert parse(input_base_topic=["reset/pepeunit"]).input_base_topic == ("reset/pepeunit",)


REFUSED = [
    ({"input_topic": "name"}, "must be a list"),
    ({"input_topic": [1]}, "nothing but strings"),
    ({"input_topic": [""]}, "empty name"),
    ({"input_topic": ["a b"]}, "' '"),
    ({"input_topic": ["a+"]}, r"'\+'"),
    ({"input_topic": ["#"]}, "'#'"),
    ({"input_topic": ["ж"]}, "'ж'; allowed are letters, digits and / _ -$"),
    ({"input_topic": ["x" * 65_435]}, "65435 characters"),
    ({"output_topic": ["a", "b", "a"]}, "'a' twice"),
    ({"output_topic": [f"n{n}" for n in range(MAX_NAMES + 1)]}, "holds 257 names, at most 256 are possible; remove"),
    ({"input_topic": ["same"] * 10_000}, "holds 10000 names"),
    ({"input_base_topic": ["set_fan/pepeunit"]}, "may hold only update/pepeunit"),
    ({"output_base_topic": ["update/pepeunit"]}, "may hold only state/pepeunit"),
]


@pytest.mark.parametrize(("changes", "hint"), REFUSED)
def test_a_broken_rule_is_told(changes, hint):
    with pytest.raises(GitRepoError, match=hint) as caught:
        parse(**changes)
    assert "schema_example.json" in caught.value.message
    assert next(iter(changes)) in caught.value.message


def test_the_longest_name_passes():
    assert parse(input_topic=["x" * 65_434]).input_topic


def test_the_longest_list_passes():
    names = [f"n{n}" for n in range(MAX_NAMES)]
    assert parse(input_topic=names, output_topic=names).output_topic == tuple(names)


@pytest.mark.parametrize("key", DOCUMENT)
def test_each_of_the_four_keys_must_be_there(key):
    document = {name: value for name, value in DOCUMENT.items() if name != key}
    with pytest.raises(GitRepoError, match=f"lacks the key {key}"):
        parse_schema_example(json.dumps(document).encode())


def test_a_missing_schema_example_says_what_to_add():
    with pytest.raises(GitRepoError, match=r"schema_example\.json is missing"):
        parse_schema_example(None)


def test_broken_json_in_schema_example_names_the_line():
    with pytest.raises(CustomJSONDecodeError, match=r"schema_example\.json, line 2"):
        parse_schema_example(b"{\n]")


def test_the_schema_holds_physical_topics_own_node_first():
    nodes = [
        NodeLink("Input", "set_fan/pepeunit", UUID(int=2), ("d/7/pepeunit", "d/8")),
        NodeLink("Input", "raw", UUID(int=3)),
        NodeLink("Output", "temp/pepeunit", UUID(int=4)),
    ]
    u = "00000000-0000-0000-0000-00000000000"
    assert build_schema("d", UNIT, parse(input_base_topic=["update/pepeunit"]), nodes) == {
        "input_base_topic": {"update/pepeunit": [f"d/input_base_topic/{u}1/update/pepeunit"]},
        "output_base_topic": {
            "state/pepeunit": [f"d/output_base_topic/{u}1/state/pepeunit"],
            "log/pepeunit": [f"d/output_base_topic/{u}1/log/pepeunit"],
        },
        "input_topic": {"set_fan/pepeunit": [f"d/{u}2/pepeunit", "d/7/pepeunit", "d/8"], "raw": [f"d/{u}3"]},
        "output_topic": {"temp/pepeunit": [f"d/{u}4/pepeunit"]},
    }


def test_w22_a_topic_without_a_node_is_a_clear_error_not_a_crash():
    nodes = [NodeLink("Output", "raw", UUID(int=3)), NodeLink("Output", "temp/pepeunit", UUID(int=4))]
    with pytest.raises(GitRepoError, match="no nodes yet for set_fan/pepeunit, raw"):
        build_schema("d", UNIT, parse(), nodes)
