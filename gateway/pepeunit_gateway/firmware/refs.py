"""The published state of a mirror: its branches and tags at the end of the last successful sync.

Readers look at this one file, which a sync replaces by a rename at its very end. A sync that was killed half-way has
therefore changed nothing that anybody sees (W19).
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from pepeunit_gateway.errors import RepositoryRegistryError

__all__ = ["REFS_FILE", "Refs", "load_refs", "parse_show_ref", "publish_refs", "require_bounded"]

REFS_FILE = "pepeunit-refs.json"
_HEADS = "refs/heads/"
_TAGS = "refs/tags/"
_PEELED = "^{}"
_OBJECT = re.compile(rb"[0-9a-f]{40}")
_MAX_REFS = 5_000
_MAX_NAMES = 512 * 1024


@dataclass(frozen=True)
class Refs:
    """Branch -> commit and tag -> commit (40 hex each); a tag of something else than a commit is on no branch."""

    heads: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def number(self) -> int:
        """How many there are, branches and tags."""
        return len(self.heads) + len(self.tags)

    @cached_property
    def tag_of(self) -> Mapping[str, str]:
        """Commit -> its tag; of several the lexicographically smallest name (protocol/firmware.md 7.4)."""
        return MappingProxyType({commit: name for name, commit in sorted(self.tags.items(), reverse=True)})

    @cached_property
    def key(self) -> str:
        """A fingerprint: equal states, equal keys."""
        return hashlib.sha256(_dump(self)).hexdigest()


def parse_show_ref(output: bytes) -> Refs:
    """Read `git show-ref --dereference`. Names that are not UTF-8 cannot be shown or typed and are left out."""
    heads: dict[str, str] = {}
    tags: dict[str, str] = {}
    for line in output.split(b"\n"):
        commit, _, raw = line.partition(b" ")
        if not _OBJECT.fullmatch(commit):
            continue
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            continue
        if name.startswith(_HEADS):
            heads[name.removeprefix(_HEADS)] = commit.decode()
        elif name.startswith(_TAGS):  # the peeled line follows its tag and wins
            tags[name.removeprefix(_TAGS).removesuffix(_PEELED)] = commit.decode()
    return Refs(dict(sorted(heads.items())), dict(sorted(tags.items())))


def require_bounded(refs: Refs) -> None:
    """Refuse more branches and tags than may be listed in one answer, to strangers too.

    Raises:
        RepositoryRegistryError: more than 5,000, or than 512 KiB of names in UTF-8.
    """
    if refs.number > _MAX_REFS:
        raise RepositoryRegistryError(
            f"The repository has {refs.number} branches and tags, more than {_MAX_REFS}; delete those that no unit "
            "needs"
        )
    size = sum(len(name.encode()) for names in (refs.heads, refs.tags) for name in names)
    if size > _MAX_NAMES:
        raise RepositoryRegistryError(
            f"The names of the repository's branches and tags take {size} bytes, more than {_MAX_NAMES}; delete those "
            "that no unit needs or shorten them"
        )


def load_refs(mirror: Path) -> Refs | None:
    """Return what was published, or None when the mirror has never been completed."""
    try:
        document = json.loads((mirror / REFS_FILE).read_bytes())
        return Refs(_named(document["heads"]), _named(document["tags"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def publish_refs(mirror: Path, refs: Refs) -> None:
    """Replace the published state in one step that survives a power cut."""
    temporary = mirror / f"{REFS_FILE}.new"
    with temporary.open("wb") as file:
        file.write(_dump(refs))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(mirror / REFS_FILE)


def _named(objects: object) -> dict[str, str]:
    if not isinstance(objects, dict) or not all(isinstance(item, str) for pair in objects.items() for item in pair):
        raise TypeError(objects)
    return objects


def _dump(refs: Refs) -> bytes:
    return json.dumps({"heads": dict(refs.heads), "tags": dict(refs.tags)}, sort_keys=True).encode()
