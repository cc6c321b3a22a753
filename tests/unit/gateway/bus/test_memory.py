"""Leases, cache and counters in memory: with a life time and a bound."""

from pepeunit_gateway.bus.memory import MemoryCache, MemoryCounters, MemoryLeases
from pepeunit_gateway.bus.port import Count


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_cached_value_ends_with_its_life_time():
    clock = Clock()
    cache = MemoryCache(clock)
    cache.set("key", b"value", 5.0)
    clock.now += 4.9
    assert cache.get("key") == b"value"
    clock.now += 0.1
    assert cache.get("key") is None
    assert len(cache) == 0


def test_the_values_not_used_for_longest_give_way():
    cache = MemoryCache(Clock(), max_entries=2)
    for key in ("a", "b"):
        cache.set(key, key.encode(), 5.0)
    assert cache.get("a") == b"a"
    cache.set("c", b"c", 5.0)
    assert [cache.get(key) for key in "abc"] == [b"a", None, b"c"]


def test_the_cache_holds_no_more_bytes_than_it_may():
    """W55."""
    cache = MemoryCache(Clock(), max_bytes=100)
    for number in range(10):
        cache.set(str(number), bytes(30), 5.0)
    assert [key for key in map(str, range(10)) if cache.get(key)] == ["7", "8", "9"]
    cache.set("large", bytes(200), 5.0)
    assert cache.get("large") is None
    cache.set("small", b"x", 5.0)
    assert cache.get("small") == b"x"


def test_a_span_begins_with_the_first_count_and_is_not_made_longer():
    clock = Clock()
    counters = MemoryCounters(clock)
    assert counters.increment("key", 10.0) == Count(1, 10.0)
    clock.now += 4.0
    assert counters.increment("key", 10.0) == Count(2, 6.0)
    assert counters.peek("key") == Count(2, 6.0)
    clock.now += 6.0
    assert counters.peek("key") is None
    assert counters.increment("key", 10.0) == Count(1, 10.0)


def test_w55_counters_are_bounded_and_those_that_end_soonest_give_way():
    """W55."""
    counters = MemoryCounters(Clock(), max_counters=10)
    for number in range(11):
        counters.increment(str(number), 10.0 + number)
    assert counters.peek("0") is None
    assert counters.peek("10") == Count(1, 20.0)
    for number in range(1000):
        counters.increment(f"other {number}", 50.0)
    assert len(counters) <= 10


def test_a_fence_is_above_the_clock_what_was_given_and_what_the_caller_knows():
    leases = MemoryLeases(Clock(), lambda: 1000)
    first = leases.acquire("name", "holder", 5.0, 0)
    second = leases.acquire("name", "holder", 5.0, 0)
    third = leases.acquire("name", "holder", 5.0, 7000)
    assert [lease.fence for lease in (first, second, third)] == [1000, 1001, 7001]
