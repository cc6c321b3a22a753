"""Telemetry into PostgreSQL in bulk: one statement per table whatever the number of rows, new rows by COPY.

Rows that are changed are locked first, of units before nodes and each in the order of their uuids, as deletions reach
them too: so two replicas that write at the same time wait for each other and never each for the other.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.storage.outages import driver_failure
from pepeunit_gateway.storage.tables import units, units_nodes

__all__ = ["copy_rows", "lock_rows", "set_last_values", "set_seen", "set_states"]

_LOCK = "SELECT FROM {table} WHERE uuid = ANY($1::uuid[]) ORDER BY uuid FOR NO KEY UPDATE"
_SET_LAST_VALUES = (
    "UPDATE units_nodes AS node SET state = new.state, last_update_datetime = new.time "
    "FROM unnest($1::uuid[], $2::text[], $3::timestamp[]) AS new (uuid, state, time) WHERE node.uuid = new.uuid"
)
_SET_STATES = (
    "UPDATE units AS unit SET unit_state_dict = new.state, last_update_datetime = new.time, "
    "current_commit_version = coalesce(new.commit, unit.current_commit_version) "
    "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamp[]) AS new (uuid, state, commit, time) "
    "WHERE unit.uuid = new.uuid"
)
_SET_SEEN = (
    "UPDATE units AS unit SET last_update_datetime = new.time "
    "FROM unnest($1::uuid[], $2::timestamp[]) AS new (uuid, time) WHERE unit.uuid = new.uuid"
)


def _plain(value: Any) -> Any:
    """Return what the driver takes for a column: times are stored as UTC without an offset."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


async def _run(connection: AsyncConnection, statement: str, rows: Sequence[Sequence[Any]]) -> None:
    if rows:
        columns = tuple([_plain(value) for value in column] for column in zip(*rows, strict=True))
        await connection.exec_driver_sql(statement, columns)


async def lock_rows(connection: AsyncConnection, unit_uuids: Iterable[UUID], node_uuids: Iterable[UUID]) -> None:
    """Lock the rows that will be changed until the transaction ends. It is begun by that, also where there are none."""
    await connection.exec_driver_sql(_LOCK.format(table=units.name), (list(unit_uuids),))
    nodes = list(node_uuids)
    if nodes:
        await connection.exec_driver_sql(_LOCK.format(table=units_nodes.name), (nodes,))


async def set_last_values(connection: AsyncConnection, rows: Sequence[tuple[UUID, str | None, datetime]]) -> None:
    """Set the newest value of nodes: (node, state, time)."""
    await _run(connection, _SET_LAST_VALUES, rows)


async def set_states(connection: AsyncConnection, rows: Sequence[tuple[UUID, str, str | None, datetime]]) -> None:
    """Set the newest state of units: (unit, state, commit, time); without a commit the stored one stays."""
    await _run(connection, _SET_STATES, rows)


async def set_seen(connection: AsyncConnection, rows: Sequence[tuple[UUID, datetime]]) -> None:
    """Set when units were heard last: (unit, time)."""
    await _run(connection, _SET_SEEN, rows)


async def copy_rows(
    connection: AsyncConnection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert rows by COPY; the transaction has begun already (`lock_rows`).

    Raises:
        DBAPIError: as any other statement raises it.
    """
    if not rows:
        return
    driver: Any = (await connection.get_raw_connection()).driver_connection
    records = [tuple([_plain(value) for value in row]) for row in rows]
    try:
        await driver.copy_records_to_table(table.name, records=records, columns=columns)
    except Exception as error:
        raise driver_failure(f"COPY {table.name}", error, closed=driver.is_closed()) from error
