"""When a job is due: decided from the time, the last run and a random number alone. All times are UTC.

A time that was missed, because no gateway ran or the clock was set forward, makes one run as soon as somebody looks,
and never several. UTC has no summer time, and a leap second is no time of a schedule.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pepeunit_gateway.crons import next_time

__all__ = ["Cron", "Every", "Schedule", "next_start", "when_asked"]

_JITTER = 0.1
_CLOCKS_DIFFER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Every:
    """Again `seconds` after the last run began, give or take a tenth."""

    seconds: float

    def __str__(self) -> str:
        return f"every {self.seconds:g} s"


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a cron expression and up to `spread` seconds later, so that several gateways do not meet."""

    expression: str
    spread: float = 10.0

    def __str__(self) -> str:
        return f"{self.expression} (UTC)"


Schedule = Every | Cron


def next_start(schedule: Schedule, now: datetime, last: datetime | None, random: float) -> datetime:
    """Return when the job is due; a time that is not later than `now` means at once.

    Args:
        schedule: of the job.
        now: aware, UTC.
        last: when its last run began, or since when the first one is awaited; with None an interval is due at once, a
            cron job at its next time. A run that lies more than a minute ahead was noted by a clock that was wrong,
            and counts for nothing: the job is due at once, so that it is neither late by that much nor forgotten.
        random: from 0 to 1; the same one as long as one run is awaited.
    """
    if last is not None and last - now > _CLOCKS_DIFFER:
        return now
    if isinstance(schedule, Every):
        if last is None:
            return now
        return last + timedelta(seconds=schedule.seconds * (1 - _JITTER + 2 * _JITTER * random))
    return next_time(schedule.expression, (last or now).astimezone(UTC)) + timedelta(seconds=schedule.spread * random)


def when_asked(now: datetime, last: datetime | None, pause: float) -> datetime:
    """Return when a run that somebody asked for is due: `pause` seconds after the last one began, or at once."""
    if last is None or last > now:
        return now
    return last + timedelta(seconds=pause)
