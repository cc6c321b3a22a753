"""Units that still use a previous PU_DOMAIN, and how they come to the present one. Source: decisions.md 19.

Their topics of the previous domain are granted, ingested and used for commands until the unit has fetched its new
schema.json or archive, or reports on a topic of the present domain. The units that hear it fetch theirs anew.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import Select, select

from pepeunit_gateway.errors import CustomJSONDecodeError, GitRepoError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.outbox import queue_commands
from pepeunit_gateway.registry.targets import read_examples, select_units
from pepeunit_gateway.storage.tables import units, units_nodes, units_nodes_edges
from pepeunit_gateway.topics import BackendTopicCommand

__all__ = ["LateUnit", "Moves", "units_that_understand"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LateUnit:
    """A unit that still uses `told_domain`."""

    uuid: UUID
    name: str
    told_domain: str


class Moves:
    """Who still uses a previous domain; `reported` may be called for every message."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._late: set[UUID] = set()
        self._reported: set[UUID] = set()
        self._news = asyncio.Event()

    async def load(self) -> list[LateUnit]:
        """Find out whose reports matter, before messages come; return who they are."""
        late = await self.late()
        self._late = {unit.uuid for unit in late}
        return late

    async def late(self) -> list[LateUnit]:
        """Return the units that have not moved yet, by name."""
        query = select(units.c.uuid, units.c.name, units.c.told_domain).where(units.c.told_domain.is_not(None))
        async with self._context.database.read() as connection:
            rows = (await connection.execute(query.order_by(units.c.name))).all()
        return [LateUnit(row.uuid, row.name, row.told_domain) for row in rows]

    def reported(self, unit: UUID) -> None:
        """Note that a unit spoke on a topic of the present domain, or has got it in an archive."""
        if unit in self._late:
            self._late.discard(unit)
            self._reported.add(unit)
            self._news.set()

    async def run(self) -> None:
        """Settle the units that reported, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            units_now = set(self._reported)
            await self.settle(units_now)
            self._reported -= units_now

    async def settle(self, moved: Collection[UUID]) -> None:
        """Note that these units use the topics of the present domain; units that hear them fetch their schema anew.

        They themselves are told to fetch env.json, by which they find the API. Rights of the previous domain go with
        the unit's next session or look, so that it can subscribe anew in peace.
        """
        hearing = await units_that_understand(self._context, _hearing(moved), BackendTopicCommand.SCHEMA_UPDATE)
        able = await units_that_understand(self._context, moved, BackendTopicCommand.ENV_UPDATE)
        late = units.c.uuid.in_(list(moved)) & units.c.told_domain.is_not(None)
        async with self._context.act() as act:
            written = await act.connection.execute(units.update().where(late).values(told_domain=None))
            if not written.rowcount:
                return
            domain = self._context.settings.domain
            await queue_commands(act, domain, hearing - set(moved), BackendTopicCommand.SCHEMA_UPDATE)
            await queue_commands(act, domain, able, BackendTopicCommand.ENV_UPDATE)
        self._late.difference_update(moved)
        log.info("units.moved", units=written.rowcount, told=len(hearing))

    async def call(self) -> int:
        """Command every late unit to fetch its schema, where its program knows the command; tell how many.

        When it has, it is told to fetch its env: `settle`.
        """
        late = select(units.c.uuid).where(units.c.told_domain.is_not(None))
        able = await units_that_understand(self._context, late, BackendTopicCommand.SCHEMA_UPDATE)
        async with self._context.act() as act:
            await queue_commands(act, self._context.settings.domain, able, BackendTopicCommand.SCHEMA_UPDATE)
        return len(able)


def _hearing(moved: Collection[UUID]) -> Select[tuple[UUID]]:
    """Select the units with an Input that is linked to an Output of these."""
    output, edge = units_nodes.alias("output"), units_nodes_edges
    return (
        select(units_nodes.c.unit_uuid)
        .join(edge, edge.c.node_input_uuid == units_nodes.c.uuid)
        .join(output, edge.c.node_output_uuid == output.c.uuid)
        .where(output.c.unit_uuid.in_(list(moved)))
    )


async def units_that_understand(
    context: Context, which: Select[tuple[UUID]] | Collection[UUID], command: BackendTopicCommand
) -> set[UUID]:
    """Return those of the units whose program lists the command; an unreadable schema counts as one that does not.

    Asked before a transaction begins, because git answers.
    """
    chosen = which if isinstance(which, Select) else list(which)
    async with context.database.read() as connection:
        rows = (await connection.execute(select_units().where(units.c.uuid.in_(chosen)))).all()
    able: set[UUID] = set()
    known: dict[tuple[UUID, str], bool] = {}
    for row in rows:
        if row.synced_commit is None:
            continue
        key = (row.repository_registry_uuid, row.synced_commit)
        if key not in known:
            known[key] = await _lists(context, *key, command)
        if known[key]:
            able.add(row.uuid)
    return able


async def _lists(context: Context, registry: UUID, commit: str, command: BackendTopicCommand) -> bool:
    try:
        example, _ = await read_examples(context.mirrors, registry, commit)
    except (GitRepoError, CustomJSONDecodeError):
        return False
    return command.topic_name in example.input_base_topic
