"""Which stored values a caller wants. Source: protocol/rest.md 2.7, decisions.md 5 and 14."""

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pepeunit_gateway.datapipe.config import PolicyType
from pepeunit_gateway.errors import DataPipeError
from pepeunit_gateway.registry.listing import DEFAULT_LIMIT, FIRST_PAGE, OrderBy, Paging
from pepeunit_gateway.storage.telemetry import LastValueRow, WindowFilter

__all__ = ["PipeDataQuery", "last_value_page", "relative_start", "window_filter"]

_RELATIVE = re.compile(r"([0-9]{1,9})([smhdMy])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MONTHS = {"M": 1, "y": 12}


@dataclass(frozen=True, slots=True)
class PipeDataQuery:
    """`type` is the caller's choice, not the node's policy; times are aware, bounds inclusive.

    `relative_time` is a number and one of s, m, h, d, M (calendar months), y: how far back from now. Given together
    with `start_create_datetime` the later of the two counts. `time_window_size` restricts aggregations only.
    """

    uuid: UUID
    type: PolicyType
    search_string: str | None = None
    time_window_size: int | None = None
    start_create_datetime: datetime | None = None
    end_create_datetime: datetime | None = None
    relative_time: str | None = None
    order_by_create_date: OrderBy = OrderBy.DESC
    paging: Paging = FIRST_PAGE


def relative_start(text: str, now: datetime) -> datetime | None:
    """Return the moment `text` before `now`; None if that is before the calendar begins.

    Raises:
        DataPipeError: the text is not of that form.
    """
    match = _RELATIVE.fullmatch(text)
    if match is None:
        raise DataPipeError(
            f"relative_time must be a number and one of s, m, h, d, M, y, for example 15m, not {text[:20]!r}"
        )
    amount, unit = int(match[1]), match[2]
    try:
        if unit in _SECONDS:
            return now - timedelta(seconds=amount * _SECONDS[unit])
        year, month = divmod(now.year * 12 + now.month - 1 - amount * _MONTHS[unit], 12)
        return now.replace(year=year, month=month + 1, day=min(now.day, calendar.monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        return None


def _start(query: PipeDataQuery, now: datetime) -> datetime | None:
    relative = relative_start(query.relative_time, now) if query.relative_time else None
    given = [moment for moment in (query.start_create_datetime, relative) if moment is not None]
    return max(given, default=None)


def window_filter(query: PipeDataQuery, now: datetime) -> WindowFilter:
    """Return what to ask the store for."""
    return WindowFilter(
        search=query.search_string,
        start=_start(query, now),
        end=query.end_create_datetime,
        ascending=query.order_by_create_date is OrderBy.ASC,
        offset=query.paging.offset,
        limit=query.paging.limit or DEFAULT_LIMIT,
    )


def last_value_page(query: PipeDataQuery, row: LastValueRow, now: datetime) -> tuple[int, list[LastValueRow]]:
    """Apply the same filters to the one row of a LastValue node; its time is `last_update_datetime`."""
    wanted = window_filter(query, now)
    if (
        (wanted.search and wanted.search.casefold() not in (row.state or "").casefold())
        or (wanted.start is not None and row.last_update_datetime < wanted.start)
        or (wanted.end is not None and row.last_update_datetime > wanted.end)
    ):
        return 0, []
    return 1, [row] if wanted.offset == 0 else []
