"""What became of an Update: from what a unit reports, or from its silence. Source: protocol/broker.md 6.4."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, func

from pepeunit_gateway.errors import GitRepoError, UpdateError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.entities import FirmwareUpdateStatus
from pepeunit_gateway.registry.refs_states import RECORDED_KEY
from pepeunit_gateway.registry.targets import select_units, target_of
from pepeunit_gateway.registry.update_commands import UPDATE_SENT, UPDATE_WAITS, drop_updates
from pepeunit_gateway.storage.tables import units

__all__ = ["PENDING", "Verdicts"]

PENDING = (FirmwareUpdateStatus.REQUEST_SENT.value, FirmwareUpdateStatus.ERROR.value)
"""The states of an update that a report of the target turns into a success."""

log = structlog.get_logger(__name__)


class Verdicts:
    """Judges updates that were asked for."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def judge(self, uuid: UUID, commit: str | None) -> None:
        """Compare what a unit reports with its target.

        Nothing is said where another gateway knows a newer state of the repository than this one: a later report tells.
        A unit that got there after all is a success, however late; one that did not, 2 x PU_STATE_SEND_INTERVAL after
        the command was sent, is an error. What was commanded meanwhile is judged by a later report.
        """
        query = select_units().add_columns(UPDATE_WAITS.label("waits"), UPDATE_SENT.label("sent"), RECORDED_KEY)
        async with self._context.database.read() as connection:
            row = (await connection.execute(query.where(units.c.uuid == uuid))).one_or_none()
        if row is None or row.firmware_update_status not in PENDING:
            return
        mirrors, registry = self._context.mirrors, row.repository_registry_uuid
        if self._context.bus.shared and row.refs_key != mirrors.key(registry):
            return  # by an older state the former version would pass for the target
        try:
            target = await target_of(mirrors, row)
        except GitRepoError as error:
            if row.firmware_update_error != error.detail:
                await self._conclude(row, FirmwareUpdateStatus.ERROR, error.detail)
            return
        deadline = timedelta(seconds=2 * self._context.settings.state_send_interval)
        asked = row.last_firmware_update_datetime
        if commit == target.commit:
            await self._conclude(row, FirmwareUpdateStatus.SUCCESS, None)
        elif commit is None and row.current_commit_version is None:
            return  # it was never installed
        elif asked is not None and not row.waits and self._context.clock() - max(asked, row.sent or asked) > deadline:
            waited = int(deadline.total_seconds())
            text = f"the unit still reports {commit or 'no version'}, {waited} s after the command"
            await self._conclude(row, FirmwareUpdateStatus.ERROR, UpdateError(text).detail)

    async def expire_requests(self) -> int:
        """Give up on updates of units that say nothing: 3 x PU_STATE_SEND_INTERVAL after the command they are errors.

        One that reports its target later is a success after all. One that never reported a version was never installed:
        it is not blamed, and is as it was before the command. Return how many units were given up on.
        """
        limit = timedelta(seconds=3 * self._context.settings.state_send_interval)
        asked, latest = units.c.last_firmware_update_datetime, self._context.clock() - limit
        requested = units.c.firmware_update_status == FirmwareUpdateStatus.REQUEST_SENT.value
        silent = requested & (asked < latest) & (func.coalesce(UPDATE_SENT, asked) < latest) & ~UPDATE_WAITS
        error = UpdateError(
            f"the unit has reported nothing for {int(limit.total_seconds())} s since the command; is it running and "
            "connected? See its own output"
        )
        installed = units.c.current_commit_version.is_not(None)
        async with self._context.act() as act:
            values = _concluded(FirmwareUpdateStatus.ERROR, error.detail)
            written = await act.connection.execute(units.update().where(silent, installed).values(values))
            await act.connection.execute(units.update().where(silent, ~installed).values(_concluded(None, None)))
        if written.rowcount:
            log.info("unit.update.silent", units=written.rowcount)
        return written.rowcount

    async def _conclude(self, row: Row[Any], status: FirmwareUpdateStatus, error: str | None) -> None:
        """Write the verdict about the command that was judged, not about one that came meanwhile."""
        same = units.c.last_firmware_update_datetime.is_not_distinct_from(row.last_firmware_update_datetime)
        judged = (units.c.uuid == row.uuid) & same & (units.c.firmware_update_status == row.firmware_update_status)
        async with self._context.act() as act:
            written = await act.connection.execute(units.update().where(judged).values(_concluded(status, error)))
            if written.rowcount and status is FirmwareUpdateStatus.SUCCESS:
                await drop_updates(act, [row.uuid])  # it got there before its turn came (W50)
        if written.rowcount:
            log.info("unit.update.concluded", unit=str(row.uuid), status=status.value)


def _concluded(status: FirmwareUpdateStatus | None, error: str | None) -> dict[str, Any]:
    return {
        "firmware_update_status": status and status.value,
        "firmware_update_error": error,
        "last_firmware_update_datetime": None,
    }
