"""Small JSON objects that are kept between starts, readable by the gateway's user only."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pepeunit_gateway.errors import StartError

__all__ = ["read_kept", "write_kept"]


def read_kept(path: Path) -> dict[str, Any]:
    """Return what is kept, or nothing if the file is missing.

    Raises:
        StartError: the file is damaged; it is left as it is.
    """
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise StartError(f"{path} is damaged ({error}); restore it from a backup") from None
    if not isinstance(values, dict):
        raise StartError(f"{path} is damaged; restore it from a backup")
    return values


def write_kept(path: Path, values: dict[str, Any]) -> None:
    """Replace the file at once and for good."""
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        json.dump(values, file, indent=4)
        file.flush()
        os.fsync(file.fileno())
    Path(new).replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
