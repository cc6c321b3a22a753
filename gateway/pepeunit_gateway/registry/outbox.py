"""Commands as rows of the transaction that causes them. Source: design.md "Data flows", protocol/broker.md 6.6, W28.

The sender in `jobs` hands them to the broker and removes a row once the broker acknowledged it. Of two waiting
commands of one kind to one unit the newer replaces the older.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.storage import tables
from pepeunit_gateway.storage.own_tables import outbox
from pepeunit_gateway.storage.tables import unit_logs
from pepeunit_gateway.topics import BackendTopicCommand, command_topic

__all__ = ["Command", "Outbox", "queue_commands"]

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0
_BATCH = 200
_PAGE = 1000
_UNCLAIMED = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Command:
    """One waiting row; `attempts` counts what failed."""

    id: int
    unit_uuid: UUID
    command: BackendTopicCommand
    topic: str
    payload: bytes
    attempts: int


async def queue_commands(
    act: Act,
    domain: str,
    units: Collection[UUID],
    command: BackendTopicCommand,
    *,
    commit: str | None = None,
    links: Mapping[UUID, str] | None = None,
) -> None:
    """Write a command to each unit into the act's transaction.

    `commit` belongs to Update, and so do `links`: where each unit of a compilable Repo fetches its program.
    """
    if not units:
        return
    payload: dict[str, str] = {"COMMAND": command.value}
    if commit is not None:
        payload["PU_COMMIT_VERSION"] = commit
    await act.connection.execute(
        outbox.delete().where(outbox.c.unit_uuid.in_(list(units)), outbox.c.command == command.value)
    )
    told = await _told_domains(act, units)
    rows = [
        {
            "unit_uuid": unit,
            "command": command.value,
            "topic": command_topic(told.get(unit, domain), unit, command),
            "payload": json.dumps(payload | ({"COMPILED_FIRMWARE_LINK": links[unit]} if links else {})),
            "create_datetime": act.now,
            "attempts": 0,
            "next_attempt_datetime": act.now,
        }
        for unit in units
    ]
    await act.connection.execute(outbox.insert(), rows)
    act.announce(Change.OUTBOX, units)


async def _told_domains(act: Act, which: Collection[UUID]) -> dict[UUID, str]:
    """Return the previous domain of those units that still use one (decisions.md 19)."""
    told = tables.units.c.told_domain
    query = select(tables.units.c.uuid, told).where(tables.units.c.uuid.in_(list(which)), told.is_not(None))
    return {row.uuid: row.told_domain for row in await act.connection.execute(query)}


class Outbox:
    """What the sender needs: due rows, and what became of them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def now(self) -> datetime:
        """The clock that the rows were written with."""
        return self._context.clock()

    async def due(self, is_here: Callable[[UUID], bool] | None = None) -> list[Command]:
        """Return up to 200 commands whose time has come, oldest first; with `is_here` only those to such units."""
        query = select(outbox).order_by(outbox.c.id).limit(_BATCH)
        if is_here is None:
            query = query.where(outbox.c.next_attempt_datetime <= self._context.clock())
        else:
            query = query.where(outbox.c.id.in_(await self._due_here(is_here)))
        async with self._context.database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Command(r.id, r.unit_uuid, BackendTopicCommand(r.command), r.topic, r.payload.encode(), r.attempts)
            for r in rows
        ]

    async def _due_here(self, is_here: Callable[[UUID], bool]) -> list[int]:
        """Look through what is due, page by page, for the first 200 that are for here."""
        found: list[int] = []
        last = 0
        due = outbox.c.next_attempt_datetime <= self._context.clock()
        while len(found) < _BATCH:
            query = select(outbox.c.id, outbox.c.unit_uuid).where(due, outbox.c.id > last)
            async with self._context.database.read() as connection:
                rows = (await connection.execute(query.order_by(outbox.c.id).limit(_PAGE))).all()
            found.extend(row.id for row in rows if is_here(row.unit_uuid))
            if len(rows) < _PAGE:
                break
            last = rows[-1].id
        return found[:_BATCH]

    async def next_due(self, after: datetime | None = None) -> datetime | None:
        """Return when the next command is due, with `after` one that is due later than that; None if none waits."""
        query = select(outbox.c.next_attempt_datetime).order_by(outbox.c.next_attempt_datetime).limit(1)
        if after is not None:
            query = query.where(outbox.c.next_attempt_datetime > after)
        async with self._context.database.read() as connection:
            found: datetime | None = (await connection.execute(query)).scalar_one_or_none()
        return found

    async def drop_unclaimed(self) -> int:
        """Remove commands that no gateway took for 30 s: their units are connected nowhere. Return how many.

        A unit that was away asks for its target version when it connects. A gateway that has the unit and a broker
        that does not answer tries again and again, so such a command is never due for that long.
        """
        unclaimed = outbox.c.next_attempt_datetime <= self._context.clock() - _UNCLAIMED
        async with self._context.database.read() as connection:
            if (await connection.execute(select(outbox.c.id).where(unclaimed).limit(1))).first() is None:
                return 0
        async with self._context.act() as act:
            return (await act.connection.execute(outbox.delete().where(unclaimed))).rowcount

    async def sent(self, commands: Sequence[Command], *, begun: datetime) -> None:
        """Remove what the broker acknowledged; only now a unit's stored logs give way to the synced ones (W26).

        Lines that arrived after `begun`, the moment before the first of these commands went out, stay: they may be the
        unit's answer already. The time of arrival is told by the expiration.
        """
        async with self._context.act() as act:
            await act.connection.execute(outbox.delete().where(outbox.c.id.in_([command.id for command in commands])))
            synced = [c.unit_uuid for c in commands if c.command is BackendTopicCommand.LOG_SYNC]
            if synced:
                before = begun + timedelta(seconds=self._context.settings.unit_log_expiration)
                older = unit_logs.c.unit_uuid.in_(synced), unit_logs.c.expiration_datetime <= before
                await act.connection.execute(unit_logs.delete().where(*older))

    async def failed(self, commands: Sequence[Command], jitter: float) -> None:
        """Try again later: 1 s doubling to 60 s; `jitter` in 0..1 spreads replicas."""
        async with self._context.act() as act:
            for command in commands:
                delay = min(_FIRST_DELAY * 2 ** min(command.attempts, 10), _LONGEST_DELAY) * (0.5 + jitter / 2)
                await act.connection.execute(
                    outbox.update()
                    .where(outbox.c.id == command.id)
                    .values(
                        attempts=command.attempts + 1,
                        next_attempt_datetime=act.now + timedelta(seconds=delay),
                    )
                )
