"""The messages of one flush, merged: of a node's LastValue and of a unit's state only the newest is written."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pepeunit_gateway.storage.telemetry import LastValueRow, LogRow, StateRow, TelemetryBatch, WindowRow

__all__ = ["Batch"]


@dataclass(slots=True, eq=False)
class Batch:
    """Collects rows and lets the messages behind them wait for the commit."""

    messages: int = 0
    last_values: dict[UUID, LastValueRow] = field(default_factory=dict)
    windows: list[WindowRow] = field(default_factory=list)
    states: dict[UUID, StateRow] = field(default_factory=dict)
    logs: list[LogRow] = field(default_factory=list)
    seen: dict[UUID, datetime] = field(default_factory=dict)
    _done: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: Exception | None = None

    def add_state(self, row: StateRow) -> None:
        """Take the state of a unit; an older one that knew the commit still tells the commit."""
        before = self.states.get(row.unit_uuid)
        if before is not None and row.commit is None:
            row = row._replace(commit=before.commit)
        self.states[row.unit_uuid] = row

    @property
    def rows(self) -> int:
        """How many rows have been collected, to bound one flush."""
        return len(self.last_values) + len(self.windows) + len(self.states) + len(self.logs)

    def content(self) -> TelemetryBatch:
        """Return what to write."""
        states = self.states
        seen = [(unit, time) for unit, time in self.seen.items() if unit not in states or time >= states[unit].time]
        return TelemetryBatch(
            last_values=list(self.last_values.values()),
            windows=self.windows,
            states=list(states.values()),
            logs=self.logs,
            seen=seen,
        )

    def finish(self, failure: Exception | None = None) -> None:
        """Let everyone who waits go on: the batch is committed, or `failure` says why it is not."""
        self._failure = failure
        self._done.set()

    async def written(self) -> None:
        """Return after the commit. Any number may wait at once, and each may be cancelled alone."""
        await self._done.wait()
        if self._failure is not None:
            raise self._failure
