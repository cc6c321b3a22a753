import pytest

from pepeunit_gateway.api.ranges import Span, UnsatisfiableError, find_span, is_known

TAG = '"abc"'


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-9", (0, 10)),
        ("bytes=3-5", (3, 6)),
        ("bytes=3-", (3, 10)),
        ("bytes=9-", (9, 10)),
        ("bytes=5-999999999999999999", (5, 10)),
        ("bytes=-1", (9, 10)),
        ("bytes=-10", (0, 10)),
        ("bytes=-99", (0, 10)),
        ("Bytes = 0-1 ", (0, 2)),
    ],
)
def test_a_range_that_can_be_had_is_that_part(wanted, part):
    assert find_span(wanted, None, etag=TAG, size=10) == Span(*part, 10)


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=10-11", "bytes=999999999999999999-", "bytes=-0"])
def test_a_range_beyond_the_end_cannot_be_had(wanted):
    with pytest.raises(UnsatisfiableError):
        find_span(wanted, None, etag=TAG, size=10)


@pytest.mark.parametrize(
    "wanted",
    [
        None, "", "bytes", "bytes=", "bytes=-", "bytes=5-3", "bytes=0-1,3-4", "bytes=0-1, bytes=3-4", "items=0-1",
        "bytes=a-b", "bytes=0x0-1", "bytes=--1", "bytes=+1-2", "bytes=1.0-2", "bytes=٣-٤", "bytes=0-" + "9" * 5_000,
        "bytes=0 - 1", "bytes=0-1;q=1",
    ],
)  # fmt: skip
def test_what_is_no_single_range_gets_all(wanted):
    assert find_span(wanted, None, etag=TAG, size=10) is None


@pytest.mark.parametrize(
    ("if_range", "has_part"),
    [
        (TAG, True),
        (f" {TAG} ", True),
        ('W/"abc"', False),
        ('"other"', False),
        ("abc", False),
        ("*", False),
        (f'{TAG}, "x"', False),
        ("Tue, 15 Nov 1994 12:45:26 GMT", False),
    ],
)
def test_a_part_of_an_older_archive_is_never_given(if_range, has_part):
    assert (find_span("bytes=1-2", if_range, etag=TAG, size=10) is not None) is has_part
    if not has_part:
        assert find_span("bytes=99-", if_range, etag=TAG, size=10) is None, "all of it, no error"


@pytest.mark.parametrize("value", [TAG, f'"x", {TAG}', f"W/{TAG}", f'"x",{TAG},"y"', "*", f" {TAG}"])
def test_a_client_that_has_it_is_known(value):
    assert is_known(value, TAG)


@pytest.mark.parametrize("value", [None, "", '"x"', '"ab", "c"', "abc", '"abcd"', '"x*"', "W/*"])
def test_a_client_that_has_another_one_is_not(value):
    assert not is_known(value, TAG)


def test_a_span_says_where_it_lies():
    assert (Span(3, 6, 10).content_range, Span(3, 6, 10).length) == ("bytes 3-5/10", 3)
    assert Span.whole(10) == Span(0, 10, 10)
