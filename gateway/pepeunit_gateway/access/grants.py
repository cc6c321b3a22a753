"""What a unit may publish and receive over MQTT: exact topics, nothing else.

Source: decisions.md 1 (visibility over MQTT), protocol/broker.md 6.2.
"""

from dataclasses import dataclass

__all__ = ["Grants"]


@dataclass(frozen=True, slots=True)
class Grants:
    """The exact topics of one unit; a topic that is not listed is denied, wildcards always."""

    publish: frozenset[str]
    subscribe: frozenset[str]
