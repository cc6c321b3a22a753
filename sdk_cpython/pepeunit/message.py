"""What a handler receives."""

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["Message"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the broker.

    `topic` is the physical topic, `name` the schema name behind which it came, `payload` the bytes as they were sent.
    """

    topic: str
    name: str
    payload: bytes

    @property
    def text(self) -> str:
        """The payload as UTF-8; bytes that are none become U+FFFD, so that any payload can be read (S7)."""
        return self.payload.decode("utf-8", "replace")

    def json(self) -> Any:
        """The payload as JSON. Raises ValueError if it is none."""
        return json.loads(self.payload)
