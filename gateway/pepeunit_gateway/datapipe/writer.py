"""Writes batches and does not give up: nothing that waits is lost while the database is away (B6, W60).

A database that is locked, full or gone is tried again with growing pauses while the messages stay unacknowledged. A
row that the database refuses for what it holds is found by halving and left out, so that it harms no other (B2).
"""

import asyncio
from collections.abc import Callable
from random import Random

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pepeunit_gateway.datapipe.counters import IngestCounters
from pepeunit_gateway.storage.outages import blames_values
from pepeunit_gateway.storage.telemetry import Awaited, TelemetryBatch, TelemetryStore

__all__ = ["BatchWriter", "describe"]

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0
_HURRIED_PAUSE = 0.1

log = structlog.get_logger(__name__)


def describe(error: BaseException) -> str:
    """Say what the database said, without the statement and its parameters."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return f"{type(cause).__name__}: {cause}"


class BatchWriter:
    """Writes one batch at a time; `random` spreads the pauses."""

    def __init__(
        self,
        store: TelemetryStore,
        counters: IngestCounters,
        *,
        random: Random,
        on_awaited: Callable[[list[Awaited]], None],
    ) -> None:
        self._store, self._counters, self._random, self._on_awaited = store, counters, random, on_awaited
        self._hurry = asyncio.Event()
        self._failures = 0

    def hurry(self) -> None:
        """Make the pauses short, because the process wants to end."""
        self._hurry.set()

    async def write(self, batch: TelemetryBatch) -> None:
        """Return when every row of `batch` is committed or was refused alone."""
        while len(batch):
            try:
                awaited = await self._store.write_batch(batch)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises for one row must not stop the others
                if not _is_outage(error):
                    await self._write_halves(batch, error)
                    return
                await self._wait_out(error, len(batch))
            else:
                self._recovered()
                self._counters.rows += len(batch)
                self._on_awaited(awaited)
                return

    async def _write_halves(self, batch: TelemetryBatch, error: Exception) -> None:
        if len(batch) == 1:
            self._counters.refused_rows += 1
            log.error("datapipe.row.refused", kind=_kind(batch), key=_key(batch), reason=describe(error))
            return
        for half in batch.halves():
            await self.write(half)

    async def _wait_out(self, error: Exception, rows: int) -> None:
        if not self._failures:
            self._counters.outages += 1
            log.error(
                "datapipe.database.unavailable",
                reason=describe(error),
                rows=rows,
                action="messages wait unacknowledged; free the database or its disk",
            )
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures, 16)) * self._random.uniform(0.5, 1.0)
        self._failures += 1
        if self._hurry.is_set():
            await asyncio.sleep(min(pause, _HURRIED_PAUSE))
            return
        try:
            async with asyncio.timeout(pause):
                await self._hurry.wait()
        except TimeoutError:
            return

    def _recovered(self) -> None:
        if self._failures:
            log.info("datapipe.database.recovered", attempts=self._failures)
            self._failures = 0


def _is_outage(error: Exception) -> bool:
    """Tell whether the same write may succeed later; else a row of it is at fault."""
    if isinstance(error, SQLAlchemyError):
        return not blames_values(error)
    return isinstance(error, OSError)


def _kind(batch: TelemetryBatch) -> str:
    parts = ("last_values", "windows", "states", "logs", "seen")
    return next(name for name in parts if getattr(batch, name))


def _key(batch: TelemetryBatch) -> str:
    """Name the node or unit of a batch of one row."""
    for rows in (batch.last_values, batch.windows, batch.states, batch.seen):
        if rows:
            return str(rows[0][0])
    return str(batch.logs[0].unit_uuid)
