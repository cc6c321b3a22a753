"""Single entities and pages whose JSON the database makes; who sees what is asked in the same statement.

A page is one statement. The number of all rows is a second one, only where the page does not tell it and an act came
in since it was counted last: every act changes `act_counter` in its own transaction, and every page carries the value
that it was read under. So a remembered number is never an old one.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole, VisibilityLevel
from pepeunit_gateway.access.rules import require_sight
from pepeunit_gateway.errors import NotFoundError
from pepeunit_gateway.registry.listing import DEFAULT_LIMIT, FIRST_PAGE, Paging
from pepeunit_gateway.registry.visibility import visible
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.queries import FixedQuery, parameter
from pepeunit_gateway.storage.tables import act_counter

__all__ = ["JsonReads"]

_ACTS = select(act_counter.c.acts).scalar_subquery()
_REMEMBERED = 1024
_LONGEST_KEY = 1000

_Key = tuple[AgentType, UUID | None, UserRole | None, str]


class Listed(Protocol):
    """The filters of a list, a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def paging(self) -> Paging: ...


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
        self._counts: OrderedDict[_Key, tuple[int, int]] = OrderedDict()

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

    async def page(
        self,
        agent: Agent,
        wanted: Listed,
        conditions: Sequence[ColumnElement[bool]],
        order: Sequence[ColumnElement[Any]],
        *more: ColumnElement[Any],
    ) -> tuple[int, Sequence[Sequence[Any]]]:
        """Return the number of all rows and those of the page: the columns of this object and `more`.

        Args:
            agent: who asks.
            wanted: the filters and the page; their `repr` and the agent tell lists apart.
            conditions: what the filters and the agent's rights mean.
            order: of the rows, without ties.
            more: further columns.
        """
        table, paging = self._table, wanted.paging
        limit = paging.limit or DEFAULT_LIMIT
        # the rows are chosen first, or JSON would be made of those before the page, too
        chosen = select(table.c.uuid).where(*conditions).order_by(*order).offset(paging.offset or None).limit(limit)
        query = select(_ACTS, *self._columns, *more).select_from(table).where(table.c.uuid.in_(chosen)).order_by(*order)
        async with self._database.look() as connection:
            rows = (await connection.execute(query)).all()
            if 0 < len(rows) < limit or (not rows and not paging.offset):
                count = paging.offset + len(rows)
            else:
                key = (agent.type, agent.uuid, agent.role, repr(replace(wanted, paging=FIRST_PAGE)))
                count = await self._count(connection, key, rows[0][0] if rows else None, conditions)
        return count, [row[1:] for row in rows]

    async def _count(
        self, connection: AsyncConnection, key: _Key, acts: int | None, conditions: Sequence[ColumnElement[bool]]
    ) -> int:
        counted = self._counts.get(key)
        if counted is None or counted[0] != acts:
            query = select(_ACTS, func.count()).select_from(self._table).where(*conditions)
            counted = cast("tuple[int, int]", tuple((await connection.execute(query)).one()))
            self._remember(key, counted)
        return counted[1]

    def _remember(self, key: _Key, counted: tuple[int, int]) -> None:
        if len(key[-1]) > _LONGEST_KEY:
            return
        self._counts[key] = counted
        self._counts.move_to_end(key)
        if len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)
