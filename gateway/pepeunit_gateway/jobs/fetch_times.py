"""When each registry is fetched: by turns over a period, and later after failures. Pure: times are arguments.

All times are in seconds of one clock that never goes back. A registry keeps its place in the period, so that the time
between two of its fetches is the period, however many there are, and their starts are spread over it.
"""

import math
from collections.abc import Collection
from uuid import UUID

__all__ = ["LONGEST_PAUSE", "FetchTimes"]

LONGEST_PAUSE = 600.0
_DOUBLINGS = 16
_PLACES = 65_536


class FetchTimes:
    """The times of many registries.

    Args:
        period: seconds between two fetches of a registry.
        shift: from 0 to 1, by which all places are moved, so that several gateways do not ask at the same moments.
    """

    def __init__(self, period: float, shift: float) -> None:
        self._period = period
        self._shift = shift
        self._next: dict[UUID, float] = {}
        self._failures: dict[UUID, int] = {}
        self._all = True

    def all_at_once(self) -> None:
        """Let everything be due that did not fail last time; in the beginning it is so anyway."""
        self._all = True

    def due(self, registries: Collection[UUID], healthy: Collection[UUID], now: float) -> list[UUID]:
        """Return those whose time has come and give them their next one; what is not among `registries` is forgotten.

        Args:
            registries: all that there are; a new one was fetched when it was registered, and takes its place now.
            healthy: those whose last fetch, of whomever, succeeded: no pause holds them any more.
            now: the time.
        """
        self._failures = {uuid: count for uuid, count in self._failures.items() if uuid in registries}
        for uuid in self._failures.keys() & set(healthy):
            self.reset(uuid, now)
        self._next = {uuid: self._time_of(uuid, now) for uuid in registries}
        self._all = False
        found = sorted((uuid for uuid, time in self._next.items() if time <= now), key=self._next.__getitem__)
        self._next |= {uuid: self._place_after(uuid, now) for uuid in found}
        return found

    def succeeded(self, uuid: UUID) -> None:
        """Note a fetch that went well."""
        self._failures.pop(uuid, None)

    def failed(self, uuid: UUID, now: float) -> None:
        """Note a failure: the registry is left alone for twice as long each time, up to ten minutes."""
        count = self._failures[uuid] = self._failures.get(uuid, 0) + 1
        pause = min(self._period * 2 ** min(count - 1, _DOUBLINGS), LONGEST_PAUSE)
        next_place = self._place_after(uuid, now)
        turns = max(0, math.floor((now + pause - next_place) / self._period))
        self._next[uuid] = next_place + turns * self._period

    def is_suspect(self, uuid: UUID) -> bool:
        """Tell whether the last fetch failed, so that the next one is likely to do so too."""
        return uuid in self._failures

    def reset(self, uuid: UUID, now: float) -> None:
        """End a pause: the next time is that of the registry's place again."""
        if self._failures.pop(uuid, None):
            self._next[uuid] = self._place_after(uuid, now)

    def _time_of(self, uuid: UUID, now: float) -> float:
        if self._all and uuid not in self._failures:
            return now
        return self._next.get(uuid) or self._place_after(uuid, now)

    def _place_after(self, uuid: UUID, now: float) -> float:
        """Return the first time after `now` at which it is this registry's turn."""
        place = ((uuid.int % _PLACES) / _PLACES + self._shift) % 1.0 * self._period
        turns = math.floor((now - place) / self._period) + 1
        time = place + turns * self._period
        return time if time > now else time + self._period
