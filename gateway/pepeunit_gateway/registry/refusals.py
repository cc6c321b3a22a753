"""A version that cannot be used is told at the units that should run it: once, not at every look."""

from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, select

from pepeunit_gateway.errors import ApiError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.entities import FirmwareUpdateStatus
from pepeunit_gateway.registry.refs_states import require_state
from pepeunit_gateway.storage.tables import units

__all__ = ["note_refusal"]

log = structlog.get_logger(__name__)


async def note_refusal(
    context: Context, repo: Row[Any], concerned: ColumnElement[bool], error: ApiError, state: str
) -> None:
    """Tell units why they do not move, or that what they run is gone; written and logged if it is news to one of them.

    Args:
        context: the doors.
        repo: its uuid and repository_registry_uuid.
        concerned: which rows of `units`.
        error: its detail becomes their firmware_update_error.
        state: that of the repository in which it was found, see `current_state`.
    """
    news = concerned & units.c.firmware_update_error.is_distinct_from(error.detail)
    values: dict[str, Any] = {
        "firmware_update_status": FirmwareUpdateStatus.ERROR.value,
        "firmware_update_error": error.detail,
        "last_firmware_update_datetime": None,
    }
    async with context.database.read() as connection:
        if (await connection.execute(select(units.c.uuid).where(news).limit(1))).first() is None:
            return
    async with context.act() as act:
        await require_state(context, act.connection, repo.repository_registry_uuid, state)
        await act.connection.execute(units.update().where(news).values(values))
    log.warning("repo.update.refused", repo=str(repo.uuid), reason=error.message)
