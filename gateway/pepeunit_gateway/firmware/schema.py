"""schema_example.json and schema.json: which topics a unit speaks of, and where they really are.

Source: protocol/firmware.md 7.8, protocol/device.md 1.2.
"""

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.jsonfile import JSON, load_object
from pepeunit_gateway.topics import BackendTopicCommand, DestinationTopicType, base_topic, node_topic

__all__ = ["MAX_NAMES", "TOPIC_SYMBOLS", "NodeLink", "SchemaExample", "build_schema", "parse_schema_example"]

SCHEMA_EXAMPLE = "schema_example.json"
TOPIC_SYMBOLS = string.ascii_letters + string.digits + "/_-"
MAX_NAMES = 256
"""Names of one list: each becomes a node of every unit, within one transaction."""

_MAX_NAME = 65_435
_BASE_NAMES = {
    # `reset` is listed by programs in the field; nobody sends it (decisions.md 7).
    "input_base_topic": (*(command.topic_name for command in BackendTopicCommand), "reset/pepeunit"),
    "output_base_topic": ("state/pepeunit", "log/pepeunit"),
}


@dataclass(frozen=True, slots=True)
class SchemaExample:
    """The names of schema_example.json, in the order of the file; none stands twice in one list."""

    input_base_topic: tuple[str, ...]
    output_base_topic: tuple[str, ...]
    input_topic: tuple[str, ...]
    output_topic: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeLink:
    """One UnitNode of the unit; `linked_topics` are the physical topics of the Outputs that feed an Input."""

    type: Literal["Input", "Output"]
    topic_name: str
    uuid: UUID
    linked_topics: tuple[str, ...] = ()


def parse_schema_example(data: bytes | None) -> SchemaExample:
    """Read and check schema_example.json.

    Raises:
        GitRepoError: the file is missing, lacks a key, a list holds more than MAX_NAMES names, or a name breaks a
            rule; the message quotes the name.
        CustomJSONDecodeError: it is not JSON; the message gives the line.
    """
    document = load_object(data, SCHEMA_EXAMPLE)
    lists = {key.value: _names(document, key.value) for key in DestinationTopicType}
    return SchemaExample(**lists)


def build_schema(
    domain: str, unit_uuid: UUID, example: SchemaExample, nodes: Sequence[NodeLink]
) -> dict[str, dict[str, list[str]]]:
    """Return schema.json: the four keys, each an object of name -> physical topics.

    Raises:
        GitRepoError: a name has no UnitNode yet, because the nodes were not synchronised with this commit (W22).
    """
    inputs = {node.topic_name: node for node in nodes if node.type == "Input"}
    outputs = {node.topic_name: node for node in nodes if node.type == "Output"}
    missing = [name for name in example.input_topic if name not in inputs]
    missing += [name for name in example.output_topic if name not in outputs]
    if missing:
        raise GitRepoError(
            f"The unit has no nodes yet for {', '.join(missing)}, which {SCHEMA_EXAMPLE} of its target commit names; "
            "update the unit, then ask again"
        )
    return {
        "input_base_topic": _base(domain, DestinationTopicType.INPUT_BASE_TOPIC, unit_uuid, example.input_base_topic),
        "output_base_topic": _base(
            domain, DestinationTopicType.OUTPUT_BASE_TOPIC, unit_uuid, example.output_base_topic
        ),
        "input_topic": {
            name: [node_topic(domain, inputs[name].uuid, name), *inputs[name].linked_topics]
            for name in example.input_topic
        },
        "output_topic": {name: [node_topic(domain, outputs[name].uuid, name)] for name in example.output_topic},
    }


def _base(
    domain: str, destination: DestinationTopicType, unit_uuid: UUID, names: tuple[str, ...]
) -> dict[str, list[str]]:
    return {name: [base_topic(domain, destination, unit_uuid, name)] for name in names}


def _names(document: Mapping[str, JSON], key: str) -> tuple[str, ...]:
    if key not in document:
        raise GitRepoError(f"{SCHEMA_EXAMPLE} lacks the key {key}; add it, with an empty list if there is nothing")
    value = document[key]
    if not isinstance(value, list):
        raise GitRepoError(f"{SCHEMA_EXAMPLE}: {key} must be a list of names")
    if len(value) > MAX_NAMES:
        raise GitRepoError(
            f"{SCHEMA_EXAMPLE}: {key} holds {len(value)} names, at most {MAX_NAMES} are possible; "
            "remove some, or send several values in one topic as JSON"
        )
    names: dict[str, None] = {}
    for name in value:
        if not isinstance(name, str):
            raise GitRepoError(f"{SCHEMA_EXAMPLE}: {key} must hold nothing but strings, not {name!r:.60}")
        _check_name(name, key)
        if name in names:
            raise GitRepoError(f"{SCHEMA_EXAMPLE}: {key} names {name!r} twice; remove one")
        names[name] = None
    return tuple(names)


def _check_name(name: str, key: str) -> None:
    if not name:
        raise GitRepoError(f"{SCHEMA_EXAMPLE}: {key} holds an empty name")
    if len(name) >= _MAX_NAME:
        raise GitRepoError(f"{SCHEMA_EXAMPLE}: {key} holds a name of {len(name)} characters; fewer than {_MAX_NAME}")
    wrong = sorted(set(name) - set(TOPIC_SYMBOLS))
    if wrong:
        raise GitRepoError(
            f"{SCHEMA_EXAMPLE}: {key}: the name {name[:60]!r} holds {''.join(wrong)[:20]!r}; "
            "allowed are letters, digits and / _ -"
        )
    reserved = _BASE_NAMES.get(key)
    if reserved is not None and name not in reserved:
        raise GitRepoError(f"{SCHEMA_EXAMPLE}: {key} may hold only {', '.join(reserved)}, not {name[:60]!r}")
