"""Fields of a form: multipart/form-data, taken apart in memory once the whole body has arrived within its limit.

A body is split at its boundaries in one pass, so that neither many parts nor many lines take the event loop's time.
Source: RFC 7578, RFC 2046 5.1.
"""

from email.message import Message
from email.parser import BytesHeaderParser

__all__ = ["BrokenFormError", "TooManyPartsError", "read_field"]

_MAX_HEADERS = 2 * 1024  # bytes; what reads their parameters takes time with the square of it
_MAX_BOUNDARY = 70


class BrokenFormError(Exception):
    """The body is no form: no boundary is announced, or the body does not keep to it."""


class TooManyPartsError(Exception):
    """The form has more parts than it may."""


def read_field(body: bytes, content_type: str, name: str, *, max_parts: int) -> bytes | None:
    """Return the content of the first field called `name`, None when there is none.

    Args:
        body: the whole body of the request.
        content_type: the header, which announces the boundary.
        name: of the field.
        max_parts: how many parts there may be.

    Raises:
        BrokenFormError: see there.
        TooManyPartsError: see there.
    """
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + _boundary(content_type), max_parts + 2)
    content = None
    for number, part in enumerate(parts):
        if part.startswith(b"--"):
            return content
        if number == max_parts:
            raise TooManyPartsError
        found, value = _read_part(part)
        if content is None and found == name:
            content = value
    raise BrokenFormError  # its last boundary never came


def _boundary(content_type: str) -> bytes:
    if not content_type.isascii() or len(content_type) > _MAX_HEADERS:
        raise BrokenFormError
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary("")
    if header.get_content_type() != "multipart/form-data" or not 0 < len(boundary) <= _MAX_BOUNDARY:
        raise BrokenFormError
    return boundary.encode()


def _read_part(part: bytes) -> tuple[object, bytes]:
    """Return the name that a part has and its content."""
    line, found, rest = part.partition(b"\r\n")
    if not found or line.strip(b" \t"):
        raise BrokenFormError
    head, found, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if not found or len(head) > _MAX_HEADERS:
        raise BrokenFormError
    headers = BytesHeaderParser().parsebytes(head.removeprefix(b"\r\n"))
    return headers.get_param("name", header="content-disposition"), content
