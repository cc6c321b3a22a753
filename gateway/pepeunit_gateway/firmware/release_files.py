"""The files of a platform's releases, as far as a unit could fetch them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

__all__ = ["MOST_KEPT", "ReleaseFile", "Releases", "usable_files"]

MOST_KEPT = 1024 * 1024
"""Bytes of the column releases_data; a page of registries may have 500 of them."""

_MAX_NAME = 255
_MAX_LINK = 2_048


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file of a release: for compiled programs the name is a platform of units, the link is where they fetch it."""

    name: str
    link: str


Releases: TypeAlias = dict[str, tuple[ReleaseFile, ...]]
"""Files by tag, newest release first."""


def usable_files(found: Iterable[tuple[str, str]]) -> tuple[ReleaseFile, ...]:
    """Return the files, names with their links, without those that no unit could ask for or fetch."""
    return tuple(ReleaseFile(name, link) for name, link in found if _is_named(name) and _is_fetched(link))


def _is_named(name: str) -> bool:
    return 0 < len(name) <= _MAX_NAME and name.isprintable()


def _is_fetched(link: str) -> bool:
    if len(link) > _MAX_LINK or not link.isprintable() or " " in link:
        return False
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
