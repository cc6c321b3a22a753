import pytest

from pepeunit import Message


def test_a_payload_that_is_no_utf8_reaches_the_program_s7():
    message = Message("d/x", "x", b"\xff\xfe ok")
    assert message.payload == b"\xff\xfe ok"
    assert message.text == "\ufffd\ufffd ok"


def test_json_is_read_from_the_payload_and_what_is_none_is_a_value_error():
    assert Message("d/x", "x", b'{"a": 1}').json() == {"a": 1}
    for payload in (b"", b"\xff", b"{"):
        with pytest.raises(ValueError, match=r"."):
            Message("d/x", "x", payload).json()
