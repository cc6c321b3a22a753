"""Completing an update that was cut, before any code of the unit runs."""

from pathlib import Path

from .files import Disk
from .switch import carry_out, discard_staged, read_journal

__all__ = ["recover"]


def recover(directory: str | Path, disk: Disk | None = None) -> bool:
    """Complete a switch that was begun in a unit's directory; throw away a download that was not completed.

    True if something was completed: a program that already runs must start again, so that all its code is the new one.
    May be cut and called again at any point. Raises SwitchError if the journal was damaged by hand.
    """
    place = Path(directory)
    disk = disk or Disk()
    switch = read_journal(place)
    if switch is None:
        discard_staged(disk, place)
        return False
    carry_out(disk, place, switch)
    return True
