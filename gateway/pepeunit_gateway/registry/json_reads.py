"""Single entities and pages whose JSON the database makes; who sees what is asked in the same statement.

A page is one statement. The number of all rows is a second one, only where the page does not tell it and an act came
in since it was counted last: every act changes `act_counter` in its own transaction, and every page carries the value
that it was read under. So a remembered number is never an old one.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, func, select

from pepeunit_gateway.access.agents import Agent, VisibilityLevel
from pepeunit_gateway.access.rules import require_sight
from pepeunit_gateway.errors import NotFoundError
from pepeunit_gateway.registry.listing import DEFAULT_LIMIT, Paging
from pepeunit_gateway.registry.visibility import visible
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.queries import FixedQuery, parameter
from pepeunit_gateway.storage.tables import act_counter

__all__ = ["JsonReads"]

_ACTS = select(act_counter.c.acts).scalar_subquery()
_REMEMBERED = 1024
_LONGEST_KEY = 1000


class JsonReads:
    """Reads of one table.

    Args:
        database: where.
        table: units or units_nodes.
        noun: what its rows are called, for errors.
        columns: what is selected of a row.
    """

    def __init__(self, database: Database, table: Table, noun: str, columns: Sequence[ColumnElement[Any]]) -> None:
        self._database = database
        self._table = table
        self._noun = noun
        self._columns = tuple(columns)
        self._ones: dict[tuple[Any, ...], FixedQuery] = {}
        self._counts: OrderedDict[tuple[Any, ...], tuple[int, int]] = OrderedDict()

    async def one(self, agent: Agent, uuid: UUID) -> Sequence[Any]:
        """Return the columns of one row.

        Raises:
            NotFoundError: there is none.
            UnauthorizedError, NoAccessError: the agent may not see it.
        """
        kind = (agent.type, agent.role)
        if kind not in self._ones:
            self._ones[kind] = self._query_of_one(agent)
        rows = await self._database.fetch(self._ones[kind], uuid=uuid, agent=agent.uuid)
        if not rows:
            raise NotFoundError(f"there is no {self._noun} {uuid}")
        seen, *columns = rows[0]
        if not seen:
            require_sight(agent, visibility=VisibilityLevel.PRIVATE, creator_uuid=None, permitted=False)
        return columns

    def _query_of_one(self, agent: Agent) -> FixedQuery:
        anybody = replace(agent, uuid=cast("UUID", parameter("agent")))  # one statement for all agents of this kind
        seen = visible(anybody, self._table, None).label("seen")
        return FixedQuery(
            select(seen, *self._columns).select_from(self._table).where(self._table.c.uuid == parameter("uuid"))
        )

    def select(self, *more: ColumnElement[Any]) -> Select[Any]:
        """Begin the query of a page; its rows have the columns of this object and `more`."""
        return select(_ACTS, *self._columns, *more).select_from(self._table)

    async def page(
        self, agent: Agent, query: Select[Any], paging: Paging, wanted: object
    ) -> tuple[int, list[Sequence[Any]]]:
        """Return the number of all rows and those of the page.

        Args:
            agent: who asks.
            query: made by `select`, with conditions and order.
            paging: the page.
            wanted: all other filters; its `repr` and the agent tell lists apart.
        """
        limit = paging.limit or DEFAULT_LIMIT
        async with self._database.look() as connection:
            found = (await connection.execute(query.offset(paging.offset or None).limit(limit))).all()
            rows: list[Sequence[Any]] = [row[1:] for row in found]
            if 0 < len(rows) < limit or (not rows and not paging.offset):
                return paging.offset + len(rows), rows
            key = (agent.type, agent.uuid, agent.role, repr(wanted))
            acts = found[0][0] if found else None
            counted = self._counts.get(key)
            if counted is None or counted[0] != acts:
                count = query.with_only_columns(_ACTS, func.count()).order_by(None)
                counted = cast("tuple[int, int]", tuple((await connection.execute(count)).one()))
                self._remember(key, counted)
            return counted[1], rows

    def _remember(self, key: tuple[Any, ...], counted: tuple[int, int]) -> None:
        if len(key[-1]) > _LONGEST_KEY:
            return
        self._counts[key] = counted
        self._counts.move_to_end(key)
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
