"""A disk whose power goes at a chosen effect: before it, in the middle of a write, or right after it."""

from collections.abc import Iterable
from pathlib import Path

from pepeunit.files import Disk

__all__ = ["MOMENTS", "CutDisk", "PowerCut"]

MOMENTS = ("before", "torn", "after")


class PowerCut(BaseException):
    """No handler of the program may catch it: the machine is off."""


class CutDisk(Disk):
    """Counts effects; at effect `number` (from 0) the power goes. Without a number it only counts: the dry run."""

    def __init__(self, number: int | None = None, moment: str = "before") -> None:
        self.effects: list[str] = []
        self._number = number
        self._moment = moment

    def write(self, path: Path, chunks: Iterable[bytes], *, mode: int) -> None:
        def torn() -> Iterable[bytes]:
            whole = b"".join(chunks)
            yield whole[: len(whole) // 2]
            raise PowerCut

        cut_here = len(self.effects) == self._number and self._moment == "torn"
        source = torn() if cut_here else chunks
        self._effect("write", path, lambda: super(CutDisk, self).write(path, source, mode=mode))

    def rename(self, source: Path, target: Path) -> None:
        self._effect("rename", target, lambda: super(CutDisk, self).rename(source, target))

    def remove(self, path: Path) -> None:
        self._effect("remove", path, lambda: super(CutDisk, self).remove(path))

    def make_directory(self, path: Path) -> None:
        self._effect("make", path, lambda: super(CutDisk, self).make_directory(path))

    def remove_directory(self, path: Path) -> None:
        self._effect("remove directory", path, lambda: super(CutDisk, self).remove_directory(path))

    def sync(self, descriptor: int) -> None:
        """The power goes in the program here, not in the machine: what was written stays anyway."""

    def _effect(self, name: str, path: Path, act) -> None:
        here = len(self.effects) == self._number
        self.effects.append(f"{name} {path.name}")
        if here and self._moment == "before":
            raise PowerCut
        act()
        if here:
            raise PowerCut
