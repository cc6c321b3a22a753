"""Which login attempts are refused."""

from uuid import UUID

import pytest

from pepeunit_gateway.access.attempts import Failures, account_key, address_key, check_attempt, typed_key
from pepeunit_gateway.errors import TooManyRequestsError

USER = UUID("00000000-0000-4000-8000-000000000001")


def test_below_both_limits_an_attempt_passes():
    check_attempt([Failures(9, 10, 900.0), Failures(99, 100, 900.0)])
    check_attempt([])


@pytest.mark.parametrize(
    ("failures", "wait"),
    [
        ([Failures(10, 10, 12.1)], 13),
        ([Failures(11, 10, 0.0)], 1),
        ([Failures(10, 10, 3.0), Failures(100, 100, 40.0)], 40),
        ([Failures(10, 10, 3.0), Failures(99, 100, 40.0)], 3),
    ],
)
def test_at_a_limit_it_is_refused_until_the_last_limit_ends(failures, wait):
    with pytest.raises(TooManyRequestsError) as refused:
        check_attempt(failures)
    assert refused.value.retry_after == wait


def test_only_the_failure_that_begins_a_limit_says_so():
    assert [Failures(count, 3, 1.0).just_limited for count in (2, 3, 4)] == [False, True, False]


def test_what_was_typed_is_in_no_key_and_counts_alike_whether_an_account_has_that_name_or_not():
    assert account_key(USER, "alice") == account_key(USER, "12345") == f"login:account:{USER}"
    for key in (typed_key, lambda credentials: account_key(None, credentials)):
        assert "my-password" not in key("my-password")
        assert key("alice") != key("bobby")
        assert key("\ud800")
    assert typed_key("alice") != account_key(None, "alice")
    assert address_key("192.0.2.1") == "login:address:192.0.2.1"
