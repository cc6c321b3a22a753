import json

import pytest

from pepeunit.errors import SchemaError, UnknownNameError
from pepeunit.schema import parse_schema, read_schema
from tests.support.micropython import DOMAIN, NODES, UUID, schema


def parsed(**changes):
    return parse_schema(json.dumps(schema(**changes)).encode())


def node(name):
    return f"{DOMAIN}/{NODES[name]}/pepeunit"


def test_topics_are_found_by_name_and_names_by_topic():
    found = parsed()
    assert found.topics("temp/pepeunit") == (node("temp/pepeunit"),)
    assert found.topics("fan/pepeunit") == (node("fan/pepeunit"), f"{DOMAIN}/{NODES['linked']}")
    assert found.name(f"{DOMAIN}/{NODES['linked']}") == ("input_topic", "fan/pepeunit")
    assert found.name(f"{DOMAIN}/output_base_topic/{UUID}/log/pepeunit") == ("output_base_topic", "log/pepeunit")


def test_the_own_node_is_the_first_topic_of_a_name():
    assert parsed().node_uuid("fan/pepeunit") == NODES["fan/pepeunit"]
    assert parsed().node_uuid("temp/pepeunit") == NODES["temp/pepeunit"]


def test_an_output_wins_where_an_input_has_the_same_name():
    found = parsed(output_topic={"fan/pepeunit": ["d/out"]})
    assert found.topics("fan/pepeunit") == ("d/out",)
    assert found.output("fan/pepeunit") == ("d/out",)


def test_an_output_linked_to_two_inputs_reaches_both():
    found = parsed(input_topic={"a": ["d/1", "d/3"], "b": ["d/2", "d/3"]})
    assert found.receivers("d/3") == ("a", "b")


def test_only_input_base_topics_are_commands():
    found = parsed()
    assert found.command(f"{DOMAIN}/input_base_topic/{UUID}/update/pepeunit") == "update/pepeunit"
    assert found.command(node("fan/pepeunit")) is None
    assert found.command(f"{DOMAIN}/output_base_topic/{UUID}/log/pepeunit") is None


def test_every_command_and_input_topic_is_subscribed_to_and_nothing_else():
    found = parsed().subscriptions()
    assert len(found) == 7
    assert f"{DOMAIN}/{NODES['linked']}" in found
    assert not any("output_base_topic" in topic for topic in found)
    assert node("temp/pepeunit") not in found


@pytest.mark.parametrize("ask", ["topics", "output", "name", "node_uuid"])
def test_an_unknown_name_or_topic_is_said_so(ask):
    with pytest.raises(UnknownNameError, match="nothing/here"):
        getattr(parsed(), ask)("nothing/here")


def test_a_schema_that_comes_as_a_json_string_is_unwrapped():
    assert parse_schema(json.dumps(json.dumps(schema())).encode()) == parsed()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b"1",
        b"[" * 5000,
        b'{"input_topic": []}',
        b'{"input_topic": {"a": "d/x"}}',
        b'{"input_topic": {"a": [1]}}',
        b'{"input_topic": {"a": ["nolevel"]}}',
        b'{"input_topic": {"a": ["d/#"]}}',
        b'{"input_topic": {"a": ["d/+/x"]}}',
        b'{"input_topic": {"a": ["d/\\u0000"]}}',
        json.dumps({"input_topic": {"a": ["d/" + "x" * 65535]}}).encode(),
    ],
)
def test_a_broken_schema_is_refused(data):
    with pytest.raises(SchemaError):
        parse_schema(data)


def test_an_absent_map_is_empty():
    assert parse_schema(b'{"input_topic": {}}').output_topic == {}


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(SchemaError, match="pepeunit unit download NAME DIR"):
        read_schema(tmp_path)
