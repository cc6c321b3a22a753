"""When a job is due, as a table of times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pepeunit_gateway.jobs.schedule import Cron, Every, next_start, when_asked


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


MINUTE, HOURLY, DAILY = Every(60.0), Cron("0 * * * *"), Cron("30 3 * * *")


@pytest.mark.parametrize(
    ("schedule", "now", "last", "due"),
    [
        # an interval runs at once when it never ran, then a minute after its last beginning
        (MINUTE, "2026-03-01T10:00:00", None, "2026-03-01T10:00:00"),
        (MINUTE, "2026-03-01T10:00:10", "2026-03-01T10:00:00", "2026-03-01T10:01:00"),
        # a cron job that never ran waits for its time
        (HOURLY, "2026-03-01T10:00:00", None, "2026-03-01T11:00:05"),
        (HOURLY, "2026-03-01T10:00:07", "2026-03-01T10:00:05", "2026-03-01T11:00:05"),
        # one missed time or many make one run, which is due at once
        (MINUTE, "2026-03-01T10:00:00", "2026-03-01T04:00:00", "2026-03-01T04:01:00"),
        (HOURLY, "2026-03-01T10:30:00", "2026-03-01T04:00:03", "2026-03-01T05:00:05"),
        (HOURLY, "2026-03-01T10:30:00", "2026-03-01T10:29:59", "2026-03-01T11:00:05"),
        (DAILY, "2027-03-01T00:00:00", "2026-03-01T03:30:05", "2026-03-02T03:30:05"),
        # a clock that was set back by seconds changes nothing, one that was wrong by hours is forgotten
        (MINUTE, "2026-03-01T09:59:50", "2026-03-01T10:00:00", "2026-03-01T10:01:00"),
        (HOURLY, "2026-03-01T09:59:50", "2026-03-01T10:00:00", "2026-03-01T11:00:05"),
        (HOURLY, "2026-03-01T09:00:00", "2026-03-01T10:00:00", "2026-03-01T09:00:00"),
        (DAILY, "2026-03-01T09:00:00", "2036-03-01T03:30:00", "2026-03-01T09:00:00"),
        # the nights in which summer time begins and ends have every time once
        (DAILY, "2026-03-29T00:00:00", "2026-03-28T03:30:00", "2026-03-29T03:30:05"),
        (HOURLY, "2026-03-29T01:00:10", "2026-03-29T01:00:05", "2026-03-29T02:00:05"),
        (HOURLY, "2026-10-25T00:00:10", "2026-10-25T00:00:05", "2026-10-25T01:00:05"),
        (HOURLY, "2026-10-25T01:00:10", "2026-10-25T01:00:05", "2026-10-25T02:00:05"),
        # the last second of a day that had a leap second, and leap days
        (Cron("0 0 * * *"), "2016-12-31T23:59:59", "2016-12-31T00:00:05", "2017-01-01T00:00:05"),
        (Cron("0 0 29 2 *"), "2026-03-01T00:00:00", None, "2028-02-29T00:00:05"),
        (Cron("0 0 31 * *"), "2026-03-31T00:00:06", "2026-03-31T00:00:05", "2026-05-31T00:00:05"),
    ],
)
def test_a_run_is_due_at_the_time_of_the_schedule_and_a_missed_one_once(schedule, now, last, due):
    assert next_start(schedule, at(now), None if last is None else at(last), 0.5) == at(due)


@pytest.mark.parametrize("schedule", [MINUTE, HOURLY, DAILY, Cron("* * * * *")])
def test_after_a_run_that_begins_when_it_is_due_the_next_one_is_later(schedule):
    now, random = at("2026-02-27T23:59:58.5"), 0.0
    for number in range(50):
        due = max(next_start(schedule, now, now, random), now)
        assert due > now, number
        now, random = due, (random + 0.37) % 1.0


def test_a_time_of_a_cron_job_never_comes_twice_whenever_somebody_looks():
    """The run at 10:00 began late by the spread; looked at a thousand times within that hour it is not due again."""
    last = at("2026-03-01T10:00:09.9")
    for seconds in range(0, 3590, 4):
        now = last + timedelta(seconds=seconds)
        assert next_start(HOURLY, now, last, 0.0) == at("2026-03-01T11:00:00")


def test_random_spreads_an_interval_by_a_tenth_and_a_cron_time_by_ten_seconds():
    last = at("2026-03-01T10:00:00")
    spread = [(next_start(MINUTE, last, last, one) - last).total_seconds() for one in (0.0, 0.5, 1.0)]
    assert spread == [54.0, 60.0, 66.0]
    late = [(next_start(HOURLY, last, last, one) - last).total_seconds() for one in (0.0, 0.5, 1.0)]
    assert late == [3600.0, 3605.0, 3610.0]


def test_times_in_another_zone_than_utc_mean_the_same_moment():
    there = timezone(timedelta(hours=5, minutes=45))
    last = at("2026-03-01T03:30:05").astimezone(there)
    assert next_start(MINUTE, last, last, 0.5) == last + timedelta(minutes=1)
    assert next_start(DAILY, last, last, 0.5) == last + timedelta(days=1)


@pytest.mark.parametrize(
    ("last", "due"),
    [
        (None, "2026-03-01T10:00:00"),
        ("2026-03-01T09:59:00", "2026-03-01T09:59:10"),
        ("2026-03-01T09:59:55", "2026-03-01T10:00:05"),
        ("2026-03-01T10:00:30", "2026-03-01T10:00:00"),
    ],
)
def test_a_run_that_somebody_asks_for_keeps_its_distance_to_the_last_one(last, due):
    assert when_asked(at("2026-03-01T10:00:00"), None if last is None else at(last), 10.0) == at(due)


def test_a_schedule_reads_as_people_write_it():
    assert (str(MINUTE), str(HOURLY)) == ("every 60 s", "0 * * * * (UTC)")
