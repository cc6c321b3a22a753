"""From a new target version to commands, and from a reported version to a verdict.

Source: protocol/firmware.md 7.9, protocol/broker.md 6.4 and 6.6. W21: one Repo's failure harms no other. W23: nodes
follow the commit they were synchronised to, not the one the device reports. W50: no command to a unit that is current.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Row, false, or_, select

from pepeunit_gateway.errors import ApiError, CustomJSONDecodeError, GitRepoError, UnitError, UpdateError
from pepeunit_gateway.firmware.schema import SchemaExample
from pepeunit_gateway.firmware.versions import Target, resolve
from pepeunit_gateway.registry.compiled import Programs, commandable, load_programs
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.entities import FirmwareUpdateStatus
from pepeunit_gateway.registry.node_sync import sync_nodes
from pepeunit_gateway.registry.outbox import queue_commands
from pepeunit_gateway.registry.targets import (
    load_unit,
    read_examples,
    repo_rule,
    select_units,
    target_of,
    unchanged,
)
from pepeunit_gateway.storage.fences import LeaseLostError
from pepeunit_gateway.storage.tables import repos, units
from pepeunit_gateway.topics import BackendTopicCommand

__all__ = ["Commanded", "Updates"]

_MOST_UNITS, _MOST_NODES = 500, 20_000
"""Of one transaction, which nobody else can write beside."""

_PENDING = (FirmwareUpdateStatus.REQUEST_SENT.value, FirmwareUpdateStatus.ERROR.value)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Commanded:
    """How many units were commanded, and how many Repos could not be looked at."""

    units: int = 0
    failed_repos: int = 0

    def __add__(self, other: "Commanded") -> "Commanded":
        return Commanded(self.units + other.units, self.failed_repos + other.failed_repos)


class Updates:
    """Keeps units on their target version."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def update_all(self, *, again: bool = False) -> Commanded:
        """Look at every auto-updating Repo; a failing one is logged and harms no other (W21).

        Without `again` Repos that stay at a commit are looked at too: a gateway may have been killed between the change
        of the Repo and the commands to its units.
        """
        pinned = repos.c.default_commit.is_not(None) if not again else false()
        return await self._update(repos.c.is_auto_update_repo | pinned, again=again)

    async def update_registry(self, registry: UUID, *, again: bool = False) -> Commanded:
        """Look at the auto-updating Repos of one registry, whose branches or tags may have moved."""
        which = repos.c.is_auto_update_repo & (repos.c.repository_registry_uuid == registry)
        return await self._update(which, again=again)

    async def follow(self, repo: UUID) -> None:
        """Look at a Repo that was just changed; the change is stored, so a failure is left to the next look (W28)."""
        await self._update(repos.c.uuid == repo, again=False)

    async def _update(self, which: ColumnElement[bool], *, again: bool) -> Commanded:
        async with self._context.database.read() as connection:
            uuids = list((await connection.execute(select(repos.c.uuid).where(which))).scalars())
        commanded = Commanded()
        for uuid in uuids:
            try:
                commanded += Commanded(units=await self.update_repo(uuid, again=again))
            except LeaseLostError:
                raise
            except Exception:  # the root of one Repo's turn: logged once with its context, and on to the next
                log.exception("repo.update.failed", repo=str(uuid))
                commanded += Commanded(failed_repos=1)
        return commanded

    async def update_repo(self, uuid: UUID, *, again: bool = False) -> int:
        """Bring the auto-updating units of a Repo to its target; tells how many were commanded.

        Units that were commanded to this target already are left alone, unless `again`: then all that do not report it
        are commanded once more. A version that does not exist or cannot be used is noted at the units.
        """
        async with self._context.database.read() as connection:
            repo = (await connection.execute(select(repos).where(repos.c.uuid == uuid))).one_or_none()
        if repo is None or not self._context.mirrors.exists(repo.repository_registry_uuid):
            return 0
        try:
            target = await resolve(self._context.mirrors, repo.repository_registry_uuid, repo_rule(repo), None)
            rows = await self._stale(uuid, target, again=again)
            if not rows:
                return 0
            registry, is_compilable = repo.repository_registry_uuid, repo.is_compilable_repo
            example, _ = await read_examples(self._context.mirrors, registry, target.commit)
        except (GitRepoError, CustomJSONDecodeError) as error:
            await self._note_failure(uuid, error)
            return 0
        programs = await load_programs(self._context, registry, target, is_compilable=is_compilable)
        rows = await commandable(self._context, rows, programs)
        count = 0
        size = max(1, min(_MOST_UNITS, _MOST_NODES // (1 + len(example.input_topic) + len(example.output_topic))))
        for start in range(0, len(rows), size):
            count += await self._command_chunk(rows[start : start + size], example, target, programs)
        if count:
            log.info("repo.update.commanded", repo=str(uuid), commit=target.commit, units=count)
        return count

    async def update_unit(self, uuid: UUID, *, force: bool = False) -> Target:
        """Synchronise one unit's nodes with its target and command it if it runs something else.

        Raises:
            GitRepoError, CustomJSONDecodeError: the target cannot be used, or its release has no program for the unit;
                nothing was changed.
            UnitError: the unit was changed meanwhile (409).
        """
        async with self._context.database.read() as connection:
            seen = await load_unit(connection, uuid)
        target = await target_of(self._context.mirrors, seen)
        registry, is_compilable = seen.repository_registry_uuid, seen.is_compilable_repo
        example, _ = await read_examples(self._context.mirrors, registry, target.commit)
        programs = await load_programs(self._context, registry, target, is_compilable=is_compilable)
        programs.link(seen.target_firmware_platform)
        async with self._context.act() as act:
            rows = await unchanged(act.connection, [seen], target)
            if not rows:
                await load_unit(act.connection, uuid)
                raise UnitError("the unit was changed meanwhile; try again", conflict=True)
            await self.apply(act, rows, example, target, programs, force=force)
        return target

    async def apply(
        self,
        act: Act,
        rows: Sequence[Row[Any]],
        example: SchemaExample,
        target: Target,
        programs: Programs,
        *,
        force: bool = False,
    ) -> int:
        """The same for many units inside the caller's transaction; tells how many were commanded.

        `rows` are of `select_units`, read in this transaction. The number of statements does not depend on theirs.

        Raises:
            GitRepoError: the release has no program for one of them.
        """
        links = programs.links_of(rows)
        pipe = self._context.settings.ff_datapipe_default_last_value_enable
        moved = [row for row in rows if row.synced_commit != target.commit]
        if moved:
            await sync_nodes(act, moved, example, target.commit, default_pipe=pipe)
        if BackendTopicCommand.UPDATE.topic_name not in example.input_base_topic:
            return 0
        commanded = [row.uuid for row in rows if force or row.current_commit_version != target.commit]
        if commanded:
            domain = self._context.settings.domain
            await queue_commands(act, domain, commanded, BackendTopicCommand.UPDATE, commit=target.commit, links=links)
            values = {
                "firmware_update_status": FirmwareUpdateStatus.REQUEST_SENT.value,
                "firmware_update_error": None,
                "last_firmware_update_datetime": act.now,
            }
            await act.connection.execute(units.update().where(units.c.uuid.in_(commanded)).values(values))
        return len(commanded)

    async def judge(self, uuid: UUID, commit: str | None) -> None:
        """Compare what a unit reports with its target (protocol/broker.md 6.4).

        A unit that got there after all is a success, however late; one that did not, 2 x PU_STATE_SEND_INTERVAL after
        the command, is an error. What was commanded meanwhile is judged by a later report.
        """
        async with self._context.database.read() as connection:
            row = (await connection.execute(select_units().where(units.c.uuid == uuid))).one_or_none()
        if row is None or row.firmware_update_status not in _PENDING:
            return
        try:
            target = await target_of(self._context.mirrors, row)
        except GitRepoError as error:
            if row.firmware_update_error != error.detail:
                await self._conclude(row, FirmwareUpdateStatus.ERROR, error.detail)
            return
        deadline = timedelta(seconds=2 * self._context.settings.state_send_interval)
        asked = row.last_firmware_update_datetime
        if commit == target.commit:
            await self._conclude(row, FirmwareUpdateStatus.SUCCESS, None)
        elif asked is not None and self._context.clock() - asked > deadline:
            waited = int(deadline.total_seconds())
            text = f"the unit still reports {commit or 'no version'}, {waited} s after the command"
            await self._conclude(row, FirmwareUpdateStatus.ERROR, UpdateError(text).detail)

    async def expire_requests(self) -> int:
        """Give up on updates of units that say nothing: 3 x PU_STATE_SEND_INTERVAL after the command they are errors.

        One that reports its target later is a success after all. Return how many units were given up on.
        """
        limit = timedelta(seconds=3 * self._context.settings.state_send_interval)
        silent = (units.c.firmware_update_status == FirmwareUpdateStatus.REQUEST_SENT.value) & (
            units.c.last_firmware_update_datetime < self._context.clock() - limit
        )
        error = UpdateError(
            f"the unit has reported nothing for {int(limit.total_seconds())} s since the command; is it running and "
            "connected? See its own output"
        )
        values = {
            "firmware_update_status": FirmwareUpdateStatus.ERROR.value,
            "firmware_update_error": error.detail,
            "last_firmware_update_datetime": None,
        }
        async with self._context.act() as act:
            written = await act.connection.execute(units.update().where(silent).values(values))
        if written.rowcount:
            log.info("unit.update.silent", units=written.rowcount)
        return written.rowcount

    async def _stale(self, repo: UUID, target: Target, *, again: bool) -> Sequence[Row[Any]]:
        moved = units.c.synced_commit.is_distinct_from(target.commit)
        reported = units.c.current_commit_version != target.commit  # a unit that never reported is not waiting
        query = select_units().where(units.c.repo_uuid == repo, units.c.is_auto_update_from_repo_unit)
        async with self._context.database.read() as connection:
            return list((await connection.execute(query.where(or_(moved, reported) if again else moved))).all())

    async def _command_chunk(
        self, rows: Sequence[Row[Any]], example: SchemaExample, target: Target, programs: Programs
    ) -> int:
        """Command one transaction's worth of units; those that changed meanwhile wait for the next look."""
        async with self._context.act() as act:
            return await self.apply(act, await unchanged(act.connection, rows, target), example, target, programs)

    async def _conclude(self, row: Row[Any], status: FirmwareUpdateStatus, error: str | None) -> None:
        """Write the verdict about the command that was judged, not about one that came meanwhile."""
        values = {
            "firmware_update_status": status.value,
            "firmware_update_error": error,
            "last_firmware_update_datetime": None,
        }
        same = units.c.last_firmware_update_datetime.is_not_distinct_from(row.last_firmware_update_datetime)
        judged = (units.c.uuid == row.uuid) & same & (units.c.firmware_update_status == row.firmware_update_status)
        async with self._context.act() as act:
            written = await act.connection.execute(units.update().where(judged).values(values))
        if written.rowcount:
            log.info("unit.update.concluded", unit=str(row.uuid), status=status.value)

    async def _note_failure(self, repo_uuid: UUID, error: ApiError) -> None:
        """Tell the auto-updating units why they do not move; written and logged once, not at every look."""
        concerned = (units.c.repo_uuid == repo_uuid) & units.c.is_auto_update_from_repo_unit
        news = concerned & units.c.firmware_update_error.is_distinct_from(error.detail)
        values = {
            "firmware_update_status": FirmwareUpdateStatus.ERROR.value,
            "firmware_update_error": error.detail,
            "last_firmware_update_datetime": None,
        }
        async with self._context.database.read() as connection:
            if (await connection.execute(select(units.c.uuid).where(news).limit(1))).first() is None:
                return
        async with self._context.act() as act:
            await act.connection.execute(units.update().where(news).values(values))
        log.warning("repo.update.refused", repo=str(repo_uuid), reason=error.message)
