"""From a new target version to commands, and from a reported version to a verdict.

Source: protocol/firmware.md 7.9, protocol/broker.md 6.4 and 6.6. W21: one Repo's failure harms no other. W23: nodes
follow the commit they were synchronised to, not the one the device reports. W50: no command to a unit that is current.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, or_, select

from pepeunit_gateway.errors import ApiError, CustomJSONDecodeError, GitRepoError, UpdateError
from pepeunit_gateway.firmware.schema import SchemaExample
from pepeunit_gateway.firmware.versions import Target, resolve
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.entities import FirmwareUpdateStatus
from pepeunit_gateway.registry.node_sync import sync_nodes
from pepeunit_gateway.registry.outbox import queue_command
from pepeunit_gateway.registry.targets import load_unit, read_examples, repo_rule, select_units, target_of
from pepeunit_gateway.storage.tables import repos, units
from pepeunit_gateway.topics import BackendTopicCommand

__all__ = ["Updates"]

_CHUNK = 100

log = structlog.get_logger(__name__)


class Updates:
    """Keeps units on their target version."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def update_all(self) -> None:
        """Look at every auto-updating Repo; a failing one is logged and harms no other."""
        query = select(repos.c.uuid).where(repos.c.is_auto_update_repo)
        async with self._context.database.read() as connection:
            uuids = list((await connection.execute(query)).scalars())
        for uuid in uuids:
            try:
                await self.update_repo(uuid)
            except ApiError as error:
                log.warning("repo.update.failed", repo=str(uuid), reason=error.message)

    async def update_repo(self, uuid: UUID, *, again: bool = False) -> None:
        """Bring the auto-updating units of a Repo to its target.

        Units that were commanded to this target already are left alone, unless `again`: then all that do not report it
        are commanded once more. A version that does not exist or cannot be used is noted at the units.
        """
        stale = select_units().where(units.c.repo_uuid == uuid, units.c.is_auto_update_from_repo_unit)
        async with self._context.database.read() as connection:
            repo = (await connection.execute(select(repos).where(repos.c.uuid == uuid))).one_or_none()
            if repo is None or not self._context.mirrors.exists(repo.repository_registry_uuid):
                return
        try:
            target = await resolve(self._context.mirrors, repo.repository_registry_uuid, repo_rule(repo), None)
            reported = units.c.current_commit_version.is_distinct_from(target.commit)
            moved = units.c.synced_commit.is_distinct_from(target.commit)
            stale = stale.where(or_(moved, reported) if again else moved)
            async with self._context.database.read() as connection:
                rows = (await connection.execute(stale)).all()
            if not rows:
                return
            example, _ = await read_examples(self._context.mirrors, repo.repository_registry_uuid, target.commit)
        except (GitRepoError, CustomJSONDecodeError) as error:
            await self._note_failure(uuid, error)
            return
        for start in range(0, len(rows), _CHUNK):
            await self._command_chunk(rows[start : start + _CHUNK], example, target)
        log.info("repo.update.commanded", repo=str(uuid), commit=target.commit, units=len(rows))

    async def update_unit(self, uuid: UUID, *, force: bool = False) -> Target:
        """Synchronise one unit's nodes with its target and command it if it runs something else.

        Raises:
            GitRepoError, CustomJSONDecodeError: the target cannot be used; nothing was changed.
        """
        async with self._context.database.read() as connection:
            row = await load_unit(connection, uuid)
        target = await target_of(self._context.mirrors, row)
        example, _ = await read_examples(self._context.mirrors, row.repository_registry_uuid, target.commit)
        async with self._context.act() as act:
            await self.apply(act, row, example, target, force=force)
        return target

    async def apply(
        self, act: Act, row: Row[Any], example: SchemaExample, target: Target, *, force: bool = False
    ) -> None:
        """The same inside the caller's transaction; `row` is of `select_units`."""
        if row.synced_commit != target.commit:
            pipe = self._context.settings.ff_datapipe_default_last_value_enable
            await sync_nodes(act, row, example, target.commit, default_pipe=pipe)
        if row.current_commit_version == target.commit and not force:
            return
        if BackendTopicCommand.UPDATE.topic_name not in example.input_base_topic:
            return
        domain = self._context.settings.domain
        await queue_command(act, domain, row.uuid, BackendTopicCommand.UPDATE, commit=target.commit)
        await act.connection.execute(
            units.update()
            .where(units.c.uuid == row.uuid)
            .values(
                firmware_update_status=FirmwareUpdateStatus.REQUEST_SENT.value,
                firmware_update_error=None,
                last_firmware_update_datetime=act.now,
            )
        )

    async def judge(self, uuid: UUID, commit: str | None) -> None:
        """Compare what a unit with a pending update reports with its target (protocol/broker.md 6.4)."""
        async with self._context.database.read() as connection:
            row = (await connection.execute(select_units().where(units.c.uuid == uuid))).one_or_none()
        if row is None or row.firmware_update_status != FirmwareUpdateStatus.REQUEST_SENT.value:
            return
        try:
            target = await target_of(self._context.mirrors, row)
        except GitRepoError as error:
            await self._conclude(uuid, FirmwareUpdateStatus.ERROR, error.detail)
            return
        deadline = timedelta(seconds=2 * self._context.settings.state_send_interval)
        asked = row.last_firmware_update_datetime
        if commit == target.commit:
            await self._conclude(uuid, FirmwareUpdateStatus.SUCCESS, None)
        elif asked is not None and self._context.clock() - asked > deadline:
            text = (
                f"the unit still reports {commit or 'no version'}, {int(deadline.total_seconds())} s after the command"
            )
            await self._conclude(uuid, FirmwareUpdateStatus.ERROR, UpdateError(text).detail)

    async def _command_chunk(self, rows: Sequence[Row[Any]], example: SchemaExample, target: Target) -> None:
        async with self._context.act() as act:
            for row in rows:
                await self.apply(act, row, example, target)

    async def _conclude(self, uuid: UUID, status: FirmwareUpdateStatus, error: str | None) -> None:
        async with self._context.act() as act:
            await act.connection.execute(
                units.update()
                .where(units.c.uuid == uuid)
                .values(
                    firmware_update_status=status.value,
                    firmware_update_error=error,
                    last_firmware_update_datetime=None,
                )
            )
        log.info("unit.update.concluded", unit=str(uuid), status=status.value)

    async def _note_failure(self, repo_uuid: UUID, error: ApiError) -> None:
        """Tell the auto-updating units why they do not move; written and logged once, not at every look."""
        same = units.c.firmware_update_error == error.detail
        concerned = (units.c.repo_uuid == repo_uuid) & units.c.is_auto_update_from_repo_unit
        values = {
            "firmware_update_status": FirmwareUpdateStatus.ERROR.value,
            "firmware_update_error": error.detail,
            "last_firmware_update_datetime": None,
        }
        news = select(units.c.uuid).where(concerned, or_(units.c.firmware_update_error.is_(None), ~same)).limit(1)
        async with self._context.database.read() as connection:
            if (await connection.execute(news)).first() is None:
                return
        async with self._context.act() as act:
            await act.connection.execute(units.update().where(concerned).values(values))
        log.warning("repo.update.failed", repo=str(repo_uuid), reason=error.message)
