"""Which repository URLs may be registered."""

from collections.abc import Sequence
from pathlib import Path

__all__ = ["check_url"]


def check_url(url: str, *, platform: str, allow_private: bool, allow_file: Sequence[Path]) -> None:
    """Check."""
    raise RuntimeError
