"""Pushes that are told: fetched at once, then once after each interval, and none is lost."""

import asyncio
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pepeunit_gateway.jobs.push_requests import PushRequests

ONE, TWO = UUID(int=1), UUID(int=2)


class Clock:
    """The loop's clock and timers, moved by hand."""

    def __init__(self):
        self.now = 100.0
        self._timers = []

    def time(self):
        return self.now

    def call_later(self, delay, call, *arguments):
        timer = Timer(self.now + delay, lambda: call(*arguments))
        self._timers.append(timer)
        return timer

    def pass_by(self, seconds):
        self.now += seconds
        due = [timer for timer in self._timers if timer.when <= self.now]
        self._timers = [timer for timer in self._timers if timer not in due]
        for timer in due:
            if not timer.cancelled:
                timer.call()


class Timer:
    def __init__(self, when, call):
        self.when, self.call, self.cancelled = when, call, False

    def cancel(self):
        self.cancelled = True


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    return made


@pytest.fixture
def fetched():
    return []


@pytest.fixture
def requests(fetched):
    return PushRequests(10.0, lambda uuid, server: fetched.append((uuid, server)))


def test_the_first_push_is_fetched_at_once_and_those_of_the_interval_once_after_it(clock, requests, fetched):
    requests.ask(ONE, "a")
    assert fetched == [(ONE, "a")]
    for _ in range(5):
        clock.pass_by(1.0)
        requests.ask(ONE, "a")
    assert fetched == [(ONE, "a")]
    clock.pass_by(5.0)
    assert fetched == [(ONE, "a")] * 2
    clock.pass_by(100.0)
    assert fetched == [(ONE, "a")] * 2


def test_the_interval_is_each_registrys_own(clock, requests, fetched):
    requests.ask(ONE, "a")
    requests.ask(TWO, "a")
    assert fetched == [(ONE, "a"), (TWO, "a")]
    clock.pass_by(10.0)
    requests.ask(ONE, "a")
    assert len(fetched) == 3


def test_a_fetch_that_begins_meanwhile_has_seen_what_waits(clock, requests, fetched):
    requests.ask(ONE, "a")
    clock.pass_by(1.0)
    requests.ask(ONE, "a")
    requests.begun(ONE)
    clock.pass_by(60.0)
    assert len(fetched) == 1
    requests.ask(ONE, "a")
    assert len(fetched) == 2


def test_one_that_is_gone_or_a_stop_ends_what_waits(clock, requests, fetched):
    for uuid in (ONE, TWO) * 2:
        requests.ask(uuid, "a")
    requests.keep([TWO])
    clock.pass_by(5.0)
    requests.stop()
    clock.pass_by(60.0)
    assert len(fetched) == 2
    assert set(requests._last) == {TWO}


@given(st.lists(st.one_of(st.just("push"), st.just("poll"), st.floats(0.1, 8.0)), max_size=60))
def test_every_push_is_followed_by_a_fetch_and_two_that_were_asked_for_keep_their_distance(events):
    clock, asked, begun = Clock(), [], []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asyncio, "get_running_loop", lambda: clock)

        def fetch(uuid, _):
            asked.append(clock.now)
            begin(uuid)

        def begin(uuid):
            begun.append((clock.now, len(pushes)))
            requests.begun(uuid)

        pushes, requests = [], PushRequests(10.0, fetch)
        for event in events:
            if event == "push":
                pushes.append(clock.now)
                requests.ask(ONE, "a")
            elif event == "poll":
                begin(ONE)
            else:
                clock.pass_by(event)
        clock.pass_by(10.0)
        assert requests._waiting == {}
    assert len(pushes) == max((seen for _, seen in begun), default=0)
    assert all(later - earlier >= 10.0 for earlier, later in pairwise(asked))
