"""Every change that the SDK makes to files, one effect per method, so that a test can cut the power at each of them."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

__all__ = ["BESIDE", "PRIVATE_DIRECTORY", "PRIVATE_FILE", "PUBLIC_FILE", "Disk", "remove_tree", "replace_file"]

# Ends the name of a file that is being written and will take the place of another.
BESIDE = ".tmp"
PRIVATE_FILE = 0o600
PUBLIC_FILE = 0o644
PRIVATE_DIRECTORY = 0o700


class Disk:
    """The effects. What a method wrote is on the disk, not only in a cache, when it returns."""

    def write(self, path: Path, chunks: Iterable[bytes], *, mode: int) -> None:
        """Write a file from its beginning; a cut leaves a part of it, so never do this to a file in use."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            self.sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put `source` in the place of `target`: whoever looks sees the old or the new, never neither."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is gone is fine."""
        path.unlink(missing_ok=True)

    def make_directory(self, path: Path) -> None:
        """Make one directory, readable for its owner alone if it begins with a dot; one that exists is fine."""
        path.mkdir(mode=PRIVATE_DIRECTORY if path.name.startswith(".") else 0o755, exist_ok=True)

    def remove_directory(self, path: Path) -> None:
        """Remove a directory if it is empty; one that is gone or not empty stays as it is."""
        with suppress(OSError):
            path.rmdir()

    def sync_directory(self, path: Path) -> None:
        """Bring renames and removals in a directory to the disk, where the file system can."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with suppress(OSError):
                self.sync(descriptor)
        finally:
            os.close(descriptor)

    def sync(self, descriptor: int) -> None:
        """Wait until an open file or directory is on the disk."""
        os.fsync(descriptor)


def replace_file(disk: Disk, path: Path, data: bytes, *, mode: int) -> None:
    """Give `path` new contents: written beside it, then renamed. A cut leaves the old file or the new one."""
    beside = path.with_name(path.name + BESIDE)
    disk.write(beside, (data,), mode=mode)
    disk.rename(beside, path)
    disk.sync_directory(path.parent)


def remove_tree(disk: Disk, path: Path) -> None:
    """Remove a directory with all it holds; links in it are removed, never followed. Absent is fine."""
    for folder, names, files in os.walk(path, topdown=False, followlinks=False):
        for name in files:
            disk.remove(Path(folder, name))
        for name in names:
            if Path(folder, name).is_symlink():
                disk.remove(Path(folder, name))
        disk.remove_directory(Path(folder))
