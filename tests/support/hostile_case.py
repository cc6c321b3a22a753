"""What a hostile repository is, and what is expected of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.support.raw_repository import PROGRAM, RawRepository

__all__ = ["Case"]


@dataclass(frozen=True, slots=True)
class Case:
    """One repository. Texts are regular expressions of what the errors say; empty ones mean that there is no error.

    With `unchecked`, a server sends it that looks at nothing; git's own would refuse to.
    `files` are what an archive of the head of `main` holds beside env.json and schema.json, unless `build` returns it.
    """

    build: Callable[[RawRepository], object]
    sync: str = ""
    archive: str = ""
    examples: str = ""
    unchecked: bool = False
    files: Mapping[bytes, bytes] = field(default_factory=lambda: PROGRAM)
    branches: frozenset[str] | None = frozenset({"main"})
