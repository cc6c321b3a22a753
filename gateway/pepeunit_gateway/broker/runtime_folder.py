"""A short private folder for the socket of a broker whose own folder has too long a name. Source: decisions.md 23."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from pepeunit_gateway.errors import StartError

__all__ = ["make_runtime_folder", "runtime_folder"]

_LONGEST_PARENT = 60  # bytes


def runtime_folder(directory: Path) -> Path:
    """Return the folder that belongs to the broker in `directory`: the same at every start, so none is left over."""
    parent = os.environ.get("XDG_RUNTIME_DIR", "")
    if not parent or not Path(parent).is_dir() or len(os.fsencode(parent)) > _LONGEST_PARENT:
        parent = tempfile.gettempdir()
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(parent) / f"pepeunit-{os.geteuid()}-{name}"


def make_runtime_folder(folder: Path) -> None:
    """Make it with mode 0700, or take it over if it is there, ours and private.

    Raises:
        StartError: somebody else made it, or it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StartError(
            f"The folder for the broker's socket, {folder}, cannot be made: {error.strerror}. "
            "Choose a PU_DATA_DIR with a shorter path."
        ) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
        raise StartError(f"{folder} is not a private folder of this user. Remove it and start again.")
