import pytest

from pepeunit_gateway.errors import ApiError, CustomJSONDecodeError, GitRepoError
from pepeunit_gateway.firmware.jsonfile import check_portable, dump_object, load_object

BROKEN = [
    (b'{\n  "A": 1,\n  "B": \n}', CustomJSONDecodeError, "x.json, line 4, column 1"),
    (b"", CustomJSONDecodeError, "x.json, line 1, column 1"),
    (b'{"A": NaN}', CustomJSONDecodeError, "NaN"),
    (b'{"A": -Infinity}', CustomJSONDecodeError, "-Infinity"),
    (b'{"A": 1, "A": 2}', CustomJSONDecodeError, "'A' stands there twice"),
    (b"[" * 100_000, CustomJSONDecodeError, "nested too deeply"),
    (b'{"A": 1, "B": {"C": [0, "x\\ud800"]}}', CustomJSONDecodeError, r'"\ud800" at "B"."C"[1] is half of a surrogate'),
    (b'{"A\\udc00": 1}', CustomJSONDecodeError, r'"\udc00" at "A\udc00" is half of a surrogate'),
    (b'{"A": 1e999}', CustomJSONDecodeError, 'the number at "A" is too large'),
    (b'{"A": [-1e999]}', CustomJSONDecodeError, 'the number at "A"[0] is too large'),
    (b'{"A": 1' + b"0" * 309 + b"}", CustomJSONDecodeError, 'the number at "A" is too large'),
    (b'{"A": 1' + b"0" * 9_999 + b"}", CustomJSONDecodeError, "a number of 10000 digits is too large"),
    (b'{"A": ' + b"[" * 32 + b"]" * 32 + b"}", CustomJSONDecodeError, "nested too deeply at ...[0][0][0][0]; 32"),
    (b'{"A": [' + b"0," * 20_000 + b"0]}", CustomJSONDecodeError, "too many values; 20000"),
    (b'{"A": [' + b"[],[[]]," * 7_000 + b"0]}", CustomJSONDecodeError, "too many values; 20000"),
    (b'{"%(k)s": 0, "%(k)s": 0}' % {b"k": b"k" * 9_999}, CustomJSONDecodeError, f"'{'k' * 60}' stands there twice"),
    (b'{"A": "\xff"}', GitRepoError, "not UTF-8 text (byte 7)"),
    (b"[]", GitRepoError, "a list"),
    (b'"text"', GitRepoError, "a string"),
    (b"null", GitRepoError, "null"),
    (b"true", GitRepoError, "true or false"),
    (b"1", GitRepoError, "a number"),
    (None, GitRepoError, "missing at the root"),
]


@pytest.mark.parametrize(("data", "kind", "hint"), BROKEN)
def test_a_broken_file_is_refused_with_its_name_and_place(data, kind, hint):
    with pytest.raises(ApiError) as caught:
        load_object(data, "x.json")
    assert type(caught.value) is kind
    assert "x.json" in caught.value.message
    assert hint in caught.value.message


def test_a_byte_order_mark_is_tolerated():
    assert load_object(b'\xef\xbb\xbf{"A": 1}', "x.json") == {"A": 1}


def test_what_is_written_reads_back_in_order_and_readable():
    written = dump_object({"b": "жук", "a": [1, None]})
    assert written.startswith(b'{\n    "b": "')
    assert list(load_object(written, "x.json").items()) == [("b", "жук"), ("a", [1, None])]


def test_what_lies_just_within_the_limits_is_taken_and_can_be_written():
    data = b'{"A": ' + b"[" * 31 + b"]" * 31 + b', "B": [1e308, 1' + b"0" * 308 + b', true], "C": "\\ud83d\\ude00"}'
    value = load_object(data, "x.json")
    assert value["C"] == "\N{GRINNING FACE}"
    assert load_object(dump_object(value), "x.json") == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\udfff", {"\ud800": 1}, [[10**309]]])
def test_values_from_elsewhere_are_judged_alike(value):
    with pytest.raises(ValueError, match="at ") as caught:
        check_portable(value)
    assert str(caught.value).isascii()


def test_a_long_key_is_cut_in_the_message():
    with pytest.raises(ValueError, match="too large") as caught:
        check_portable({"k" * 1_000_000: float("inf")})
    assert len(str(caught.value)) < 200
