"""How a person calls this program: its name, or its path where the shell would not find the name."""

import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["called"]

_NAME = "pepeunit"


def called(path: str | None = None) -> str:
    """Return what to type for `pepeunit`, quoted for a shell; `path` is PATH, the process's own if absent."""
    running = Path(sys.argv[0])
    if running.name != _NAME or not running.is_file() or _found(path) == running.resolve():
        return _NAME
    return shlex.quote(str(running.absolute()))


def _found(path: str | None) -> Path | None:
    found = shutil.which(_NAME, path=path)
    return Path(found).resolve() if found else None
