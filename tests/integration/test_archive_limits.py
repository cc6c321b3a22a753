"""What strangers' commits may take of the gateway: few are packed at once, and a refusal is found out once."""

import asyncio
import os
import threading
import time
import zlib
from collections import Counter
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware import archives as archives_module
from pepeunit_gateway.firmware import assembling, refusals, stems, trees
from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from pepeunit_gateway.firmware.stems import Stem
from tests.support.git_server import GitServer
from tests.support.packed_program import ENV, SCHEMA, content
from tests.support.repository import MIB, ServedRepository

TAR, ZIP, TGZ = ArchiveFormat.tar(), ArchiveFormat.zip(), ArchiveFormat.tgz()


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        repository = ServedRepository(tmp_path, server)
        yield repository
        await repository.close()


@pytest.fixture
async def archives(repository):
    cache = ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=MIB)
    yield cache
    await cache.close()


async def push_many(repository, count):
    commits = []
    for number in range(count):
        repository.tree.write("main.py", f"print({number})\n")
        commits.append(repository.tree.commit(f"number {number}"))
    repository.tree.push()
    await repository.sync()
    return commits


def unnamed_files(folder):
    """The temporary files below a folder that this process has open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(descriptor.readlink())
    return [path for path in found if path.name.endswith(" (deleted)") and path.is_relative_to(folder)]


async def test_few_commits_are_packed_at_once_and_one_of_each_registry(repository, archives, monkeypatch):
    commits = await push_many(repository, 4)
    others = [uuid4() for _ in range(2)]
    for other in others:
        await repository.mirrors.sync(other, repository.url, None)
    packing, peaks, unnamed = Counter(), [], []
    original_plan, original_write = archives_module.pack_tree, trees.PackPlan.write

    async def plan(history, mirror, *arguments, **options):
        packing[mirror] += 1
        peaks.append(packing.copy())
        made = await original_plan(history, mirror, *arguments, **options)
        packing[mirror] -= 1
        return made

    def write(made, *arguments):
        unnamed.append(len(unnamed_files(repository.folder / "archives")))
        return original_write(made, *arguments)

    monkeypatch.setattr(archives_module, "pack_tree", plan)
    monkeypatch.setattr(trees.PackPlan, "write", write)
    builds = [
        archives.build(each, commit, ENV, SCHEMA, TAR) for each in (repository.registry, *others) for commit in commits
    ]
    await asyncio.gather(*builds)
    assert len(unnamed) == 12
    assert max(sum(peak.values()) for peak in peaks) == 2
    assert max(max(peak.values()) for peak in peaks) == 1
    assert 1 <= max(unnamed) <= 2, "in the folder of the cache"


async def test_units_that_wait_for_a_large_stem_read_it_once(repository, archives, monkeypatch):
    await repository.sync()
    monkeypatch.setattr(stems, "_KEPT", 100)
    loaded, original = [], assembling.load_stem
    monkeypatch.setattr(assembling, "load_stem", lambda *args: (loaded.append(1), original(*args))[1])
    envs = [b"%d" % number for number in range(6)]
    await asyncio.gather(*(content(archives, repository, repository.first, TGZ, env) for env in envs))
    assert len(loaded) == 1


def names_of(repository, registry):
    folder = repository.folder / "archives" / str(registry)
    return sorted(path.name.partition(".2.")[2] for path in folder.iterdir())


VARIANTS = [ArchiveFormat.tgz(window, level) for window in range(9, 16) for level in range(10)]
USUAL = ["tar.stem", "tgz-15-9.stem", "tgz-9-9.stem"]


async def test_a_unit_that_asks_for_every_variant_leaves_a_few_and_drives_out_nobody(repository):
    repository.tree.write("data.bin", os.urandom(20_000))
    commit = repository.tree.commit("large")
    repository.tree.push()
    await repository.sync()
    other = uuid4()
    await repository.mirrors.sync(other, repository.url, None)
    archives = ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=200_000)
    try:
        for fmt in (TAR, TGZ, ZIP):
            (await archives.build(other, commit, ENV, SCHEMA, fmt)).close()
        for fmt in VARIANTS:
            assert await content(archives, repository, commit, fmt)
            found = names_of(repository, repository.registry)
            assert len([name for name in found if name.endswith(".rare")]) <= 4
            assert names_of(repository, other) == ["tar.stem", "tgz-9-9.stem", "zip.stem"]
        assert {*USUAL} <= {*found}, "the usual ones stay"
    finally:
        await archives.close()


async def test_variants_that_are_asked_for_at_once_are_all_made(repository, archives):
    await repository.sync()
    made = await asyncio.gather(*(content(archives, repository, repository.first, fmt) for fmt in VARIANTS))
    for fmt, data in zip(VARIANTS, made, strict=True):
        assert zlib.decompress(data, fmt.wbits).count(b"./main.py") == 1
    await archives.clean({repository.registry}, now=time.time())
    assert len([name for name in names_of(repository, repository.registry) if name.endswith(".rare")]) == 4


async def test_rare_variants_take_no_memory_from_the_usual_ones(repository, archives, monkeypatch):
    await repository.sync()
    usual = await content(archives, repository, repository.first, TGZ)
    loaded, original = [], assembling.load_stem
    monkeypatch.setattr(assembling, "load_stem", lambda *args: (loaded.append(1), original(*args))[1])
    monkeypatch.setattr(Stem, "weight", property(lambda _: 2 * MIB))
    for fmt in VARIANTS[:9]:
        await content(archives, repository, repository.first, fmt)
    assert len(loaded) == 9
    assert await content(archives, repository, repository.first, TGZ) == usual
    assert len(loaded) == 9, "it is still there"


def count_readings(monkeypatch):
    read, original = [], trees.parse_pepeignore
    monkeypatch.setattr(trees, "parse_pepeignore", lambda data: (read.append(1), original(data))[1])
    return read


async def refused(archives, repository, commit, fmt, hint):
    with pytest.raises(GitRepoError, match=hint) as caught:
        await archives.build(repository.registry, commit, ENV, SCHEMA, fmt)
    assert caught.value.status == 422


async def test_a_commit_that_cannot_be_packed_is_found_out_once_and_the_next_one_at_once(
    repository, archives, monkeypatch
):
    repository.tree.write(".pepeignore", "a\n[\n")
    commit = repository.tree.commit("broken")
    repository.tree.push()
    await repository.sync()
    read = count_readings(monkeypatch)
    for fmt in (TGZ, TAR, ZIP, TGZ):
        await refused(archives, repository, commit, fmt, "line 2")
    assert len(read) == 1
    assert await content(archives, repository, repository.first, TGZ), "other commits are packed"
    monkeypatch.setattr(refusals, "_REMEMBERED", -1.0)
    await refused(archives, repository, commit, TAR, "line 2")
    assert len(read) == 3


async def test_patterns_that_take_too_long_are_refused_once(repository, archives, monkeypatch):
    repository.tree.write(".pepeignore", "a\n")
    commit = repository.tree.commit("slow")
    repository.tree.push()
    await repository.sync()
    read = count_readings(monkeypatch)
    monkeypatch.setattr(trees, "_SELECT_LIMIT", -1.0)
    for _ in range(3):
        await refused(archives, repository, commit, TAR, "takes more than")
    assert len(read) == 1


async def test_what_git_could_not_read_is_asked_for_again(repository, archives):
    commit = repository.tree.commit("not here yet")
    await repository.sync()
    await refused(archives, repository, commit, TAR, "no commit")
    repository.tree.push()
    await repository.sync()
    assert await content(archives, repository, commit, TAR)


async def test_a_closed_cache_ends_the_choice_of_files(repository, archives, monkeypatch):
    await repository.sync()
    choosing = threading.Event()

    def endless(_spec, _files, check):
        choosing.set()
        while not threading.Event().wait(0.001):
            check()

    monkeypatch.setattr(trees, "apply_ignore", endless)
    build = asyncio.create_task(content(archives, repository, repository.first, TAR))
    await asyncio.to_thread(choosing.wait, 30)
    async with asyncio.timeout(5):
        await archives.close()
        with pytest.raises(GitRepoError, match="stopping"):
            await build
