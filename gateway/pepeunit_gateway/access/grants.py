"""What a unit may publish and receive over MQTT: exact topics, nothing else.

Source: decisions.md 1 (visibility over MQTT), protocol/broker.md 6.2.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from pepeunit_gateway.topics import (
    PLATFORM_SUFFIX,
    BackendTopicCommand,
    DestinationTopicType,
    base_topic,
    command_topic,
    node_topic,
)

__all__ = ["GrantedNode", "Grants", "build_grants", "data_pipe_filter"]

_OUTPUT_BASE_NAMES = ("state/pepeunit", "log/pepeunit")
_RESET = "reset/pepeunit"
"""Nobody sends it (decisions.md 7), but programs in the field list it and reconnect for ever when it is denied."""


@dataclass(frozen=True, slots=True)
class Grants:
    """The exact topics of one unit; a topic that is not listed is denied, wildcards always."""

    publish: frozenset[str]
    subscribe: frozenset[str]


@dataclass(frozen=True, slots=True)
class GrantedNode:
    """A node that concerns the unit: its own, or another's through an edge or a permission row."""

    uuid: UUID
    topic_name: str
    is_output: bool
    is_own: bool
    is_rewritable_input: bool
    told_domain: str | None = None
    """The previous domain that the node's unit still uses (decisions.md 19)."""


def build_grants(
    domain: str, unit_uuid: UUID, nodes: Iterable[GrantedNode], *, told_domain: str | None = None
) -> Grants:
    """Decide about every topic of the unit.

    Own Outputs and the unit's output base topics may be published, own Inputs and the commands received. Another's
    Output may be received; another's Input may be published to only if it is rewritable. Visibility grants nothing.

    Args:
        domain: PU_DOMAIN.
        unit_uuid: the unit.
        nodes: what concerns it.
        told_domain: the previous domain that its schema.json still names; the same topics of it are granted too.
    """
    publish, subscribe = set[str](), set[str]()
    own_domains = {domain, told_domain or domain}
    for each in own_domains:
        publish |= {base_topic(each, DestinationTopicType.OUTPUT_BASE_TOPIC, unit_uuid, n) for n in _OUTPUT_BASE_NAMES}
        subscribe |= {command_topic(each, unit_uuid, command) for command in BackendTopicCommand}
        subscribe.add(base_topic(each, DestinationTopicType.INPUT_BASE_TOPIC, unit_uuid, _RESET))
    for node in nodes:
        topics = {node_topic(each, node.uuid, node.topic_name) for each in {*own_domains, node.told_domain or domain}}
        if node.is_output:
            (publish if node.is_own else subscribe).update(topics)
        elif node.is_own:
            subscribe |= topics
        elif node.is_rewritable_input:
            publish |= topics
    return Grants(frozenset(publish), frozenset(subscribe))


def data_pipe_filter(domain: str) -> str:
    """Return what a data pipe in the field may subscribe to, to the letter, and nothing else (decisions.md 8)."""
    return f"{domain}/+{PLATFORM_SUFFIX}"
