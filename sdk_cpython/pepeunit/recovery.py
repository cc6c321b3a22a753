"""Completing an update that was cut, before any code of the unit runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from .installed import PRIVATE_FOLDER

if TYPE_CHECKING:
    from .files import Disk

__all__ = ["RESTART_EXIT_CODE", "recover"]

# A program ends with this code when it must be started again at once: a new version is in place.
RESTART_EXIT_CODE = 75


def recover(directory: str | Path, disk: "Disk | None" = None) -> bool:
    """Complete a switch that was begun in a unit's directory; throw away a download that was not completed.

    True if something was completed: a program that already runs must start again, so that all its code is the new one.
    May be cut and called again at any point. Raises SwitchError if the journal was damaged by hand.
    """
    place = Path(directory)
    if not (place / PRIVATE_FOLDER).is_dir():
        return False
    from .files import Disk  # imported here, as everything that only updates need, to keep `import pepeunit` light
    from .switch import carry_out, discard_staged, read_journal

    disk = disk or Disk()
    switch = read_journal(place)
    if switch is None:
        discard_staged(disk, place)
        return False
    carry_out(disk, place, switch)
    return True
