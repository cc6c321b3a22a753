"""A small bounded memory of what was computed already."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Lru"]

K = TypeVar("K")
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Entries of at most `size` together; the one used longest ago goes first. Values are never None.

    Args:
        size: the number of entries or, with `weigh`, their weight.
        weigh: of a value; it never changes. One that is heavier than `size` is not kept.
    """

    def __init__(self, size: int, weigh: Callable[[V], int] | None = None) -> None:
        self._size = size
        self._weigh = weigh or _one
        self._weight = 0
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return the value and mark it as used, or None."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: K, value: V) -> None:
        """Keep a value; drops the oldest beyond the limit."""
        self._drop(key)
        self._entries[key] = value
        self._weight += self._weigh(value)
        while self._weight > self._size:
            self._drop(next(iter(self._entries)))

    def drop_where(self, chosen: Callable[[K], bool]) -> None:
        """Forget the entries whose keys are chosen."""
        for key in [key for key in self._entries if chosen(key)]:
            self._drop(key)

    def _drop(self, key: K) -> None:
        if key in self._entries:
            self._weight -= self._weigh(self._entries.pop(key))

    def __len__(self) -> int:
        return len(self._entries)


def _one(_value: object) -> int:
    return 1
