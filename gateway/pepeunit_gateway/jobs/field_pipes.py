"""Tell data pipes in the field, which are programs of their own, that a node's configuration may have changed.

Source: protocol/broker.md 5.3, protocol/datapipe.md 10. They read the Redis stream `backend_data_pipe_nodes` and load
all active nodes anew at any entry that has a `topic_name`. Unlike the contract's the stream is capped (W55), and
creation, deletion and changes of visibility are told too (W35).
"""

import json
import random
from asyncio import sleep
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select

from pepeunit_gateway.bus.port import BusAwayError
from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.storage.tables import units_nodes

__all__ = ["STREAM", "tell_field_pipes"]

log = structlog.get_logger(__name__)

STREAM = "backend_data_pipe_nodes"
_MAX_ENTRIES = 10_000
_CHUNK = 200
_PAUSE = 5.0
_GONE = "deleted/pepeunit"


async def tell_field_pipes(context: Context, changed: Subscription) -> None:
    """Append an entry for each node that this gateway changed, until cancelled; what Redis did not take comes again."""
    async for news in changed:
        waiting = set(news.uuids)
        try:
            while waiting:
                uuids = list(islice(waiting, _CHUNK))
                for entry in await _entries(context, uuids):
                    await context.bus.append(STREAM, entry, max_entries=_MAX_ENTRIES)
                waiting.difference_update(uuids)
        except BusAwayError:
            log.debug("datapipe.field.waiting", nodes=len(waiting))
            await sleep(_PAUSE * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries, no secret
        finally:
            changed.add(waiting)


async def _entries(context: Context, uuids: Sequence[UUID]) -> list[dict[str, str]]:
    async with context.database.read() as connection:
        rows = (await connection.execute(select(units_nodes).where(units_nodes.c.uuid.in_(uuids)))).all()
    found = {row.uuid: dict(row._mapping) for row in rows}  # noqa: SLF001 - SQLAlchemy's documented access to the columns
    return [_entry(found.get(uuid) or _gone(uuid)) for uuid in uuids]


def _gone(uuid: UUID) -> dict[str, Any]:
    """Return what is left to say of a node without a row; pipes look at nothing but that there is a `topic_name`."""
    return {column.name: None for column in units_nodes.c} | {
        "uuid": uuid,
        "topic_name": _GONE,
        "is_data_pipe_active": False,
    }


def _entry(row: dict[str, Any]) -> dict[str, str]:
    return {
        "action": "Update" if row["is_data_pipe_active"] else "Delete",
        "unit_node_data": json.dumps(row, default=_plain),
    }


def _plain(value: UUID | datetime) -> str:
    """Write what JSON has no type for; times are UTC without an offset, as the contract's columns are."""
    return value.replace(tzinfo=None).isoformat() if isinstance(value, datetime) else str(value)
