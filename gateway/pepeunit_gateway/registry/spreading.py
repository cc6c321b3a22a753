"""When each of many units is commanded, so that they do not all download and restart at one moment. Pure.

A few units are commanded at once, 1,000 over PU_UPDATE_SPREAD. Times come in slots of half a second that are the same
for every Repo, so that whoever sends the commands wakes at most twice a second, however many updates are under way.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

__all__ = ["SLOT", "spread"]

SLOT = 0.5
"""Seconds."""

_UNITS_PER_SECOND = 20


def spread(units: Collection[UUID], begin: datetime, longest: float, random: Random) -> dict[UUID, datetime]:
    """Return when each unit is commanded; which unit comes first depends on `random`, never on the order of `units`.

    Args:
        units: each once.
        begin: when the update begins; no time is before it.
        longest: PU_UPDATE_SPREAD in seconds. Fewer units take less: a twentieth of a second each.
        random: shuffles the units.

    Slots hold the same number of units, give or take one. All times are before `begin` plus the seconds taken.
    """
    shuffled = sorted(units)
    random.shuffle(shuffled)
    slots = max(1, int(min(longest, len(shuffled) / _UNITS_PER_SECOND) / SLOT))
    return {unit: _start(begin, place * slots // len(shuffled)) for place, unit in enumerate(shuffled)}


def _start(begin: datetime, slot: int) -> datetime:
    """Return the last common time up to `slot` slots after `begin`: a multiple of the slot's length."""
    time = begin + timedelta(seconds=slot * SLOT)
    return max(begin, time - timedelta(seconds=time.microsecond / 1_000_000 % SLOT))
