import pytest

from pepeunit_gateway.errors import ApiError, CustomJSONDecodeError, GitRepoError
from pepeunit_gateway.firmware.jsonfile import dump_object, load_object

BROKEN = [
    (b'{\n  "A": 1,\n  "B": \n}', CustomJSONDecodeError, "x.json, line 4, column 1"),
    (b"", CustomJSONDecodeError, "x.json, line 1, column 1"),
    (b'{"A": NaN}', CustomJSONDecodeError, "NaN"),
    (b'{"A": -Infinity}', CustomJSONDecodeError, "-Infinity"),
    (b'{"A": 1, "A": 2}', CustomJSONDecodeError, "'A' stands there twice"),
    (b"[" * 100_000, CustomJSONDecodeError, "nested too deeply"),
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
