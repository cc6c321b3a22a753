"""When the units of one update are commanded, for any number of them."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.registry.spreading import SLOT, spread

BEGIN = datetime(2025, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)


def units_of(count):
    return [UUID(int=number) for number in range(count)]


def seconds(times, begin=BEGIN):
    return [(time - begin).total_seconds() for time in times.values()]


counts = st.integers(0, 3000)
spreads = st.floats(0, 3600)
seeds = st.integers(0, 2**32)
begins = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis takes bounds without a zone


@given(counts, spreads, seeds, begins)
def test_every_unit_has_one_time_and_none_is_before_the_beginning_or_after_the_window(count, longest, seed, begin):
    times = spread(units_of(count), begin, longest, Random(seed))
    assert set(times) == set(units_of(count))
    window = max(SLOT, min(longest, count / 20))
    assert all(0 <= second < window for second in seconds(times, begin))


@given(st.integers(0, 19), spreads, seeds)
def test_a_few_units_are_commanded_at_once(count, longest, seed):
    assert set(seconds(spread(units_of(count), BEGIN, longest, Random(seed)))) <= {0}


@given(counts, seeds)
def test_without_a_spread_all_are_commanded_at_once(count, seed):
    assert set(seconds(spread(units_of(count), BEGIN, 0, Random(seed)))) <= {0}


@given(st.integers(0, 300), spreads, seeds, st.randoms())
def test_the_order_in_which_units_are_found_decides_nothing(count, longest, seed, order):
    units = units_of(count)
    mixed = list(units)
    order.shuffle(mixed)
    assert spread(units, BEGIN, longest, Random(seed)) == spread(mixed, BEGIN, longest, Random(seed))


@given(counts, spreads, seeds)
def test_slots_hold_as_many_units_as_each_other_and_begin_where_those_of_other_updates_do(count, longest, seed):
    times = spread(units_of(count), BEGIN, longest, Random(seed))
    slots = Counter(times.values())
    assert max(slots.values(), default=0) - min(slots.values(), default=0) <= 1
    others = {time for time in slots if time != BEGIN}
    assert all(time.microsecond in (0, 500_000) for time in others)


def test_a_thousand_units_take_thirty_seconds_and_their_numbers_say_nothing_about_their_turn():
    units = units_of(1000)
    turns = Counter()
    for seed in range(40):
        times = spread(units, BEGIN, 30, Random(seed))
        assert len(Counter(times.values())) == 60
        assert timedelta(seconds=29) < max(times.values()) - BEGIN < timedelta(seconds=30)
        turns.update(unit.int // 250 for unit in sorted(times, key=times.__getitem__)[:250])
    # the first quarter of the window has 250 units, a quarter of them of each quarter of the numbers
    assert all(abs(turns[quarter] / 40 - 62.5) < 5 for quarter in range(4))


def test_another_update_has_another_order():
    units = units_of(200)
    assert spread(units, BEGIN, 30, Random(1)) != spread(units, BEGIN, 30, Random(2))
