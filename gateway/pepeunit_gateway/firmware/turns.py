"""Turns at what takes a processor or much memory: few at once, and fewer for each of those who share it."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["Turns"]


@dataclass(slots=True)
class _Line:
    """Those of one key, whose turns are at most a share of all."""

    slots: asyncio.Semaphore
    users: int = 0


class Turns:
    """Gives at most `total` turns at once and at most `share` of them to one key; within that, first come first served.

    However many of one key wait, another key waits for `share` of them at most.
    """

    def __init__(self, total: int, share: int) -> None:
        self._slots = asyncio.Semaphore(total)
        self._share = share
        self._lines: dict[Hashable, _Line] = {}

    @asynccontextmanager
    async def of(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for a turn and hold it."""
        line = self._lines.setdefault(key, _Line(asyncio.Semaphore(self._share)))
        line.users += 1
        try:
            async with line.slots, self._slots:
                yield
        finally:
            line.users -= 1
            if not line.users:
                del self._lines[key]
