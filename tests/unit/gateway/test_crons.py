"""Times of jobs as in cron."""

from datetime import UTC, datetime

import pytest

from pepeunit_gateway.crons import check_cron, next_time


def test_the_next_time_is_later_and_in_utc():
    noon = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert next_time("0 * * * *", noon) == datetime(2026, 3, 1, 13, 0, tzinfo=UTC)
    assert next_time("30 3 * * *", noon) == datetime(2026, 3, 2, 3, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "hourly", "@hourly", "60 * * * *", "* * * *", "* * * * * *"])
def test_what_is_no_expression_of_five_fields_is_refused(text):
    with pytest.raises(ValueError, match="five fields"):
        check_cron(text)


def test_a_time_that_never_comes_is_refused():
    with pytest.raises(ValueError, match="at some time"):
        check_cron("0 0 31 2 *")
    assert check_cron("0 0 29 2 *")
