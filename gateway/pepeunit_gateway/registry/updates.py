"""From a new target version to commands.

Source: protocol/firmware.md 7.9, protocol/broker.md 6.6. W21: one Repo's failure harms no other. W23: nodes
follow the commit they were synchronised to, not the one the device reports. W50: no command to a unit that is current.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random, SystemRandom
from types import MappingProxyType
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Row, false, or_, select, true

from pepeunit_gateway.errors import CustomJSONDecodeError, GitRepoError, MirrorBehindError, UnitError
from pepeunit_gateway.firmware.schema import SchemaExample
from pepeunit_gateway.firmware.versions import Target, resolve
from pepeunit_gateway.registry.compiled import Programs, commandable, load_programs
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.current_mirrors import current_state, retried
from pepeunit_gateway.registry.entities import FirmwareUpdateStatus
from pepeunit_gateway.registry.node_sync import sync_nodes
from pepeunit_gateway.registry.outbox import queue_commands
from pepeunit_gateway.registry.pins import load_pins, load_waiting, of_pin
from pepeunit_gateway.registry.refs_states import require_state
from pepeunit_gateway.registry.refusals import note_refusal
from pepeunit_gateway.registry.spreading import spread
from pepeunit_gateway.registry.targets import (
    load_unit,
    read_examples,
    repo_rule,
    select_units,
    target_of,
    unchanged,
)
from pepeunit_gateway.registry.update_commands import drop_updates, sent_updates
from pepeunit_gateway.registry.verdicts import PENDING
from pepeunit_gateway.storage.fences import LeaseLostError
from pepeunit_gateway.storage.tables import repos, units
from pepeunit_gateway.topics import BackendTopicCommand

__all__ = ["Commanded", "Updates"]

_MOST_UNITS, _MOST_NODES = 500, 20_000
"""Of one transaction, which nobody else can write beside."""

_AT_ONCE: Mapping[UUID, datetime] = MappingProxyType({})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Commanded:
    """How many units were commanded, and how many Repos could not be looked at.

    `behind`: registries that another gateway knows newer, so that this one must fetch them first.
    """

    units: int = 0
    failed_repos: int = 0
    behind: frozenset[UUID] = frozenset()

    def __add__(self, other: "Commanded") -> "Commanded":
        failed = self.failed_repos + other.failed_repos
        return Commanded(self.units + other.units, failed, self.behind | other.behind)


class Updates:
    """Keeps units on their target version; `random` decides in which order those of a Repo are commanded."""

    def __init__(self, context: Context, *, random: Random | None = None) -> None:
        self._context = context
        self._random = random or SystemRandom()

    async def update_all(self, *, again: bool = False) -> Commanded:
        """Look at every auto-updating Repo; a failing one is logged and harms no other (W21).

        Without `again` Repos that stay at a commit are looked at too: a gateway may have been killed between the change
        of the Repo and the commands to its units. Units that stay at a commit are told if it is gone; with `again`
        those that were commanded to it and do not report it are commanded once more, since they may have been away.
        """
        pinned = repos.c.default_commit.is_not(None) if not again else false()
        commanded = await self._update(repos.c.is_auto_update_repo | pinned, again=again)
        return commanded + await self._update_pinned(true(), again=again)

    async def update_registry(self, registry: UUID, *, again: bool = False) -> Commanded:
        """Look at the Repos of one registry, whose branches or tags may have moved."""
        which = repos.c.repository_registry_uuid == registry
        commanded = await self._update(which & repos.c.is_auto_update_repo, again=again)
        return commanded + await self._update_pinned(which, again=again)

    async def follow(self, repo: UUID) -> None:
        """Look at a Repo that was just changed; the change is stored, so a failure is left to the next look (W28)."""
        await self._update(repos.c.uuid == repo, again=False, fetch=True)

    async def _update(self, which: ColumnElement[bool], *, again: bool, fetch: bool = False) -> Commanded:
        query = select(repos.c.uuid, repos.c.repository_registry_uuid).where(which)
        async with self._context.database.read() as connection:
            found = (await connection.execute(query)).all()
        commanded = Commanded()
        for uuid, registry in found:
            commanded += await _turn(uuid, registry, partial(self.update_repo, uuid, again=again, fetch=fetch))
        return commanded

    async def _update_pinned(self, which: ColumnElement[bool], *, again: bool) -> Commanded:
        commanded = Commanded()
        for pin in await load_pins(self._context, which):
            attempt = partial(retried, partial(self._update_pin, pin, again=again))
            commanded += await _turn(pin.uuid, pin.repository_registry_uuid, attempt)
        return commanded

    async def update_repo(self, uuid: UUID, *, again: bool = False, fetch: bool = True) -> int:
        """Bring the auto-updating units of a Repo to its target; tells how many were commanded.

        Units that were commanded to this target already are left alone, unless `again`: then all that do not report it
        are commanded once more. A version that does not exist or cannot be used is noted at the units. Many units are
        commanded over PU_UPDATE_SPREAD, however many transactions write their commands.

        Raises:
            MirrorBehindError: another gateway knows a newer state of the repository, which this one could not fetch, or
                was not to (`fetch`).
        """
        return await retried(partial(self._update_repo, uuid, again=again, fetch=fetch))

    async def _update_repo(self, uuid: UUID, *, again: bool, fetch: bool) -> int:
        async with self._context.database.read() as connection:
            repo = (await connection.execute(select(repos).where(repos.c.uuid == uuid))).one_or_none()
        if repo is None:
            return 0
        registry = repo.repository_registry_uuid
        state = await current_state(self._context, registry, fetch=fetch)
        if state is None:
            return 0
        try:
            target = await resolve(self._context.mirrors, registry, repo_rule(repo), None)
            rows = await self._stale(uuid, target, again=again)
            if not rows:
                return 0
            example, _ = await read_examples(self._context.mirrors, registry, target.commit)
        except (GitRepoError, CustomJSONDecodeError) as error:
            following = (units.c.repo_uuid == uuid) & units.c.is_auto_update_from_repo_unit
            await note_refusal(self._context, repo, following, error, state)
            return 0
        return await self._bring(repo, rows, target, example, state, again=again)

    async def _update_pin(self, pin: Row[Any], *, again: bool) -> int:
        """Tell units that stay at a commit if it is gone; `again`: command those anew that were and do not report it.

        `pin` is of `load_pins`.
        """
        registry = pin.repository_registry_uuid
        state = await current_state(self._context, registry, fetch=False)
        if state is None:
            return 0
        try:
            target = await target_of(self._context.mirrors, pin)
            if not again or not pin.waiting:
                return 0
            example, _ = await read_examples(self._context.mirrors, registry, target.commit)
        except (GitRepoError, CustomJSONDecodeError) as error:
            await note_refusal(self._context, pin, of_pin(pin), error, state)
            return 0
        rows = await load_waiting(self._context, pin)
        return await self._bring(pin, rows, target, example, state, again=True)

    async def _bring(
        self,
        repo: Row[Any],
        rows: Sequence[Row[Any]],
        target: Target,
        example: SchemaExample,
        state: str,
        *,
        again: bool,
    ) -> int:
        """Bring units of one Repo, rows of `select_units`, to their target; tells how many were commanded."""
        uuid, registry = repo.uuid, repo.repository_registry_uuid
        programs = await load_programs(self._context, registry, target, is_compilable=repo.is_compilable_repo)
        rows = await commandable(self._context, rows, programs)
        behind = [row.uuid for row in rows if row.current_commit_version != target.commit]
        due = spread(behind, self._context.clock(), self._context.settings.update_spread, self._random)
        count = 0
        size = max(1, min(_MOST_UNITS, _MOST_NODES // (1 + len(example.input_topic) + len(example.output_topic))))
        for start in range(0, len(rows), size):
            chunk = rows[start : start + size]
            async with self._context.act() as act:
                await require_state(self._context, act.connection, registry, state)
                present = await unchanged(act.connection, chunk, target)
                # two may look at once, say after a fetch and at the next poll: who is second commands nobody again
                wanted = [row for row in present if again or row.synced_commit != target.commit]
                count += await self.apply(act, wanted, example, target, programs, due=due)
        if count:
            log.info("repo.update.commanded", repo=str(uuid), commit=target.commit, units=count)
        return count

    async def update_unit(self, uuid: UUID, *, force: bool = False) -> Target:
        """Synchronise one unit's nodes with its target and command it if it runs something else.

        Raises:
            GitRepoError, CustomJSONDecodeError: the target cannot be used, or its release has no program for the unit;
                nothing was changed.
            UnitError: the unit was changed meanwhile (409).
            MirrorBehindError: another gateway knows a newer state of the repository, which this one could not fetch.
        """
        return await retried(partial(self._update_unit, uuid, force=force))

    async def _update_unit(self, uuid: UUID, *, force: bool) -> Target:
        async with self._context.database.read() as connection:
            seen = await load_unit(connection, uuid)
        registry, is_compilable = seen.repository_registry_uuid, seen.is_compilable_repo
        state = await current_state(self._context, registry)
        target = await target_of(self._context.mirrors, seen)
        example, _ = await read_examples(self._context.mirrors, registry, target.commit)
        programs = await load_programs(self._context, registry, target, is_compilable=is_compilable)
        programs.link(seen.target_firmware_platform)
        async with self._context.act() as act:
            await require_state(self._context, act.connection, registry, state)
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
        due: Mapping[UUID, datetime] = _AT_ONCE,
    ) -> int:
        """The same for many units inside the caller's transaction; tells how many were commanded.

        `rows` are of `select_units`, read in this transaction. The number of statements does not depend on theirs.
        Those that run their target hear nothing, not even what they were to be told until now.

        Raises:
            GitRepoError: the release has no program for one of them.
        """
        links = programs.links_of(rows)
        pipe = self._context.settings.ff_datapipe_default_last_value_enable
        moved = [row for row in rows if row.synced_commit != target.commit]
        if moved:
            await sync_nodes(act, moved, example, target.commit, default_pipe=pipe)
        if BackendTopicCommand.UPDATE.topic_name not in example.input_base_topic:
            await drop_updates(act, [row.uuid for row in rows])  # to an earlier target, which listed it
            return 0
        current = {row.uuid: row for row in rows if not force and row.current_commit_version == target.commit}
        pending = [row for row in current.values() if row.firmware_update_status in PENDING]
        astray = await self._astray(act, pending, target)
        settled = [row.uuid for row in pending if row.uuid not in astray]
        if settled:
            await drop_updates(act, settled)
            await _note(act, settled, FirmwareUpdateStatus.SUCCESS, None)
        commanded = [row.uuid for row in rows if row.uuid not in current or row.uuid in astray]
        if commanded:
            domain, update = self._context.settings.domain, BackendTopicCommand.UPDATE
            await queue_commands(act, domain, commanded, update, commit=target.commit, links=links, due=due)
            await _note(act, commanded, FirmwareUpdateStatus.REQUEST_SENT, act.now)
        return len(commanded)

    async def _stale(self, repo: UUID, target: Target, *, again: bool) -> Sequence[Row[Any]]:
        moved = units.c.synced_commit.is_distinct_from(target.commit)
        reported = units.c.current_commit_version != target.commit  # a unit that never reported is not waiting
        query = select_units().where(units.c.repo_uuid == repo, units.c.is_auto_update_from_repo_unit)
        async with self._context.database.read() as connection:
            return list((await connection.execute(query.where(or_(moved, reported) if again else moved))).all())

    async def _astray(self, act: Act, rows: Sequence[Row[Any]], target: Target) -> Collection[UUID]:
        """Return which of these units, which report their target, were just sent to another version.

        Their target moved and moved back. What was sent some state messages before the last command was queued is over.
        """
        told = {row.uuid: row for row in rows if row.last_firmware_update_datetime is not None}
        grace = timedelta(seconds=3 * self._context.settings.state_send_interval)
        return {
            unit
            for unit, (commit, sent) in (await sent_updates(act, told)).items()
            if commit != target.commit and sent >= told[unit].last_firmware_update_datetime - grace
        }


async def _turn(repo: UUID, registry: UUID, attempt: Callable[[], Awaitable[int]]) -> Commanded:
    """Command some units of a Repo; what fails is logged and harms no other (W21)."""
    try:
        return Commanded(units=await attempt())
    except LeaseLostError:
        raise
    except MirrorBehindError:
        log.info("repo.update.behind", repo=str(repo), repository=str(registry))
        return Commanded(behind=frozenset((registry,)))
    except Exception:  # the root of one Repo's turn: logged once with its context, and on to the next
        log.exception("repo.update.failed", repo=str(repo))
        return Commanded(failed_repos=1)


async def _note(act: Act, which: Collection[UUID], status: FirmwareUpdateStatus, asked: datetime | None) -> None:
    """Write how far the update of units is, and when it was asked for."""
    values = {
        "firmware_update_status": status.value,
        "firmware_update_error": None,
        "last_firmware_update_datetime": asked,
    }
    await act.connection.execute(units.update().where(units.c.uuid.in_(list(which))).values(values))
