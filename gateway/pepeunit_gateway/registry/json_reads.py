"""Single entities and pages whose JSON the database makes; who sees what is asked in the same statement.

A page is one statement. The number of all rows is a second one, only where the page does not tell it and an act came
in since it was counted last: every act changes `act_counter` in its own transaction, and every page carries the value
that it was read under. So a remembered number is never an old one.

Lists of the same shape, those whose filters differ in single uuids and in the page alone, share one compiled statement;
lists with search words or many uuids are compiled by SQLAlchemy.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, Protocol, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Table, func, select

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.rules import refuse_sight
from pepeunit_gateway.errors import NotFoundError
from pepeunit_gateway.registry.listing import DEFAULT_LIMIT, Paging
from pepeunit_gateway.registry.visibility import visible
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.own_tables import act_counter
from pepeunit_gateway.storage.queries import FixedQuery, parameter

__all__ = ["JsonReads", "Listing"]

_ACTS = select(act_counter.c.acts).scalar_subquery()
_REMEMBERED = 1024

_Rows = Sequence[Sequence[Any]]
_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class _Wanted(Protocol):
    """The filters of a list, a frozen dataclass of uuids, enums, truths and sequences; None or empty if absent."""

    @property
    def search_string(self) -> str | None: ...

    @property
    def paging(self) -> Paging: ...


_W = TypeVar("_W", bound=_Wanted)


@dataclass(frozen=True, slots=True)
class Listing:
    """What filters and rights mean: conditions, an order without ties, and further columns."""

    conditions: Sequence[ColumnElement[bool]]
    order: Sequence[ColumnElement[Any]]
    more: Sequence[ColumnElement[Any]] = ()


class _Memory(OrderedDict[_K, _V]):
    """The newest entries; the oldest gives way."""

    def keep(self, key: _K, value: _V) -> _V:
        self[key] = value
        self.move_to_end(key)
        if len(self) > _REMEMBERED:
            self.popitem(last=False)
        return value


@dataclass(frozen=True, slots=True)
class _Shape:
    """What two lists that one statement serves have in common, and where one of them differs."""

    key: tuple[Hashable, ...]
    uuids: dict[str, UUID]


class JsonReads(Generic[_W]):
    """Reads of one table.

    Args:
        database: where.
        table: units or units_nodes.
        noun: what its rows are called, for errors.
        columns: what is selected of a row, for an agent.
        listing: says what filters mean for an agent; uuids may be placeholders, so it may only compare them.
    """

    def __init__(
        self,
        database: Database,
        table: Table,
        noun: str,
        columns: Callable[[Agent], Sequence[ColumnElement[Any]]],
        listing: Callable[[Agent, _W], Listing],
    ) -> None:
        self._database = database
        self._table = table
        self._noun = noun
        self._columns = columns
        self._listing = listing
        self._ones: dict[tuple[Hashable, ...], FixedQuery] = {}
        self._pages: _Memory[tuple[Hashable, ...], tuple[FixedQuery, FixedQuery]] = _Memory()
        self._counts: _Memory[tuple[Hashable, ...], tuple[int | None, int]] = _Memory()

    async def one(self, agent: Agent, uuid: UUID) -> Sequence[Any]:
        """Return the columns of one row.

        Raises:
            NotFoundError: there is none.
            UnauthorizedError, NoAccessError: the agent may not see it.
        """
        kind = (agent.type, agent.role)
        if kind not in self._ones:
            anybody = _any_like(agent)
            seen = visible(anybody, self._table, None).label("seen")
            query = select(seen, *self._columns(anybody)).select_from(self._table)
            self._ones[kind] = FixedQuery(query.where(self._table.c.uuid == parameter("uuid")))
        rows = await self._database.fetch(self._ones[kind], uuid=uuid, agent=agent.uuid)
        if not rows:
            raise NotFoundError(f"there is no {self._noun} {uuid}")
        seen, *columns = rows[0]
        if not seen:
            refuse_sight(agent)
        return columns

    async def page(self, agent: Agent, wanted: _W) -> tuple[int, _Rows]:
        """Return the number of all rows, and of those of the page the columns of this object and of the listing."""
        offset, limit = wanted.paging.offset, wanted.paging.limit or DEFAULT_LIMIT
        shape = _shape(wanted)
        if shape is None:
            pages, counting = self._statements(agent, wanted, offset, limit)
            async with self._database.look() as connection:
                rows: _Rows = (await connection.execute(pages)).all()
                count = _told(rows, offset, limit)
                if count is None:
                    count = (await connection.execute(counting)).one()[1]
        else:
            key = (agent.type, agent.role, *shape.key)
            paged, counted = self._pages.get(key) or self._pages.keep(key, self._compiled(agent, wanted, shape))
            values = {"agent": agent.uuid, **shape.uuids}
            rows = await self._database.fetch(paged, **values, offset=offset, limit=limit)
            count = _told(rows, offset, limit)
            if count is None:
                count = await self._count((*key, *values.values()), rows[0][0] if rows else None, counted, values)
        return count, [row[1:] for row in rows]

    async def _count(
        self, key: tuple[Hashable, ...], acts: int | None, query: FixedQuery, values: dict[str, UUID | None]
    ) -> int:
        known = self._counts.get(key)
        if known is None or acts is None or known[0] != acts:
            ((counted_after, count),) = await self._database.fetch(query, **values)
            known = self._counts.keep(key, (counted_after, count))
        return known[1]

    def _compiled(self, agent: Agent, wanted: _W, shape: _Shape) -> tuple[FixedQuery, FixedQuery]:
        anyhow: Any = replace(cast("Any", wanted), **{name: parameter(name) for name in shape.uuids})
        offset, limit = parameter("offset", Integer), parameter("limit", Integer)
        page, count = self._statements(_any_like(agent), anyhow, offset, limit)
        return FixedQuery(page), FixedQuery(count)

    def _statements(self, agent: Agent, wanted: _W, offset: Any, limit: Any) -> tuple[Select[Any], Select[Any]]:
        table, listing = self._table, self._listing(agent, wanted)
        # the rows are chosen first, or JSON would be made of those before the page, too
        chosen = select(table.c.uuid).where(*listing.conditions).order_by(*listing.order).offset(offset).limit(limit)
        page = select(_ACTS, *self._columns(agent), *listing.more).select_from(table).where(table.c.uuid.in_(chosen))
        count = select(_ACTS, func.count()).select_from(table).where(*listing.conditions)
        return page.order_by(*listing.order), count


def _any_like(agent: Agent) -> Agent:
    """Return an agent of this kind with a placeholder instead of its uuid."""
    return replace(agent, uuid=cast("UUID", parameter("agent")))


def _told(rows: _Rows, offset: int, limit: int) -> int | None:
    """Return the number of all rows where the last page tells it."""
    return offset + len(rows) if 0 < len(rows) < limit or not (rows or offset) else None


def _shape(wanted: _Wanted) -> _Shape | None:
    """Return the shape of a list, or None if hardly another list will have it."""
    if wanted.search_string:
        return None
    key: list[Hashable] = []
    uuids: dict[str, UUID] = {}
    for field in fields(cast("Any", wanted)):
        value = getattr(wanted, field.name)
        if isinstance(value, UUID):
            uuids[field.name] = value
            key.append(field.name)
        elif isinstance(value, list | tuple):
            if value and isinstance(value[0], UUID):
                return None
            key.append(tuple(value))
        elif not isinstance(value, Paging):
            key.append(value)
    return _Shape(tuple(key), uuids)
