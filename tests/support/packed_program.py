"""A program with everything that archives are about, and archives of it read to their end."""

import hashlib
from typing import Any

import pytest

from pepeunit_gateway.firmware import trees
from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from tests.support.git_server import WorkTree
from tests.support.repository import ServedRepository

__all__ = ["ENV", "SCHEMA", "content", "count_packings", "expected", "push_program"]

ENV, SCHEMA = b'{"PU_COMMIT_VERSION": "x"}\n', b'{"input_topic": {}}\n'
LONG = "/".join(["deep" * 5] * 5) + "/module.py"


async def push_program(repository: ServedRepository) -> str:
    """Push files of every kind; the commit."""
    tree = repository.tree
    tree.write("lib/driver.py", "x = 1\n" * 1_000)
    tree.write(LONG, "deep\n")
    tree.write("run.sh", "#!/bin/sh\n")
    (tree.folder / "run.sh").chmod(0o755)
    (tree.folder / "link").symlink_to("/etc/passwd")
    tree.write("env.json", '{"PU_AUTH_TOKEN": "of somebody"}')
    tree.write("docs/guide.md", "long text\n")
    tree.write("empty.py", "")
    tree.write(".pepeignore", "docs/\n*.sh~\n")
    tree.write(".gitattributes", "main.py export-ignore\n")
    commit = tree.commit("program")
    tree.push()
    await repository.sync()
    return commit


async def content(
    archives: ArchiveCache, repository: ServedRepository, commit: str, fmt: ArchiveFormat, env: bytes = ENV
) -> bytes:
    """The bytes of an archive, after its size and digest were found right."""
    archive = await archives.build(repository.registry, commit, env, SCHEMA, fmt)
    async with archive:
        data = await archive.read()
    assert archive.size == len(data)
    assert archive.digest == hashlib.sha256(data).digest()
    return data


def expected(tree: WorkTree) -> dict[str, bytes]:
    """What an archive of that program holds."""
    files = {
        path.relative_to(tree.folder).as_posix(): path.read_bytes()
        for path in tree.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and not {".git", "docs"} & set(path.relative_to(tree.folder).parts)
    }
    return {**files, "env.json": ENV, "schema.json": SCHEMA}


def count_packings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by one whenever a commit is packed."""
    packed: list[int] = []

    def write(plan: trees.PackPlan, *args: Any) -> int:
        packed.append(1)
        return original(plan, *args)

    original = trees.PackPlan.write
    monkeypatch.setattr(trees.PackPlan, "write", write)
    return packed
