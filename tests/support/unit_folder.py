"""What lies in a unit's folder while the unit works in it: its own comings and goings are not looked at."""

import os
from pathlib import Path

__all__ = ["live_files", "live_paths"]

_OWN = {".pepeunit", "__pycache__"}


def live_paths(folder: Path) -> set[str]:
    """Every file that is neither the SDK's own nor bytecode nor a log."""
    found = set()
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _OWN]
        found |= {str((Path(place) / name).relative_to(folder)) for name in files if not name.startswith("log.json")}
    return found


def live_files(folder: Path) -> dict[str, bytes]:
    """The contents of every file of `live_paths`."""
    return {name: (folder / name).read_bytes() for name in sorted(live_paths(folder))}
