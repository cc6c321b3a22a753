"""What units report, in SQL: values of nodes, states of units, logs of units.

Written in bulk, one statement per table and flush; nothing here reads or builds an entity. A row that has expired is
never read again and deleted a little later (`expire`).
Source: protocol/entities.md 1.4, 1.5 and 1.9, protocol/datapipe.md 6.1 and 6.3, decisions.md 6 and 22.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Executable, Row, Select, String, Table, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.storage import bulk
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.search import contains
from pepeunit_gateway.storage.tables import aggregation_entry, n_last_entry, unit_logs, units, units_nodes, window_entry

__all__ = [
    "Awaited",
    "Expired",
    "LastValueRow",
    "LogRow",
    "StateRow",
    "TelemetryBatch",
    "TelemetryStore",
    "WindowFilter",
    "WindowRow",
]

_DELETE_ROWS = 5000
"""Rows per deleting transaction, so that the ingest never waits long for the writer's lock."""

_IN_LIST = 10_000
"""Values per IN list; SQLite takes 32,766 parameters in one statement."""


class LastValueRow(NamedTuple):
    """The newest value of a node; `state` is None until there was one."""

    unit_node_uuid: UUID
    state: str | None
    last_update_datetime: datetime


class WindowRow(NamedTuple):
    """One kept value of a TimeWindow node. `size` is in bytes of UTF-8, `state_type` Number or Text."""

    unit_node_uuid: UUID
    state: str
    state_type: str
    create_datetime: datetime
    expiration_datetime: datetime
    size: int


class StateRow(NamedTuple):
    """The newest state message of a unit; without a commit the stored version stays (decisions.md 6)."""

    unit_uuid: UUID
    unit_state_dict: str
    commit: str | None
    time: datetime


class LogRow(NamedTuple):
    """One log line of a unit. Rows of one moment are read in the order of their uuids."""

    uuid: UUID
    level: str
    unit_uuid: UUID
    text: str
    create_datetime: datetime
    expiration_datetime: datetime


class Awaited(NamedTuple):
    """A unit that reported while an update was asked of it, and the version it runs."""

    unit_uuid: UUID
    commit: str | None


class Expired(NamedTuple):
    """How many rows `expire` deleted."""

    windows: int
    logs: int


@dataclass(frozen=True, slots=True)
class TelemetryBatch:
    """What one flush writes. A node or unit occurs at most once in `last_values`, `states` and `seen`."""

    last_values: Sequence[LastValueRow] = ()
    windows: Sequence[WindowRow] = ()
    states: Sequence[StateRow] = ()
    logs: Sequence[LogRow] = ()
    seen: Sequence[tuple[UUID, datetime]] = ()  # units that sent something else than a state, and when

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.last_values) + len(self.windows) + len(self.states) + len(self.logs) + len(self.seen)

    def halves(self) -> tuple["TelemetryBatch", "TelemetryBatch"]:
        """Split in two, to find the row that the database refuses."""
        middle, first, second = len(self) // 2, TelemetryBatch(), TelemetryBatch()
        for part in fields(self):
            rows = getattr(self, part.name)
            cut = max(min(middle, len(rows)), 0)
            first = replace(first, **{part.name: rows[:cut]})
            second = replace(second, **{part.name: rows[cut:]})
            middle -= len(rows)
        return first, second


@dataclass(frozen=True, slots=True)
class WindowFilter:
    """Which rows of a node to read; both bounds are inclusive, `limit` is at least 1."""

    search: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    ascending: bool = False
    offset: int = 0
    limit: int = 100


_SET_LAST_VALUE = (
    update(units_nodes)
    .where(units_nodes.c.uuid == bindparam("unit_node_uuid"))
    .values(state=bindparam("state_"), last_update_datetime=bindparam("time"))
)
_SET_STATE = (
    update(units)
    .where(units.c.uuid == bindparam("unit_uuid"))
    .values(
        unit_state_dict=bindparam("state_"),
        current_commit_version=func.coalesce(bindparam("commit", type_=String), units.c.current_commit_version),
        last_update_datetime=bindparam("time"),
    )
)
_SET_SEEN = update(units).where(units.c.uuid == bindparam("unit_uuid")).values(last_update_datetime=bindparam("time"))


def _statements(batch: TelemetryBatch) -> Iterator[tuple[Executable, list[dict[str, Any]]]]:
    """The statements of a batch on SQLite, each with the parameters of all its rows."""
    yield _SET_LAST_VALUE, [{"unit_node_uuid": n, "state_": s, "time": t} for n, s, t in batch.last_values]
    yield window_entry.insert(), [row._asdict() for row in batch.windows]
    yield _SET_STATE, [{"unit_uuid": u, "state_": s, "commit": c, "time": t} for u, s, c, t in batch.states]
    yield _SET_SEEN, [{"unit_uuid": u, "time": t} for u, t in batch.seen]
    yield unit_logs.insert(), [row._asdict() for row in batch.logs]


async def _write_in_bulk(connection: AsyncConnection, batch: TelemetryBatch) -> None:
    changed = [row.unit_uuid for row in batch.states] + [unit for unit, _ in batch.seen]
    await bulk.lock_rows(connection, changed, [row.unit_node_uuid for row in batch.last_values])
    await bulk.set_states(connection, batch.states)
    await bulk.set_seen(connection, batch.seen)
    await bulk.set_last_values(connection, batch.last_values)
    await bulk.copy_rows(connection, window_entry, WindowRow._fields, batch.windows)
    await bulk.copy_rows(connection, unit_logs, LogRow._fields, batch.logs)


class TelemetryStore:
    """Telemetry in the tables of the database (decisions.md 22)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write_batch(self, batch: TelemetryBatch) -> list[Awaited]:
        """Write all of `batch` in one transaction, or nothing.

        Returns:
            The units of `batch.states` whose update was asked for or failed, and is not confirmed yet.
        """
        async with self._database.write() as connection:
            if self._database.is_sqlite:
                for statement, rows in _statements(batch):
                    if rows:
                        await connection.execute(statement, rows)
            else:
                await _write_in_bulk(connection, batch)
            return await _awaited(connection, [row.unit_uuid for row in batch.states])

    async def read_last_value(self, node: UUID) -> LastValueRow | None:
        """Return the newest value, or None if there is no such node."""
        query = select(units_nodes.c.uuid, units_nodes.c.state, units_nodes.c.last_update_datetime)
        async with self._database.read() as connection:
            row = (await connection.execute(query.where(units_nodes.c.uuid == node))).one_or_none()
        return None if row is None else LastValueRow._make(row)

    async def read_window(self, node: UUID, wanted: WindowFilter, now: datetime) -> tuple[int, list[WindowRow]]:
        """Return how many rows match and one page of them; expired rows do not exist."""
        table = window_entry.c
        query = select(*(table[name] for name in WindowRow._fields)).where(
            table.unit_node_uuid == node, table.expiration_datetime > now
        )
        if wanted.search:
            query = query.where(contains(table.state, wanted.search))
        if wanted.start is not None:
            query = query.where(table.create_datetime >= wanted.start)
        if wanted.end is not None:
            query = query.where(table.create_datetime <= wanted.end)
        query = _sorted(query, (table.create_datetime, table.id), ascending=wanted.ascending)
        count, rows = await self._page(query, wanted.offset, wanted.limit)
        return count, [WindowRow._make(row) for row in rows]

    async def read_logs(
        self, unit: UUID, levels: Sequence[str], *, offset: int, limit: int, ascending: bool, now: datetime
    ) -> tuple[int, list[LogRow]]:
        """Return how many log lines match and one page of them; no levels means all of them."""
        table = unit_logs.c
        query = select(*(table[name] for name in LogRow._fields)).where(
            table.unit_uuid == unit, table.expiration_datetime > now
        )
        if levels:
            query = query.where(table.level.in_([str(level) for level in levels]))
        query = _sorted(query, (table.create_datetime, table.uuid), ascending=ascending)
        count, rows = await self._page(query, offset, limit)
        return count, [LogRow._make(row) for row in rows]

    async def delete_nodes(self, *nodes: UUID) -> int:
        """Delete every kept row of these nodes, whatever the policy, and return how many there were."""
        tables = (window_entry, n_last_entry, aggregation_entry)
        return sum([await self._delete(table, table.c.unit_node_uuid.in_(nodes)) for table in tables])

    async def delete_unit_logs(self, *units: UUID) -> int:
        """Delete all log lines of these units and return how many there were."""
        return await self._delete(unit_logs, unit_logs.c.unit_uuid.in_(units))

    async def expire(self, now: datetime) -> Expired:
        """Delete what has expired."""
        return Expired(
            windows=await self._delete(window_entry, window_entry.c.expiration_datetime <= now),
            logs=await self._delete(unit_logs, unit_logs.c.expiration_datetime <= now),
        )

    async def _page(self, query: Select[Any], offset: int, limit: int) -> tuple[int, Sequence[Row[Any]]]:
        counting = select(func.count()).select_from(query.order_by(None).subquery())
        async with self._database.read() as connection:
            count = (await connection.execute(counting)).scalar_one()
            rows = (await connection.execute(query.offset(offset).limit(limit))).all()
        return count, rows

    async def _delete(self, table: Table, condition: ColumnElement[bool]) -> int:
        key = next(iter(table.primary_key))
        # what another replica is deleting at the moment is left to it; SQLite has one writer anyway
        some = select(key).where(condition).limit(_DELETE_ROWS).with_for_update(skip_locked=True)
        total = 0
        while True:
            async with self._database.write() as connection:
                deleted = (await connection.execute(delete(table).where(key.in_(some)))).rowcount
            total += deleted
            if deleted < _DELETE_ROWS:
                return total


def _sorted(query: Select[Any], columns: Iterable[ColumnElement[Any]], *, ascending: bool) -> Select[Any]:
    return query.order_by(*(column.asc() if ascending else column.desc() for column in columns))


async def _awaited(connection: AsyncConnection, unit_uuids: Sequence[UUID]) -> list[Awaited]:
    found: list[Awaited] = []
    query = select(units.c.uuid, units.c.current_commit_version).where(
        units.c.firmware_update_status.in_(("RequestSent", "Error")),
        units.c.uuid.in_(bindparam("units", expanding=True)),
    )
    for start in range(0, len(unit_uuids), _IN_LIST):
        rows = await connection.execute(query, {"units": unit_uuids[start : start + _IN_LIST]})
        found.extend(Awaited._make(row) for row in rows)
    return found
