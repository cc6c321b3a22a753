"""The difference between "not sent" and null in a PATCH (W37)."""

from enum import Enum
from typing import Any, Final

__all__ = ["UNSET", "Unset", "sent"]


class Unset(Enum):
    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""The client did not send this field."""


def sent(**values: Any) -> dict[str, Any]:
    """Keep only the fields that were sent, null included."""
    return {name: value for name, value in values.items() if value is not UNSET}
