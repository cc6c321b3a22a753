"""The topic grammar. Source: protocol/broker.md 6.2 and 6.6, protocol/device.md 1.2.

base topic   <domain>/<input_base_topic|output_base_topic>/<unit uuid>/<name>/pepeunit
node topic   <domain>/<node uuid>            or <domain>/<node uuid>/pepeunit
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

__all__ = [
    "PLATFORM_SUFFIX",
    "BackendTopicCommand",
    "BaseTopic",
    "DestinationTopicType",
    "NodeTopic",
    "at_present_domain",
    "base_topic",
    "command_topic",
    "is_platform_topic",
    "node_topic",
    "parse_topic",
    "parse_uuid",
]

PLATFORM_SUFFIX = "/pepeunit"


class DestinationTopicType(StrEnum):
    """The four keys of schema_example.json and schema.json."""

    INPUT_BASE_TOPIC = "input_base_topic"
    OUTPUT_BASE_TOPIC = "output_base_topic"
    INPUT_TOPIC = "input_topic"
    OUTPUT_TOPIC = "output_topic"


class BackendTopicCommand(StrEnum):
    """The commands of the gateway; the value is what stands on the wire as COMMAND."""

    UPDATE = "Update"
    ENV_UPDATE = "EnvUpdate"
    SCHEMA_UPDATE = "SchemaUpdate"
    LOG_SYNC = "LogSync"

    @property
    def topic_name(self) -> str:
        """The schema name of the command, for example `env_update/pepeunit`."""
        return _COMMAND_NAMES[self] + PLATFORM_SUFFIX


_COMMAND_NAMES = {
    BackendTopicCommand.UPDATE: "update",
    BackendTopicCommand.ENV_UPDATE: "env_update",
    BackendTopicCommand.SCHEMA_UPDATE: "schema_update",
    BackendTopicCommand.LOG_SYNC: "log_sync",
}


@dataclass(frozen=True, slots=True)
class BaseTopic:
    """A five-level topic of the platform, e.g. a unit's state or a command to it."""

    destination: DestinationTopicType
    unit_uuid: UUID
    name: str


@dataclass(frozen=True, slots=True)
class NodeTopic:
    """The topic of one UnitNode; `platform` says whether the platform reads it too."""

    node_uuid: UUID
    platform: bool


def is_platform_topic(topic_name: str) -> bool:
    """Tell whether a schema name asks the platform to read the topic."""
    return topic_name.endswith(PLATFORM_SUFFIX)


def base_topic(domain: str, destination: DestinationTopicType, unit_uuid: UUID, name: str) -> str:
    """Return the physical topic of a base topic; `name` ends in `/pepeunit`."""
    return f"{domain}/{destination}/{unit_uuid}/{name}"


def command_topic(domain: str, unit_uuid: UUID, command: BackendTopicCommand) -> str:
    """Return the topic on which a unit hears `command`."""
    return base_topic(domain, DestinationTopicType.INPUT_BASE_TOPIC, unit_uuid, command.topic_name)


def node_topic(domain: str, node_uuid: UUID, topic_name: str) -> str:
    """Return the physical topic of the node whose schema name is `topic_name`."""
    return f"{domain}/{node_uuid}{PLATFORM_SUFFIX if is_platform_topic(topic_name) else ''}"


def at_present_domain(topic: str, domain: str, previous: Iterable[str]) -> str:
    """Return the topic with `domain` in the place of a previous domain, if it has one (decisions.md 19)."""
    for before in previous:
        if topic.startswith(before + "/"):
            return domain + topic[len(before) :]
    return topic


def parse_uuid(text: str) -> UUID | None:
    """Return the uuid if `text` is its canonical lower-case form, else None."""
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None


def parse_topic(domain: str, topic: str) -> BaseTopic | NodeTopic | None:
    """Take a physical topic apart; None for anything outside the grammar, another domain included."""
    prefix = domain + "/"
    if not topic.startswith(prefix):
        return None
    match topic[len(prefix) :].split("/"):
        case [node]:
            uuid = parse_uuid(node)
            return NodeTopic(uuid, platform=False) if uuid else None
        case [node, "pepeunit"]:
            uuid = parse_uuid(node)
            return NodeTopic(uuid, platform=True) if uuid else None
        case ["input_base_topic" | "output_base_topic" as destination, unit, name, "pepeunit"]:
            uuid = parse_uuid(unit)
            if uuid and name:
                return BaseTopic(DestinationTopicType(destination), uuid, name + PLATFORM_SUFFIX)
    return None
