import pytest

from pepeunit_gateway.api.forms import BrokenFormError, TooManyPartsError, read_field

FORM = "multipart/form-data; boundary=xyz"


def part(name, content, *more):
    head = [f'Content-Disposition: form-data; name="{name}"', *more]
    return "\r\n".join(["--xyz", *head, "", ""]).encode() + content + b"\r\n"


def field(body, name="data", content_type=FORM, max_parts=16):
    return read_field(body, content_type, name, max_parts=max_parts)


@pytest.mark.parametrize("content", [b"", b"a: 1\n", b"\r\n\r\n--xy\r\n", bytes(range(256)), b"--", "ж".encode()])
def test_a_field_is_read_as_it_was_sent(content):
    body = part("other", b"no") + part("data", content, "Content-Type: application/yaml") + b"--xyz--\r\n"
    assert field(body) == content
    assert field(b"a preamble\r\n" + body + b"an epilogue") == content


def test_of_two_fields_of_one_name_the_first_counts():
    assert field(part("data", b"1") + part("data", b"2") + b"--xyz--") == b"1"


def test_a_field_that_is_not_there_is_none():
    assert field(part("else", b"1") + b"--xyz--") is None
    assert field(b"--xyz--\r\n") is None


@pytest.mark.parametrize(
    "content_type", ['multipart/form-data; boundary="xyz"', "Multipart/Form-Data;charset=utf-8; BOUNDARY=xyz"]
)
def test_the_boundary_may_be_quoted_and_stand_anywhere(content_type):
    assert field(part("data", b"1") + b"--xyz--", content_type=content_type) == b"1"


def test_what_curl_and_browsers_write_into_the_headers_is_understood():
    headers = 'content-disposition: form-data; filename="köln; \\"1\\".yml"; name=data'
    assert field(f"--xyz \t\r\n{headers}\r\n\r\n1\r\n--xyz--\r\n".encode()) == b"1"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json", "multipart/mixed; boundary=xyz", "multipart/form-data", "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'x' * 71}", "multipart/form-data; boundary=\udcff", f"{FORM}; x={'y' * 2048}",
    ],
)  # fmt: skip
def test_without_a_boundary_it_is_no_form(content_type):
    with pytest.raises(BrokenFormError):
        field(part("data", b"1") + b"--xyz--", content_type=content_type)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"nonsense", part("data", b"1"), b"--xyz\r\nbroken", b"--xyz\r\n\r\n--xyz--",
        b"--xyzzy\r\n\r\n\r\n--xyz--",
        part("data", b"1", f"X: {'y' * 2048}") + b"--xyz--", b"--xyz\r\n" * 1000,
    ],
)  # fmt: skip
def test_a_body_that_does_not_keep_to_the_boundary_is_no_form(body):
    with pytest.raises(BrokenFormError):
        field(body)


def test_parts_are_counted():
    parts = part("other", b"1") * 3
    assert field(parts + part("data", b"2") + b"--xyz--", max_parts=4) == b"2"
    with pytest.raises(TooManyPartsError):
        field(parts + part("data", b"2") + part("other", b"3") + b"--xyz--", max_parts=4)
