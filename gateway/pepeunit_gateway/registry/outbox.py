"""Commands as rows of the transaction that causes them. Source: design.md "Data flows", protocol/broker.md 6.6, W28.

The sender in `jobs` hands them to the broker and marks a row sent once the broker acknowledged it; it goes a day later.
Of two commands of one kind to one unit that wait the newer replaces the older, also while the older is under way: its
row is gone then, and an id is never given twice.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, select

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.storage import tables
from pepeunit_gateway.storage.own_tables import outbox
from pepeunit_gateway.storage.tables import unit_logs
from pepeunit_gateway.topics import BackendTopicCommand, command_topic

__all__ = ["UNCLAIMED", "WAITS", "Command", "Outbox", "forget_sent", "queue_commands", "sent_long_ago"]

WAITS: ColumnElement[bool] = outbox.c.sent_datetime.is_(None)
"""Of a row: it was not sent yet."""

UNCLAIMED = timedelta(seconds=150)
"""How long a command waits for a unit that is away; clients in the field try again in 120 s (protocol/device.md)."""

_KEPT = timedelta(days=1)
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0
_BATCH = 200
_PAGE = 1000
_DELETE_ROWS = 2000
_AT_ONCE: Mapping[UUID, datetime] = MappingProxyType({})


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
    due: Mapping[UUID, datetime] = _AT_ONCE,
) -> None:
    """Write a command to each unit into the act's transaction.

    `commit` belongs to Update, and so do `links`: where each unit of a compilable Repo fetches its program.
    Units that `due` does not name are commanded at once. One that it names and that waits for this very command already
    keeps its earlier turn, so that asking again and again puts nobody off.
    """
    if not units:
        return
    text = {"COMMAND": command.value} | ({} if commit is None else {"PU_COMMIT_VERSION": commit})
    told = await _told_domains(act, units)
    rows: list[dict[str, Any]] = [
        {
            "unit_uuid": unit,
            "command": command.value,
            "topic": command_topic(told.get(unit, domain), unit, command),
            "payload": json.dumps(text | ({"COMPILED_FIRMWARE_LINK": links[unit]} if links else {})),
            "create_datetime": act.now,
            "attempts": 0,
            "next_attempt_datetime": due.get(unit, act.now),
        }
        for unit in units
    ]
    if due:
        waiting = await _waiting(act, due.keys() & set(units), command)
        rows = [row for row in rows if waiting.get(row["unit_uuid"]) != (row["topic"], row["payload"])]
    if rows:
        replaced = outbox.c.unit_uuid.in_([row["unit_uuid"] for row in rows]), outbox.c.command == command.value, WAITS
        await act.connection.execute(outbox.delete().where(*replaced))
        await act.connection.execute(outbox.insert(), rows)
        act.announce(Change.OUTBOX, units)


async def _waiting(act: Act, units: Collection[UUID], command: BackendTopicCommand) -> dict[UUID, tuple[str, str]]:
    """Return the topic and payload of the command of this kind that waits for each unit."""
    query = select(outbox.c.unit_uuid, outbox.c.topic, outbox.c.payload).where(
        outbox.c.unit_uuid.in_(list(units)), outbox.c.command == command.value, WAITS
    )
    return {row.unit_uuid: (row.topic, row.payload) for row in await act.connection.execute(query)}


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

    async def due(self, hears: Callable[[UUID, str], bool] | None = None) -> list[Command]:
        """Return up to 200 commands whose time has come, in the order of their times.

        With `hears` only those whose unit listens to their topic; the others are looked through page by page.
        """
        found: list[Row[Any]] = []
        last: Row[Any] | None = None
        while len(found) < _BATCH:
            rows = await self._page(last)
            found.extend(row for row in rows if hears is None or hears(row.unit_uuid, row.topic))
            if len(rows) < _PAGE:
                break
            last = rows[-1]
        return [
            Command(r.id, r.unit_uuid, BackendTopicCommand(r.command), r.topic, r.payload.encode(), r.attempts)
            for r in found[:_BATCH]
        ]

    async def _page(self, after: Row[Any] | None) -> Sequence[Row[Any]]:
        """Return up to 1,000 due rows, those that come after one."""
        time, number = outbox.c.next_attempt_datetime, outbox.c.id
        query = select(outbox).where(WAITS, time <= self._context.clock()).order_by(time, number).limit(_PAGE)
        if after is not None:
            passed = after.next_attempt_datetime
            query = query.where(time >= passed, (time > passed) | (number > after.id))
        async with self._context.database.read() as connection:
            return (await connection.execute(query)).all()

    async def next_due(self, after: datetime | None = None) -> datetime | None:
        """Return when the next command is due, with `after` one that is due later than that; None if none waits."""
        time = outbox.c.next_attempt_datetime
        query = select(time).where(WAITS).order_by(time).limit(1)
        if after is not None:
            query = query.where(time > after)
        async with self._context.database.read() as connection:
            found: datetime | None = (await connection.execute(query)).scalar_one_or_none()
        return found

    async def drop_unclaimed(self) -> int:
        """Remove commands that were due for 150 s and that no unit listened to. Return how many.

        A unit of ours asks for its target version when it connects, and the hourly look finds the others. A gateway
        that has the unit and a broker that does not answer tries again and again, so such a command is never due for
        that long.
        """
        unclaimed = WAITS, outbox.c.next_attempt_datetime <= self._context.clock() - UNCLAIMED
        async with self._context.database.read() as connection:
            if (await connection.execute(select(outbox.c.id).where(*unclaimed).limit(1))).first() is None:
                return 0
        async with self._context.act() as act:
            return (await act.connection.execute(outbox.delete().where(*unclaimed))).rowcount

    async def sent(self, commands: Sequence[Command], *, begun: datetime) -> None:
        """Mark what the broker acknowledged; only now a unit's stored logs give way to the synced ones (W26).

        Lines that arrived after `begun`, the moment before the first of these commands went out, stay: they may be the
        unit's answer already. The time of arrival is told by the expiration.
        """
        async with self._context.act() as act:
            marked = outbox.c.id.in_([command.id for command in commands]), WAITS
            await act.connection.execute(outbox.update().where(*marked).values(sent_datetime=act.now))
            synced = [c.unit_uuid for c in commands if c.command is BackendTopicCommand.LOG_SYNC]
            if synced:
                before = begun + timedelta(seconds=self._context.settings.unit_log_expiration)
                older = unit_logs.c.unit_uuid.in_(synced), unit_logs.c.expiration_datetime <= before
                await act.connection.execute(unit_logs.delete().where(*older))

    async def failed(self, commands: Sequence[Command], jitter: float) -> None:
        """Try again later: 1 s doubling to 60 s; `jitter` in 0..1 spreads replicas."""
        tries: defaultdict[int, list[int]] = defaultdict(list)
        for command in commands:
            tries[command.attempts].append(command.id)
        async with self._context.act() as act:
            for attempts, ids in tries.items():
                delay = min(_FIRST_DELAY * 2 ** min(attempts, 10), _LONGEST_DELAY) * (0.5 + jitter / 2)
                later = {"attempts": attempts + 1, "next_attempt_datetime": act.now + timedelta(seconds=delay)}
                await act.connection.execute(outbox.update().where(outbox.c.id.in_(ids), WAITS).values(later))


def sent_long_ago(now: datetime) -> Select[tuple[int]]:
    """Select the ids of some thousand rows that were sent more than a day ago."""
    return select(outbox.c.id).where(outbox.c.sent_datetime <= now - _KEPT).limit(_DELETE_ROWS)


async def forget_sent(context: Context) -> int:
    """Delete, a few thousand at a time, what was sent more than a day ago; return how many rows went."""
    some = sent_long_ago(context.clock())
    total = 0
    while True:
        async with context.database.write() as connection:
            deleted = (await connection.execute(outbox.delete().where(outbox.c.id.in_(some)))).rowcount
        total += deleted
        if deleted < _DELETE_ROWS:
            return total
