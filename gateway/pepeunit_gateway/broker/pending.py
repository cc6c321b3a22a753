"""How many received messages are being handled; closes the way in while there are too many.

Source: mosquitto.md "The gateway's own session": mosquitto ignores Receive Maximum, so the gateway bounds itself.
"""

import asyncio

__all__ = ["Pending"]


class Pending:
    """Counts handlers under way. The way in closes at `limit` and opens again at half of it.

    What one read brought before the way closed (64 KiB) is still handled, so the count may pass `limit` by that much.
    """

    def __init__(self, limit: int) -> None:
        self.count = 0
        self._limit = limit
        self._stopped = False
        self._open = asyncio.Event()
        self._open.set()
        self._none = asyncio.Event()
        self._none.set()

    def enter(self) -> None:
        """Count a message in."""
        self.count += 1
        self._none.clear()
        if self.count >= self._limit:
            self._open.clear()

    def leave(self) -> None:
        """Count a message out."""
        self.count -= 1
        if self.count == 0:
            self._none.set()
        if self.count <= self._limit // 2 and not self._stopped:
            self._open.set()

    def close(self) -> None:
        """Let nothing more in, for good."""
        self._stopped = True
        self._open.clear()

    async def wait_open(self) -> None:
        """Wait until more may be read."""
        await self._open.wait()

    async def wait_none(self) -> None:
        """Wait until no handler is under way."""
        await self._none.wait()
