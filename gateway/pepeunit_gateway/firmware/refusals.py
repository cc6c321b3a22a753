"""Commits that cannot be packed as they are, remembered for a while: to find it out may take seconds."""

from pathlib import Path

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.lru import Lru

__all__ = ["Refusals", "UnfitError"]

_REMEMBERED = 300.0  # seconds; a slow disk or a full processor may have been the reason after all
_MOST = 512


class UnfitError(GitRepoError):
    """The commit is as it is: asking again soon does not help, another commit does."""


class Refusals:
    """The last refusals, by the file that could not be made. Times are in seconds of one clock."""

    def __init__(self) -> None:
        self._known: Lru[Path, tuple[float, str]] = Lru(_MOST)

    def check(self, path: Path, now: float) -> None:
        """Refuse what was refused in the last five minutes.

        Raises:
            UnfitError: as it was noted.
        """
        known = self._known.get(path)
        if known is not None and now < known[0] + _REMEMBERED:
            raise UnfitError(known[1])

    def note(self, path: Path, error: UnfitError, now: float) -> None:
        """Remember a refusal."""
        self._known.put(path, (now, error.message))

    def forget(self, folder: Path) -> None:
        """Forget those of one registry."""
        self._known.drop_where(lambda path: path.parent == folder)
