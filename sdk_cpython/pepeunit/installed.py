"""Which version is installed, kept apart from env.json, which always names the *target* (S3, S4).

`.pepeunit/installed.json` is written last when a version has become complete, and by nothing else but the very first
start, which believes the env.json that came with the program.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from .files import PRIVATE_FILE, Disk, replace_file

__all__ = ["INSTALLED_FILE", "PRIVATE_FOLDER", "Installed", "read_installed", "write_installed"]

PRIVATE_FOLDER = ".pepeunit"
INSTALLED_FILE = f"{PRIVATE_FOLDER}/installed.json"


@dataclass(frozen=True)
class Installed:
    """The commit that runs, and the files it brought (posix paths; empty as long as no update has come)."""

    commit: str
    files: tuple[str, ...] = ()


def read_installed(directory: Path) -> Installed | None:
    """What is installed; None before the first start. A file that makes no sense means no known version."""
    try:
        values = json.loads((directory / INSTALLED_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return Installed(commit="")
    if not isinstance(values, dict):
        return Installed(commit="")
    commit = values.get("commit")
    files = values.get("files")
    return Installed(
        commit=commit if isinstance(commit, str) else "",
        files=tuple(name for name in files if isinstance(name, str)) if isinstance(files, list) else (),
    )


def write_installed(disk: Disk, directory: Path, installed: Installed, name: str = INSTALLED_FILE) -> None:
    """Write `installed` in one rename: as the truth, or under another name for later."""
    disk.make_directory(directory / PRIVATE_FOLDER)
    data = json.dumps({"commit": installed.commit, "files": list(installed.files)}, indent=1).encode()
    replace_file(disk, directory / name, data, mode=PRIVATE_FILE)
