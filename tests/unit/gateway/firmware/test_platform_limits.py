"""When a platform may be asked again: headers and the clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from pepeunit_gateway.firmware.platform_limits import LONGEST_PAUSE, pause_until

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
SECONDARY = b'{"message":"You have exceeded a secondary rate limit. Please wait a few minutes."}'

TABLE = [
    (200, {}, b"", None, "a good answer"),
    (200, {"X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": str(EPOCH + 60)}, b"", None, "much is left"),
    (200, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH + 1800)}, b"", 1800, "good, and the last one"),
    (304, {"RateLimit-Remaining": "0", "RateLimit-Reset": str(EPOCH + 30)}, b"", 30, "GitLab has no X-"),
    (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH + 900)}, b"", 900, "whatever the case"),
    (403, {}, b'{"message":"Forbidden"}', None, "a missing right is no rate limit"),
    (403, {}, SECONDARY, 60, "a limit that only the body tells"),
    (403, {"Retry-After": "7"}, SECONDARY, 7, "a secondary limit"),
    (403, {"Retry-After": "7", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH + 9)}, b"", 7, "both"),
    (429, {"Retry-After": "42"}, b"Retry later\n", 42, "GitLab"),
    (429, {"Retry-After": "Fri, 01 May 2026 12:05:00 GMT"}, b"", 300, "as a date"),
    (429, {}, b"", 60, "without any word"),
    (429, {"Retry-After": "soon"}, b"", 60, "junk"),
    (429, {"Retry-After": "-5"}, b"", 60, "a negative one"),
    (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": str(EPOCH - 5)}, b"", 60, "a reset that is over"),
    (200, {"RateLimit-Remaining": "0", "RateLimit-Reset": str(EPOCH - 5)}, b"", None, "over, and it answers"),
    (503, {"Retry-After": "120"}, b"", 120, "maintenance"),
    (500, {"Retry-After": "120"}, b"", None, "an error is no limit"),
    (429, {"Retry-After": "9" * 40}, b"", LONGEST_PAUSE.total_seconds(), "nobody waits for years"),
    (
        200,
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 40},
        b"",
        LONGEST_PAUSE.total_seconds(),
        "nor here",
    ),
]


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"), [row[:4] for row in TABLE], ids=[row[4] for row in TABLE]
)
def test_it_is_left_alone_as_long_as_it_says(status, headers, body, seconds):
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert pause_until(status, CIMultiDict(headers), body, NOW) == expected


_VALUES = st.text(max_size=30)
_NAMES = st.sampled_from(["Retry-After", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Reset"])


@given(st.integers(100, 599), st.dictionaries(_NAMES, _VALUES), st.binary(max_size=40))
def test_whatever_it_says_the_pause_is_in_the_future_and_bounded(status, headers, body):
    until = pause_until(status, CIMultiDict(headers), body, NOW)
    assert until is None or NOW < until <= NOW + LONGEST_PAUSE
