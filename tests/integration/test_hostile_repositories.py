"""Every repository of the hostile corpus: harmless or a clear error, and nothing outside is touched."""

import asyncio
import io
import os
import sys
import tarfile
import tempfile
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from pepeunit_gateway.errors import ApiError
from pepeunit_gateway.firmware import history
from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from pepeunit_gateway.firmware.env import parse_env_example
from pepeunit_gateway.firmware.folders import remove_folder
from pepeunit_gateway.firmware.mirrors import MirrorCache
from pepeunit_gateway.firmware.schema import parse_schema_example
from tests.support.git_server import GitServer
from tests.support.hostile_bombs import ENDLESS_TREE
from tests.support.hostile_repositories import REPOSITORIES
from tests.support.raw_git_server import RawGitServer
from tests.support.raw_repository import RawRepository
from tests.support.repository import MIB
from tests.support.watching import Record, Watch, recorded

MAX_SIZE = 8 * MIB
ENV, SCHEMA = b'{"PU_COMMIT_VERSION": "x"}\n', b'{"input_topic": {}}\n'
UNTAR = Path(__file__).parent.parent / "support" / "minimal_untar.py"
FORMATS = (ArchiveFormat.tar(), ArchiveFormat.zip(), ArchiveFormat.tgz(9, 9))
READING = {"cat-file", "ls-tree", "rev-list", "merge-base"}
WRITING = {"init", "fetch", "show-ref", "ls-remote", "repack"}
NAMES_OF_ENVIRONMENT = ("PATH", "HOME", "LC_ALL", "GIT_")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with GitServer(tmp_path_factory.mktemp("served")) as running:
        yield running


@dataclass
class World:
    """Where a hostile repository is served, synced, packed and unpacked; `outside` is what it points to."""

    folder: Path
    server: GitServer

    def __post_init__(self):
        self.registry = uuid4()
        self.outside = self.folder / "outside"
        self.outside.mkdir()
        (self.outside / "secret.txt").write_text("canary")
        marker = self.outside / "marker"
        marker.write_text(f"#!/bin/sh\ntouch {self.outside}/was-run\n")
        marker.chmod(0o755)
        self.raw = RawRepository(self.server.bare(str(self.registry)), self.outside)
        self.url = self.server.url(str(self.registry))
        self.mirrors = MirrorCache(
            self.folder / "mirrors",
            max_size=MAX_SIZE,
            allow_private=True,
            allow_file=(self.server.root,),
            timeout=60,
        )
        self.archives = ArchiveCache(self.folder / "archives", self.mirrors, max_bytes=MAX_SIZE)

    def beside(self):
        """What lies in the world's folder but for what belongs there; the folder of temporary files is empty again."""
        own = ("mirrors", "archives", "desk")
        return sorted(path for path in self.folder.rglob("*") if path.relative_to(self.folder).parts[0] not in own)

    async def sync(self):
        return await self.mirrors.sync(self.registry, self.url, None)

    async def archive(self, fmt, commit=None):
        commit = commit or self.mirrors.head(self.registry, "main")
        async with await self.archives.build(self.registry, commit, ENV, SCHEMA, fmt) as archive:
            return await archive.read()

    async def examples(self):
        """Read what a unit is made of, as the registry does."""
        head = self.mirrors.head(self.registry, "main")
        read = self.mirrors.read_file
        parse_env_example(await read(self.registry, head, "env_example.json"))
        parse_schema_example(await read(self.registry, head, "schema_example.json"))

    async def questions(self, branch):
        """Ask what lists and version resolution ask."""
        registry, mirrors = self.registry, self.mirrors
        pages = [await mirrors.commits(registry, branch, offset=0, limit=50, only_tag=tags) for tags in (False, True)]
        assert all(len(commit.summary) <= 4_096 for page in pages for commit in page)
        assert mirrors.head(registry, branch) == pages[0][0].commit
        await mirrors.newest_tagged(registry, branch)
        for commit in (pages[0][0].commit, pages[0][-1].commit):
            assert await mirrors.contains(registry, branch, commit)
        assert not await mirrors.contains(registry, branch, "0" * 40)


@pytest.fixture
async def world(tmp_path: Path, server: GitServer, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    made = World(tmp_path, server)
    yield made
    await made.archives.close()
    await made.mirrors.close()
    remove_folder(tmp_path / "mirrors")  # after a failure it may be deeper than pytest can clean up


async def expect(act, hint):
    """Await `act`; with a hint it must fail with a clear error that says so."""
    if not hint:
        return await act
    with pytest.raises(ApiError, match=hint) as caught:
        await act
    assert len(caught.value.message) < 1_500
    assert caught.value.message.isprintable()
    return None


async def unpack(data, folder, *, minimal):
    """Unpack a tar in a folder of its own and return what is there."""
    folder.mkdir()
    if minimal:
        (folder.parent / "packed.tar").write_bytes(data)
        device = await asyncio.create_subprocess_exec(
            sys.executable, str(UNTAR), str(folder.parent / "packed.tar"), "tar", "0", cwd=folder
        )
        assert await asyncio.wait_for(device.wait(), 30) == 0
    else:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(folder)  # noqa: S202 - that nothing escapes is what is tested
    found = [path for path in folder.rglob("*") if not path.is_dir()]
    assert not any(path.is_symlink() for path in found)
    return {os.fsencode(path.relative_to(folder)): path.read_bytes() for path in found}


async def check_archives(world, files):
    """Every format holds what is expected, whoever unpacks it, and nothing lands beside the folder."""
    tar, zipped, tgz = [await world.archive(fmt) for fmt in FORMATS]
    assert zlib.decompress(tgz, 9) == tar
    assert b"canary" not in tar
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as opened:
        assert all(name.startswith("./") for name in opened.getnames())
    desk = world.folder / "desk"
    desk.mkdir()
    expected = {**files, b"env.json": ENV, b"schema.json": SCHEMA}
    assert await unpack(tar, desk / "tar", minimal=True) == expected
    assert await unpack(zipped, desk / "zip", minimal=False) == expected
    assert {path.name for path in desk.iterdir()} == {"tar", "zip", "packed.tar"}


async def go_through(world, case, files):
    """Sync, ask, read, pack, unpack, sync again and remove."""
    mirrors, registry = world.mirrors, world.registry
    await expect(world.sync(), case.sync)
    if not case.sync:
        branches = await mirrors.branches(registry)
        assert case.branches in (None, frozenset(branches))
        for branch in branches[: 30 if len(branches) < 30 else 3]:
            await world.questions(branch)
        if "main" in branches:
            await expect(world.examples(), case.examples)
            if case.archive:
                for fmt in FORMATS:
                    await expect(world.archive(fmt), case.archive)
            else:
                await check_archives(world, files)
        assert not (await world.sync()).changed
    await mirrors.remove(registry)
    assert list((world.folder / "mirrors").iterdir()) == []


def check_record(record: Record, world: World):
    """What the gateway opened lies in its caches; what it started is git, in a clean environment."""
    allowed = [world.folder / name for name in ("mirrors", "archives", "desk", "scratch")]
    allowed += [Path(place) for place in {sys.prefix, sys.base_prefix, Path(__file__).parent.parent.parent}]
    for path in record.touched:
        inside = any(Path(path).is_relative_to(root) for root in allowed)
        assert inside or path.startswith("/dev/") or not path.startswith("/"), path
        assert not Path(path).is_relative_to(world.outside), path
    for arguments, environment in record.started:
        if str(UNTAR) in arguments:
            continue
        git = next(number for number, word in enumerate(arguments) if word == "git" or word.endswith("/git"))
        command = next(word for word in arguments[git + 1 :] if not word.startswith("-"))
        assert command in READING | WRITING, arguments
        assert all(name.startswith(NAMES_OF_ENVIRONMENT) for name in environment), environment
        assert environment["GIT_ALLOW_PROTOCOL"] == ("" if command in READING else "http")
        assert environment["HOME"] == "/nonexistent"


@pytest.mark.parametrize("name", REPOSITORIES)
async def test_a_hostile_repository_is_harmless_or_told_and_touches_nothing_outside(world, name):
    case = REPOSITORIES[name]
    files = case.build(world.raw)
    files = files if isinstance(files, dict) else case.files
    with ExitStack() as stack:
        if case.unchecked:
            world.url = stack.enter_context(RawGitServer(world.raw)).url
        beside = world.beside()
        watch, record = stack.enter_context(Watch(world.outside)), stack.enter_context(recorded())
        async with asyncio.timeout(60):
            await go_through(world, case, files)
        assert watch.events() == []
    assert world.beside() == beside
    check_record(record, world)
    assert record.started


async def test_a_tree_without_end_is_given_up_and_others_are_served(world, monkeypatch):
    ENDLESS_TREE.build(world.raw)
    await world.sync()
    monkeypatch.setattr(history, "_READ_LIMIT", 1.0)
    await expect(world.archive(ArchiveFormat.tar()), ENDLESS_TREE.archive)
    await world.questions("main")
