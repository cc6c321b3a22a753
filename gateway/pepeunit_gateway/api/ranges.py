"""Conditional requests and parts of an answer. Source: RFC 9110, sections 13 and 14.

Understood are `If-None-Match`, `Range` with one range of bytes, and `If-Range` with a strong entity tag. Whatever else
stands there is ignored, as the standard allows: the answer is whole then.
"""

import re
from dataclasses import dataclass
from typing import Self

__all__ = ["Span", "UnsatisfiableError", "find_span", "is_known"]

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_RANGE = re.compile(r"bytes[ \t]*=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class UnsatisfiableError(Exception):
    """No byte of the answer lies in the range that was asked for."""


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes `[start:stop]` of `size`; never empty."""

    start: int
    stop: int
    size: int

    @classmethod
    def whole(cls, size: int) -> Self:
        return cls(0, size, size)

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def content_range(self) -> str:
        """The value of the header Content-Range."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the client has the answer with this entity tag already; `W/` before a tag makes no difference."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)


def find_span(wanted: str | None, if_range: str | None, *, etag: str, size: int) -> Span | None:
    """Return the part that the client asks for, or None where it gets all.

    Args:
        wanted: the header Range.
        if_range: the header If-Range: give a part only of the answer that has this tag.
        etag: strong.
        size: bytes of the whole answer.

    Raises:
        UnsatisfiableError: there is no such part.
    """
    found = _RANGE.fullmatch(wanted.strip()) if wanted is not None else None
    if found is None or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = found.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    elif last:
        start, stop = max(size - int(last), 0), size
    else:
        return None
    if start >= stop:
        raise UnsatisfiableError
    return Span(start, stop, size)
