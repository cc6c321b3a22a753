from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from pepeunit_gateway.datapipe.config import PolicyType
from pepeunit_gateway.datapipe.query import PipeDataQuery, last_value_page, relative_start, window_filter
from pepeunit_gateway.errors import DataPipeError
from pepeunit_gateway.registry.listing import OrderBy, Paging
from pepeunit_gateway.storage.telemetry import LastValueRow, WindowFilter

NOW = datetime(2024, 3, 31, 12, 30, tzinfo=UTC)
NODE = UUID(int=1)


def query(**fields):
    return PipeDataQuery(NODE, PolicyType.LAST_VALUE, **fields)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("0s", NOW),
        ("90s", datetime(2024, 3, 31, 12, 28, 30, tzinfo=UTC)),
        ("15m", datetime(2024, 3, 31, 12, 15, tzinfo=UTC)),
        ("13h", datetime(2024, 3, 30, 23, 30, tzinfo=UTC)),
        ("31d", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("1M", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("3M", datetime(2023, 12, 31, 12, 30, tzinfo=UTC)),
        ("15M", datetime(2022, 12, 31, 12, 30, tzinfo=UTC)),
        ("1y", datetime(2023, 3, 31, 12, 30, tzinfo=UTC)),
        ("9999y", None),
        ("999999999d", None),
        ("999999999y", None),
    ],
)
def test_a_relative_time_counts_back_from_now(text, start):
    assert relative_start(text, NOW) == start


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "5w", "1.5h", "5m\n", "\u0665m", "1234567890s"])
def test_a_wrong_relative_time_says_what_is_right(text):
    with pytest.raises(DataPipeError, match="a number and one of s, m, h, d, M, y"):
        relative_start(text, NOW)


def test_the_later_of_two_lower_bounds_counts():
    hour, day = NOW - timedelta(hours=1), NOW - timedelta(days=1)
    assert window_filter(query(start_create_datetime=day, relative_time="1h"), NOW).start == hour
    assert window_filter(query(start_create_datetime=hour, relative_time="1d"), NOW).start == hour
    assert window_filter(query(relative_time="9999y"), NOW).start is None


def test_nothing_asked_means_the_newest_hundred():
    assert window_filter(query(), NOW) == WindowFilter(ascending=False, offset=0, limit=100)


def test_everything_asked_is_handed_on():
    asked = query(
        search_string="a", end_create_datetime=NOW, order_by_create_date=OrderBy.ASC, paging=Paging(offset=3, limit=7)
    )
    assert window_filter(asked, NOW) == WindowFilter(search="a", end=NOW, ascending=True, offset=3, limit=7)


@pytest.mark.parametrize(
    ("fields", "state", "count", "rows"),
    [
        ({}, "Abc", 1, 1),
        ({}, None, 1, 1),
        ({"search_string": "aB"}, "Abc", 1, 1),
        ({"search_string": "x"}, "Abc", 0, 0),
        ({"search_string": "x"}, None, 0, 0),
        ({"relative_time": "2h"}, "Abc", 1, 1),
        ({"relative_time": "30m"}, "Abc", 0, 0),
        ({"start_create_datetime": NOW - timedelta(hours=1)}, "Abc", 1, 1),
        ({"end_create_datetime": NOW - timedelta(hours=1)}, "Abc", 1, 1),
        ({"end_create_datetime": NOW - timedelta(hours=2)}, "Abc", 0, 0),
        ({"paging": Paging(offset=1)}, "Abc", 1, 0),
    ],
)
def test_the_last_value_is_filtered_like_a_row_w36(fields, state, count, rows):
    row = LastValueRow(NODE, state, NOW - timedelta(hours=1))
    assert last_value_page(query(**fields), row, NOW) == (count, [row] * rows)
