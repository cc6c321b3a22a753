"""The telemetry of what was deleted goes after the act, in pieces, and for certain (W28, W35)."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select

from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.storage.own_tables import telemetry_removals

__all__ = ["queue_removals", "remove_queued"]

_UNIT = "Unit"
_NODE = "UnitNode"
_BATCH = 500


async def queue_removals(act: Act, *, units: Iterable[UUID] = (), nodes: Iterable[UUID] = ()) -> None:
    """Note in the act's transaction that the logs of `units` and the rows of `nodes` must go."""
    rows = [
        {"owner_uuid": uuid, "owner_type": kind} for kind, uuids in ((_UNIT, units), (_NODE, nodes)) for uuid in uuids
    ]
    if rows:
        await act.connection.execute(telemetry_removals.insert(), rows)


async def remove_queued(context: Context) -> int:
    """Delete the telemetry of everything that is noted and return how many owners there were.

    Called after each deletion and by the expiry job, which finishes what a killed gateway left. A row that is being
    removed by two replicas at once harms nobody: there is nothing to delete any more.
    """
    count = 0
    while True:
        async with context.database.read() as connection:
            rows = (await connection.execute(select(telemetry_removals).limit(_BATCH))).all()
        if not rows:
            return count
        await context.telemetry.delete_nodes(*(row.owner_uuid for row in rows if row.owner_type == _NODE))
        await context.telemetry.delete_unit_logs(*(row.owner_uuid for row in rows if row.owner_type == _UNIT))
        done = telemetry_removals.c.owner_uuid.in_([row.owner_uuid for row in rows])
        async with context.database.write() as connection:
            await connection.execute(telemetry_removals.delete().where(done))
        count += len(rows)
