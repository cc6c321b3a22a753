"""Answers that were given before, packed, with what tells whether they still hold."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PageMemory", "RememberedPage"]


@dataclass(frozen=True, slots=True)
class RememberedPage:
    """One answer: its ETag, its body packed by zlib, and the headers that tell of further pages."""

    etag: str
    packed: bytes
    paging: Mapping[str, str]


class PageMemory:
    """At most `max_bytes` of packed answers; those used longest ago go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
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
        if len(page.packed) > self._max_bytes:
            return
        self._pages[key] = page
        self.size += len(page.packed)
        while self.size > self._max_bytes:
            self.forget(next(iter(self._pages)))

    def forget(self, key: tuple[str, str]) -> None:
        """Drop an answer; none there is fine."""
        page = self._pages.pop(key, None)
        self.size -= len(page.packed) if page else 0
