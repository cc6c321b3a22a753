"""A text that the gateway keeps for the unit. Source: protocol/device.md 2.2."""

import json

from .errors import RestError
from .rest import Rest

__all__ = ["MAX_STORAGE_LENGTH", "Storage"]

MAX_STORAGE_LENGTH = 1_000_000


class Storage:
    """`load` and `save` one text of at most a million characters; empty means nothing is stored."""

    def __init__(self, rest: Rest, unit_uuid: str) -> None:
        self._rest = rest
        self._uuid = unit_uuid

    async def load(self) -> str:
        """The stored text, exactly as it was saved. Raises RestError."""
        body = await self._rest.get(f"/units/get_state_storage/{self._uuid}")
        try:
            text = json.loads(body)
        except ValueError:
            text = None
        if not isinstance(text, str):
            raise RestError("the gateway's answer is no stored text")
        return text

    async def save(self, text: str) -> None:
        """Store a text in the place of the one before. Raises ValueError if it is too long, RestError if it failed."""
        if len(text) > MAX_STORAGE_LENGTH:
            raise ValueError(f"a stored text has at most {MAX_STORAGE_LENGTH} characters, this one has {len(text)}")
        await self._rest.post(f"/units/set_state_storage/{self._uuid}", json.dumps({"state": text}).encode())
