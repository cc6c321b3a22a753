"""A bare repository written object by object, so that it may hold what no git would make.

    raw = RawRepository(server.bare("x"), outside)
    raw.publish(raw.folder({b"main.py": b"1", b"link": Link(b"/etc/passwd"), b"lib": {b"a.py": b"2"}}))

Objects are loose files; refs stand in `packed-refs`, where any name may be.
"""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

__all__ = ["PROGRAM", "Link", "Mode", "RawRepository", "Submodule"]

SCHEMA = b'{"input_base_topic": [], "output_base_topic": [], "input_topic": [], "output_topic": ["a"]}'
PROGRAM = {b"main.py": b"print(1)\n", b"env_example.json": b"{}", b"schema_example.json": SCHEMA}
"""The files of a harmless program."""

WHEN = b"1700000000 +0000"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: bytes


@dataclass(frozen=True, slots=True)
class Submodule:
    """A commit of another repository, which nobody has."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A file with any mode, in the digits of the tree; `object` instead of content."""

    digits: bytes
    content: bytes = b""
    object: str = ""


Content: TypeAlias = "bytes | Link | Submodule | Mode | Mapping[bytes, Content]"
Row = tuple[bytes, bytes, str]
"""Mode, name and object of a line of a tree."""


class RawRepository:
    """Writes into `folder`, a bare repository that exists; `outside` is where nothing may ever be touched."""

    def __init__(self, folder: Path, outside: Path) -> None:
        self.folder = folder
        self.outside = outside
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.named: dict[bytes, str] = {}

    def write(self, kind: str, data: bytes) -> str:
        """Write an object and return its name; it may be malformed and need not be new."""
        whole = b"%s %d\0" % (kind.encode(), len(data)) + data
        name = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        self.objects[name] = (kind, data)
        path = self.folder / "objects" / name[:2] / name[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(zlib.compress(whole, 1))
        return name

    def blob(self, data: bytes) -> str:
        return self.write("blob", data)

    def tree(self, rows: Sequence[Row]) -> str:
        """Write a tree with these lines in this order."""
        return self.write("tree", b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(sha)) for mode, name, sha in rows))

    def folder_rows(self, content: Mapping[bytes, Content]) -> list[Row]:
        """Write what a folder holds and return its lines as git sorts them."""
        rows = [self._row(name, item) for name, item in content.items()]
        return sorted(rows, key=lambda row: row[1] + (b"/" if row[0] == b"40000" else b""))

    def tree_of(self, content: Mapping[bytes, Content]) -> str:
        """Write a folder and all it holds."""
        return self.tree(self.folder_rows(content))

    def program(self, content: Mapping[bytes, Content] | None = None, *rows: Row) -> str:
        """Write the harmless program with more beside it; `rows` are added as they are."""
        return self.tree([*self.folder_rows({**PROGRAM, **(content or {})}), *rows])

    def _row(self, name: bytes, item: Content) -> Row:
        if isinstance(item, bytes):
            return (b"100644", name, self.blob(item))
        if isinstance(item, Link):
            return (b"120000", name, self.blob(item.target))
        if isinstance(item, Submodule):
            return (b"160000", name, "5" * 40)
        if isinstance(item, Mode):
            return (item.digits, name, item.object or self.blob(item.content))
        return (b"40000", name, self.tree_of(item))

    def commit(
        self,
        tree: str,
        *parents: str,
        message: bytes = b"first\n",
        when: bytes = WHEN,
        author: bytes = b"Maker <maker@example.org>",
        headers: bytes = b"",
    ) -> str:
        """Write a commit; nothing is checked."""
        lines = [b"tree %s" % tree.encode(), *(b"parent %s" % parent.encode() for parent in parents)]
        lines += [b"author %s %s" % (author, when), b"committer %s %s" % (author, when)]
        return self.write("commit", b"\n".join(lines) + b"\n" + headers + b"\n" + message)

    def tag(self, target: str, kind: str, name: bytes = b"v") -> str:
        """Write an annotated tag."""
        data = b"object %s\ntype %s\ntag %s\ntagger Maker <m@example.org> %s\n\nx\n"
        return self.write("tag", data % (target.encode(), kind.encode(), name, WHEN))

    def ref(self, name: bytes, target: str) -> None:
        """Point a full name, e.g. `refs/heads/main`, at an object."""
        self.refs({name: target})

    def refs(self, names: Mapping[bytes, str]) -> None:
        """Point many at once."""
        self.named.update(names)
        lines = (b"%s %s\n" % (target.encode(), name) for name, target in sorted(self.named.items()))
        (self.folder / "packed-refs").write_bytes(b"# pack-refs with: \n" + b"".join(lines))

    def publish(self, tree: str, *parents: str) -> str:
        """Commit a tree as the head of `main`."""
        commit = self.commit(tree, *parents)
        self.ref(b"refs/heads/main", commit)
        return commit
