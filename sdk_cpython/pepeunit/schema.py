"""schema.json: which physical topics stand behind which names. Source: protocol/device.md 1.2."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import SchemaError, UnknownNameError

__all__ = ["DESTINATIONS", "SCHEMA_FILE", "Schema", "parse_schema", "read_schema"]

SCHEMA_FILE = "schema.json"
# Outputs come first: where an Input and an Output share a name, the name alone means the Output.
DESTINATIONS = ("output_topic", "input_topic", "input_base_topic", "output_base_topic")
_MAX_TOPIC_BYTES = 65435

Topics = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Schema:
    """The four maps of schema.json, each `name -> topics`. An update of schema.json gives the unit a new Schema."""

    output_topic: Topics
    input_topic: Topics
    input_base_topic: Topics
    output_base_topic: Topics
    _owners: Mapping[str, tuple[tuple[str, str], ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        owners: dict[str, list[tuple[str, str]]] = {}
        for destination, name, topics in self._entries():
            for topic in topics:
                owners.setdefault(topic, []).append((destination, name))
        object.__setattr__(self, "_owners", {topic: tuple(found) for topic, found in owners.items()})

    def topics(self, name: str) -> tuple[str, ...]:
        """The physical topics behind `name`; an Output wins over an Input of the same name. Raises UnknownNameError."""
        for _destination, found, topics in self._entries():
            if found == name:
                return topics
        raise UnknownNameError(f"schema.json has no name {name}: it has {self._names()}")

    def output(self, name: str) -> tuple[str, ...]:
        """The topics to publish an Output's values on. Raises UnknownNameError."""
        try:
            return self.output_topic[name]
        except KeyError:
            raise UnknownNameError(f"schema.json has no Output {name}: it has {sorted(self.output_topic)}") from None

    def name(self, topic: str) -> tuple[str, str]:
        """`(destination, name)` of a topic, such as `("input_topic", "fan/pepeunit")`. Raises UnknownNameError."""
        owners = self._owners.get(topic)
        if not owners:
            raise UnknownNameError(f"schema.json has no topic {topic}")
        return owners[0]

    def receivers(self, topic: str) -> tuple[str, ...]:
        """Every Input name that `topic` feeds: an Output may be linked to several Inputs of one unit."""
        return tuple(name for destination, name in self._owners.get(topic, ()) if destination == "input_topic")

    def command(self, topic: str) -> str | None:
        """The command name behind a topic, for example `update/pepeunit`; None if it is no command topic."""
        for destination, name in self._owners.get(topic, ()):
            if destination == "input_base_topic":
                return name
        return None

    def node_uuid(self, name: str) -> str:
        """The uuid of the own node behind an Output or Input name. Raises UnknownNameError."""
        for topics in (self.output_topic.get(name), self.input_topic.get(name)):
            if topics:
                # The own node stands first: <domain>/<node uuid>[/pepeunit].
                return topics[0].split("/")[1]
        raise UnknownNameError(f"schema.json has no Output or Input {name}: it has {self._names()}")

    def subscriptions(self) -> frozenset[str]:
        """Every topic that the unit must subscribe to."""
        maps = (self.input_base_topic, self.input_topic)
        return frozenset(topic for names in maps for topics in names.values() for topic in topics)

    def _entries(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        for destination in DESTINATIONS:
            names: Topics = getattr(self, destination)
            for name, topics in names.items():
                yield destination, name, topics

    def _names(self) -> list[str]:
        return sorted({name for _destination, name, _topics in self._entries()})


def parse_schema(data: bytes) -> Schema:
    """A schema.json: a JSON object, or a JSON string that holds one; an absent map is empty. Raises SchemaError."""
    try:
        values = json.loads(data)
        if isinstance(values, str):
            values = json.loads(values)
    except (ValueError, RecursionError):
        raise SchemaError("schema.json is not JSON: download schema.json of this unit again") from None
    if not isinstance(values, dict) or not any(key in values for key in DESTINATIONS):
        raise SchemaError(f"schema.json is no JSON object with the keys {', '.join(sorted(DESTINATIONS))}")
    return Schema(**{key: _names(key, values.get(key, {})) for key in DESTINATIONS})


def _names(destination: str, value: Any) -> dict[str, tuple[str, ...]]:
    """One of the four maps, every topic checked."""
    if not isinstance(value, dict):
        raise SchemaError(f"{destination} in schema.json is no object of names")
    for name, topics in value.items():
        if not isinstance(topics, list) or not all(_is_topic(topic) for topic in topics):
            raise SchemaError(f"{destination} in schema.json has no list of topics for {name}")
    return {name: tuple(topics) for name, topics in value.items()}


def _is_topic(value: Any) -> bool:
    """A topic that can be published to: at least two levels, no wildcard, no NUL, not too long for the protocol."""
    return (
        isinstance(value, str)
        and "/" in value.strip("/")
        and not any(symbol in value for symbol in "+#\0")
        and value.isprintable()
        and len(value.encode()) <= _MAX_TOPIC_BYTES
    )


def read_schema(directory: Path) -> Schema:
    """The schema.json of a unit's directory. Raises SchemaError when it is missing or broken."""
    path = directory / SCHEMA_FILE
    try:
        return parse_schema(path.read_bytes())
    except OSError as error:
        raise SchemaError(
            f"cannot read {path} ({error.strerror}): a unit is made by `pepeunit unit download NAME DIR`, or by "
            "unpacking its archive"
        ) from None
