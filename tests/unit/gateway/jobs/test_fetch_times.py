"""When registries are fetched: every one once in the period, spread over it, later after failures."""

from itertools import pairwise
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.jobs.fetch_times import LONGEST_PAUSE, FetchTimes

PERIOD = 54.0
STEP = 2.0
ONE = UUID(int=20_000)


def some(count: int) -> list[UUID]:
    chance = Random(7)
    return [UUID(int=chance.getrandbits(128), version=4) for _ in range(count)]


def starts(times: FetchTimes, registries: list[UUID], seconds: float, *, begin: float = 1000.0) -> list[tuple]:
    """Look at the clock every STEP; return (when, which) of every fetch."""
    found = []
    for step in range(int(seconds / STEP)):
        now = begin + step * STEP
        found += [(now, uuid) for uuid in times.due(registries, registries, now)]
    return found


def test_in_the_beginning_everything_is_due_and_then_once_in_every_period():
    registries = some(50)
    found = starts(FetchTimes(PERIOD, 0.3), registries, 10 * PERIOD)
    assert {uuid for now, uuid in found if now == 1000.0} == set(registries)
    for uuid in registries:
        own = [now for now, other in found if other == uuid]
        assert len(own) >= 10
        assert all(later - earlier <= PERIOD + STEP for earlier, later in pairwise(own))
        assert all(later - earlier >= PERIOD - STEP for earlier, later in pairwise(own[1:]))


def test_a_thousand_registries_are_spread_over_the_period():
    found = starts(FetchTimes(PERIOD, 0.3), some(1000), 3 * PERIOD)
    later = [now for now, _ in found if now > 1000.0 + PERIOD]
    busiest = max(later.count(now) for now in set(later))
    assert busiest <= 3 * 1000 * STEP / PERIOD
    assert len(set(later)) >= 0.9 * (2 * PERIOD / STEP)


def test_two_gateways_ask_at_different_moments():
    registries = some(20)
    one, other = (starts(FetchTimes(PERIOD, shift), registries, 2 * PERIOD)[20:] for shift in (0.1, 0.6))
    assert not {*one} & {*other}


def test_a_registry_that_is_new_takes_its_place_and_one_that_is_gone_is_forgotten():
    times, registries = FetchTimes(PERIOD, 0.0), some(3)
    times.due(registries, registries, 1000.0)
    assert times.due([*registries, ONE], registries, 1000.1) == []
    found = starts(times, [*registries, ONE], PERIOD + STEP, begin=1001.0)
    assert [uuid for _, uuid in found].count(ONE) == 1
    times.failed(registries[0], 1100.0)
    times.due([ONE], [], 1200.0)
    assert not times.is_suspect(registries[0])


def test_after_failures_it_waits_twice_as_long_each_time_up_to_ten_minutes():
    times, now, waits = FetchTimes(60.0, 0.0), 1000.0, []
    assert times.due([ONE], [], now) == [ONE]
    for _ in range(8):
        times.failed(ONE, now)
        failed = now
        while not times.due([ONE], [], now):
            now += 0.5
        waits.append(now - failed)
    assert waits[0] <= 60.5
    assert all(later >= earlier for earlier, later in pairwise(waits[1:-2]))
    assert LONGEST_PAUSE - 60.5 <= max(waits) <= LONGEST_PAUSE + 0.5


def test_a_pause_is_never_shorter_than_the_period():
    times = FetchTimes(3600.0, 0.0)
    times.due([ONE], [], 10.0)
    for _ in range(5):
        times.failed(ONE, 10.0)
    found = [now for now in range(11, 8000) if times.due([ONE], [], float(now))]
    assert len(found) == 2
    assert found[1] - found[0] == 3600


def test_a_pause_ends_with_a_reset_or_when_somebody_elses_fetch_succeeded():
    for end in (lambda times: times.reset(ONE, 1001.0), lambda times: times.due([ONE], [ONE], 1001.0)):
        times = FetchTimes(60.0, 0.0)
        times.due([ONE], [], 1000.0)
        for _ in range(6):
            times.failed(ONE, 1000.0)
        assert times.is_suspect(ONE)
        end(times)
        assert not times.is_suspect(ONE)
        assert [now for now in range(1001, 1062) if times.due([ONE], [], float(now))] != []


def test_what_failed_waits_although_everything_else_is_due():
    times, registries = FetchTimes(60.0, 0.0), some(3)
    times.due(registries, [], 1000.0)
    for _ in range(6):
        times.failed(registries[0], 1000.0)
    times.all_at_once()
    assert set(times.due(registries, [], 1000.5)) == set(registries[1:])


@given(st.floats(0.5, 4000.0), st.floats(0.0, 1.0), st.floats(0.0, 1e7), st.integers(0, 2**128 - 1))
def test_whatever_the_clock_says_the_next_time_is_later_and_at_most_a_period_away(period, shift, now, number):
    uuid, times = UUID(int=number), FetchTimes(period, shift)
    assert times.due([uuid], [uuid], now) == [uuid]
    assert times.due([uuid], [uuid], now) == []
    assert times.due([uuid], [uuid], now + period * 1.001 + 0.001) == [uuid]
