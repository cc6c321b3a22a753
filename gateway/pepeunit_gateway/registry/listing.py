"""Paging, search and order of all lists. Source: protocol/rest.md 2.2, decisions.md 5."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.errors import ValidationError
from pepeunit_gateway.storage.search import contains

__all__ = ["DEFAULT_LIMIT", "FIRST_PAGE", "OrderBy", "Paging", "fetch_page", "ordered", "search"]

DEFAULT_LIMIT = 100
_SEARCH_CHARACTERS = 100
_SEARCH_WORDS = 10


class OrderBy(StrEnum):
    ASC = "asc"
    DESC = "desc"


@dataclass(frozen=True, slots=True)
class Paging:
    """Absent or 0 means the default: from the first row, 100 rows. The API checks the bounds."""

    offset: int = 0
    limit: int = 0


FIRST_PAGE = Paging()


def search(text: str | None, *columns: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """Every word must occur, without regard to case, in at least one column; `%` and `_` mean themselves.

    Raises:
        ValidationError: more than 100 characters or 10 words.
    """
    words = (text or "").split()
    if len(text or "") > _SEARCH_CHARACTERS or len(words) > _SEARCH_WORDS:
        raise ValidationError(f"search_string may have {_SEARCH_CHARACTERS} characters and {_SEARCH_WORDS} words")
    return [or_(*(contains(column, word) for column in columns)) for word in words]


def ordered(column: ColumnElement[Any], order: OrderBy) -> ColumnElement[Any]:
    """Return `column` in that direction."""
    return column.asc() if order is OrderBy.ASC else column.desc()


async def fetch_page(connection: AsyncConnection, query: Select[Any], paging: Paging) -> tuple[int, list[Any]]:
    """Run `query` for one page and count all of its rows: two statements whatever the number of rows."""
    count = (await connection.execute(select(func.count()).select_from(query.order_by(None).subquery()))).scalar_one()
    page = query.offset(paging.offset or None).limit(paging.limit or DEFAULT_LIMIT)
    return count, list((await connection.execute(page)).all())
