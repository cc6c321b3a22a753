"""What the outbox tells of the Updates of units: which wait, and which were sent when and to which version.

A unit is given time from the moment on in which its Update was sent, not from that in which it was queued: many units
are commanded one after the other, and a broker may be away.
"""

import json
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, select

from pepeunit_gateway.registry.context import Act
from pepeunit_gateway.registry.outbox import WAITS
from pepeunit_gateway.storage.own_tables import outbox
from pepeunit_gateway.storage.tables import units
from pepeunit_gateway.topics import BackendTopicCommand

__all__ = ["UPDATE_SENT", "UPDATE_WAITS", "drop_updates", "sent_updates"]

_UPDATE = outbox.c.command == BackendTopicCommand.UPDATE.value
_OF_UNIT = outbox.c.unit_uuid == units.c.uuid

UPDATE_WAITS = exists().where(_OF_UNIT, _UPDATE, WAITS).correlate(units)
"""Of a row of `units`: an Update to it was not sent yet."""

UPDATE_SENT = select(func.max(outbox.c.sent_datetime)).where(_OF_UNIT, _UPDATE).correlate(units).scalar_subquery()
"""Of a row of `units`: when the last Update to it was sent; NULL if none was within a day."""


async def drop_updates(act: Act, which: Collection[UUID]) -> None:
    """Take back the Updates to units that were not sent yet."""
    await act.connection.execute(outbox.delete().where(outbox.c.unit_uuid.in_(list(which)), _UPDATE, WAITS))


async def sent_updates(act: Act, which: Collection[UUID]) -> dict[UUID, tuple[str, datetime]]:
    """Return the commit of the last Update that was sent to each unit within a day, and when."""
    if not which:
        return {}
    columns = outbox.c.unit_uuid, outbox.c.payload, outbox.c.sent_datetime
    query = select(*columns).where(outbox.c.unit_uuid.in_(list(which)), _UPDATE, ~WAITS).order_by(outbox.c.id)
    rows = await act.connection.execute(query)
    return {row.unit_uuid: (json.loads(row.payload)["PU_COMMIT_VERSION"], row.sent_datetime) for row in rows}
