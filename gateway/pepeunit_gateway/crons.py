"""Times of jobs, written as in cron: minute, hour, day of month, month, day of week; always UTC."""

from datetime import UTC, datetime

from croniter import CroniterBadDateError, croniter

__all__ = ["check_cron", "next_time"]

_FIELDS = 5
_SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)


def check_cron(text: str) -> str:
    """Return `text` if it is a cron expression of five fields.

    Raises:
        ValueError: it is not.
    """
    if len(text.split()) != _FIELDS or not croniter.is_valid(text):
        raise ValueError("must be a cron expression of five fields, like 30 3 * * *")
    try:
        next_time(text, _SOME_DAY)
    except CroniterBadDateError:
        raise ValueError("must be a cron expression that comes at some time; this day is in no month") from None
    return text


def next_time(expression: str, after: datetime) -> datetime:
    """Return the first time of the expression that is later than `after`, which is in UTC as the result is."""
    found: datetime = croniter(expression, after).get_next(datetime)
    return found
