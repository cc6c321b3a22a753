"""Answers that were given before, packed, with what tells whether they still hold."""

import sys
from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["PageMemory", "RememberedPage"]

_MAX_ETAG = 512
_ENTRY = 500
"""Bytes of what holds an entry together: its object, its tuple, its place in the table, what allocating rounds up."""


@dataclass(frozen=True, slots=True)
class RememberedPage:
    """One answer: its ETag, its body packed by zlib, and whether it names a next page; None where it does not tell."""

    etag: str
    packed: bytes
    goes_on: bool | None


class PageMemory:
    """At most `max_pages` answers in `max_bytes` with everything that belongs to them; those used longest ago go first.

    An answer whose ETag has no place in 512 bytes is not kept.
    """

    def __init__(self, max_bytes: int, max_pages: int) -> None:
        self._max_bytes = max_bytes
        self._max_pages = max_pages
        self._pages: OrderedDict[tuple[str, str], RememberedPage] = OrderedDict()
        self.size = 0

    def get(self, key: tuple[str, str]) -> RememberedPage | None:
        """Return an answer and mark it as used, or None."""
        if key in self._pages:
            self._pages.move_to_end(key)
        return self._pages.get(key)

    def put(self, key: tuple[str, str], page: RememberedPage) -> None:
        """Keep an answer, unless it is larger than all that may be kept."""
        self.forget(key)
        weight = _weight(key, page)
        if weight > self._max_bytes or len(page.etag) > _MAX_ETAG:
            return
        self._pages[key] = page
        self.size += weight
        while self.size > self._max_bytes or len(self._pages) > self._max_pages:
            self.forget(next(iter(self._pages)))

    def forget(self, key: tuple[str, str]) -> None:
        """Drop an answer; none there is fine."""
        page = self._pages.pop(key, None)
        self.size -= _weight(key, page) if page else 0

    def __len__(self) -> int:
        return len(self._pages)


def _weight(key: tuple[str, str], page: RememberedPage) -> int:
    return sum(map(sys.getsizeof, (*key, page.etag, page.packed))) + _ENTRY
