"""message.py in the real MicroPython, against CPython."""

import json
import random

from tests.support.micropython import run_script


def test_text_is_what_cpython_makes_of_the_same_bytes_s7(tmp_path):
    chance = random.Random(7)
    edges = [
        b"\x80",
        b"\xc0\xaf",
        b"\xe0\x9f\xbf",
        b"\xe0\xa0\x80",
        b"\xed\xa0\x80",
        b"\xf0\x90\x80\x80",
        b"\xf4\x90\x80\x80",
    ]
    edges += [b"\xe2\x82", b"\xf0\x9f\x98", b"\xff\xfe", "häß €😀".encode(), b"", b"\xf5\x80\x80\x80", b"a\xe2\x82a"]
    parts = [
        b"a",
        b"\xc3",
        b"\xa4",
        b"\xe2",
        b"\x82",
        b"\xac",
        b"\xf0",
        b"\x9f",
        b"\x98",
        b"\x80",
        b"\xed",
        b"\xf4",
        b"\xff",
    ]
    cases = edges + [b"".join(chance.choices(parts, k=chance.randrange(1, 9))) for _ in range(1500)]
    (tmp_path / "cases.json").write_text(json.dumps([[data.hex(), data.decode("utf-8", "replace")] for data in cases]))
    run_script(
        """
import pepeunit.jsontext as jsontext
from pepeunit.message import Message

for data, text in jsontext.loads(open("cases.json").read()):
    found = Message("t", "n", bytes.fromhex(data)).text
    assert found == text, (data, found, text)
""",
        tmp_path,
        heap="1m",
    )


def test_values_are_encoded_as_on_cpython(tmp_path):
    run_script(
        """
from pepeunit.message import Message, encode

assert encode("ä") == b"\\xc3\\xa4"
assert encode(b"\\x00\\xff") == encode(bytearray(b"\\x00\\xff")) == b"\\x00\\xff"
assert encode(21.5) == b"21.5" and encode(-3) == b"-3"
assert encode(True) == b"true" and encode(False) == b"false"
assert encode({"a": [1, None, "x"]}) == b'{"a":[1,null,"x"]}'
for value in (None, object(), (1, 2), {1}):
    try:
        encode(value)
    except TypeError as error:
        assert "publish takes" in str(error)
    else:
        raise AssertionError(value)
assert Message("t", "n", b'{"a": 1}').json() == {"a": 1}
try:
    Message("t", "n", b"{").json()
except ValueError:
    pass
else:
    raise AssertionError
""",
        tmp_path,
    )


def test_the_largest_payload_of_bytes_that_are_no_text_can_be_read_in_a_small_heap_s7(tmp_path):
    run_script(
        """
from pepeunit.message import Message

text = Message("t", "n", bytes(range(128, 192)) * 128).text
assert len(text) == 8192 and set(text) == {"\\ufffd"}
""",
        tmp_path,
        heap="96k",
    )
