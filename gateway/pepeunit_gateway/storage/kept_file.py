"""Small JSON objects that are kept between starts, readable by the gateway's user only."""

import json
from pathlib import Path
from typing import Any

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage.whole_file import written_whole

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
    with written_whole(path) as new:
        new.write_text(json.dumps(values, indent=4))
