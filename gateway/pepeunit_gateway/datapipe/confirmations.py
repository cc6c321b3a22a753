"""Hands states of units that were asked to update to whoever judges them, after the commit and one at a time.

Judging may read git, so it never delays a flush or an acknowledgement. Of a unit only the newest report waits: there
are never more than units. A report that is lost in a stop is made up for by the unit's next state.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

import structlog

from pepeunit_gateway.storage.telemetry import Awaited

__all__ = ["Confirmations", "StateHandler"]

StateHandler = Callable[[UUID, str | None], Awaitable[None]]

_TIME_LIMIT = 60.0

log = structlog.get_logger(__name__)


class Confirmations:
    """Calls `handler(unit, commit)` for each report."""

    def __init__(self, handler: StateHandler) -> None:
        self._handler = handler
        self._waiting: dict[UUID, str | None] = {}
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to hand over."""
        self._task = asyncio.create_task(self._run(), name="datapipe-confirmations")

    async def stop(self) -> None:
        """End; what waits is forgotten."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    def add(self, reports: Iterable[Awaited]) -> None:
        """Queue reports."""
        self._waiting.update(reports)
        if self._waiting:
            self._arrived.set()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                unit = next(iter(self._waiting))
                await self._judge(unit, self._waiting.pop(unit))

    async def _judge(self, unit: UUID, commit: str | None) -> None:
        try:
            async with asyncio.timeout(_TIME_LIMIT):
                await self._handler(unit, commit)
        except Exception:
            log.exception("datapipe.state.judging_failed", unit=str(unit))
