"""How often one sender's bad messages are logged."""

from collections import OrderedDict
from uuid import UUID

__all__ = ["Complaints"]


class Complaints:
    """Allows one log line per unit and `interval` seconds; remembers at most `limit` units, the newest ones."""

    def __init__(self, *, interval: float = 60.0, limit: int = 4096) -> None:
        self._interval, self._limit = interval, limit
        self._last: OrderedDict[UUID, float] = OrderedDict()

    def due(self, unit: UUID, now: float) -> bool:
        """Tell whether to log; `now` is a clock in seconds that never runs backwards."""
        last = self._last.get(unit)
        if last is not None and now - last < self._interval:
            return False
        self._last[unit] = now
        self._last.move_to_end(unit)
        if len(self._last) > self._limit:
            self._last.popitem(last=False)
        return True
