"""The topic grammar, forwards and backwards."""

from uuid import UUID

import pytest

from pepeunit_gateway.topics import (
    BackendTopicCommand,
    BaseTopic,
    DestinationTopicType,
    NodeTopic,
    at_present_domain,
    base_topic,
    command_topic,
    node_topic,
    parse_topic,
)

UNIT = UUID("00000000-0000-4000-8000-0000000000aa")
DOMAIN = "example.org:8080"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (BackendTopicCommand.UPDATE, "update"),
        (BackendTopicCommand.ENV_UPDATE, "env_update"),
        (BackendTopicCommand.SCHEMA_UPDATE, "schema_update"),
        (BackendTopicCommand.LOG_SYNC, "log_sync"),
    ],
)
def test_a_command_has_the_topic_of_the_protocol(command, name):
    assert command_topic(DOMAIN, UNIT, command) == f"{DOMAIN}/input_base_topic/{UNIT}/{name}/pepeunit"


def test_only_names_with_the_suffix_get_it_on_the_wire():
    assert node_topic(DOMAIN, UNIT, "temperature/pepeunit") == f"{DOMAIN}/{UNIT}/pepeunit"
    assert node_topic(DOMAIN, UNIT, "temperature") == f"{DOMAIN}/{UNIT}"


def test_what_is_built_is_read_back():
    topic = base_topic(DOMAIN, DestinationTopicType.OUTPUT_BASE_TOPIC, UNIT, "state/pepeunit")
    assert parse_topic(DOMAIN, topic) == BaseTopic(DestinationTopicType.OUTPUT_BASE_TOPIC, UNIT, "state/pepeunit")
    assert parse_topic(DOMAIN, f"{DOMAIN}/{UNIT}/pepeunit") == NodeTopic(UNIT, platform=True)
    assert parse_topic(DOMAIN, f"{DOMAIN}/{UNIT}") == NodeTopic(UNIT, platform=False)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        DOMAIN,
        f"other.org/{UNIT}",
        f"{DOMAIN}/{UNIT}/else",
        f"{DOMAIN}/{str(UNIT).upper()}",
        f"{DOMAIN}/{UNIT.hex}",
        f"{DOMAIN}/+/pepeunit",
        f"{DOMAIN}/input_topic/{UNIT}/x/pepeunit",
        f"{DOMAIN}/output_base_topic/{UNIT}/state/other",
        f"{DOMAIN}/output_base_topic/{UNIT}//pepeunit",
        f"{DOMAIN}/output_base_topic/nobody/state/pepeunit",
        f"{DOMAIN}/output_base_topic/{UNIT}/state/pepeunit/more",
    ],
)
def test_whatever_is_outside_the_grammar_is_nothing(topic):
    assert parse_topic(DOMAIN, topic) is None


def test_a_topic_of_a_previous_domain_is_the_same_one_of_the_present():
    previous = ("old.example:8080", "older")
    assert at_present_domain("old.example:8080/x/pepeunit", "new", previous) == "new/x/pepeunit"
    assert at_present_domain("older/x", "new", previous) == "new/x"
    for other in ("new/x", "oldest/x", "old.example:8080", "old.example/x"):
        assert at_present_domain(other, "new", previous) == other
