"""What a handler receives, and what becomes of what is published."""

import json
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["DELIVERED", "DROPPED", "QUEUED", "Message"]

DELIVERED: Final = "delivered"
QUEUED: Final = "queued"
DROPPED: Final = "dropped"


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
