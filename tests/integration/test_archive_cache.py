"""What is packed once serves all units, all gateways and the next start; nothing of it is believed or needed."""

import asyncio
import io
import os
import shutil
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from pepeunit_gateway.firmware import archive as archive_module
from pepeunit_gateway.firmware import archives as archives_module
from pepeunit_gateway.firmware import assembling, stems
from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat, Cleaned
from tests.support.packed_program import ENV, SCHEMA, content, count_packings, push_program
from tests.support.repository import MIB

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("in_memory", [True, False])
async def test_w49_overlapping_downloads_of_one_unit_are_both_complete(repository, archives, monkeypatch, in_memory):
    """Its env changes in between, so that a mixture of both, or the second in place of the first, is noticed."""
    if not in_memory:
        monkeypatch.setattr(stems, "_KEPT", 100)
        monkeypatch.setattr(archive_module, "_IN_MEMORY", 10)
    commit = await push_program(repository)
    alone = [await content(archives, repository, commit, ArchiveFormat.tgz(), env) for env in (ENV, b'{"later": 1}')]
    first = await archives.build(repository.registry, commit, ENV, SCHEMA, ArchiveFormat.tgz())
    async with first:
        reading = first.chunks(chunk_size=10)
        begun = await anext(reading)
        second = await archives.build(repository.registry, commit, b'{"later": 1}', SCHEMA, ArchiveFormat.tgz())
        async with second:
            complete = await second.read()
        rest = [part async for part in reading]
    assert [begun + b"".join(rest), complete] == alone
    assert zlib.decompress(complete, 9).count(b"./main.py") == 1


async def test_w49_many_builds_at_once_pack_the_commit_once_and_keep_units_apart(repository, archives, monkeypatch):
    commit = await push_program(repository)
    packed = count_packings(monkeypatch)
    envs = [b'{"unit": %d}\n' % number for number in range(12)]
    built = await asyncio.gather(*(content(archives, repository, commit, ArchiveFormat.tgz(), env) for env in envs))
    assert len(packed) == 1
    for env, data in zip(envs, built, strict=True):
        with tarfile.open(fileobj=io.BytesIO(zlib.decompress(data, 9)), mode="r:") as archive:
            assert archive.extractfile("./env.json").read() == env


@pytest.mark.parametrize("fmt", [ArchiveFormat.tar(), ArchiveFormat.tgz(), ArchiveFormat.zip()])
async def test_the_cache_may_be_deleted_or_damaged_at_any_time(repository, archives, fmt):
    commit = await push_program(repository)
    root = repository.folder / "archives"
    whole = await content(archives, repository, commit, fmt)
    shutil.rmtree(root)
    assert await content(archives, repository, commit, fmt) == whole, "from memory"
    for damage in (
        lambda data: data[:700],
        lambda _: b"",
        lambda data: b"x" * len(data),
        lambda data: data[:-1] + b"x",
    ):
        again = ArchiveCache(root, repository.mirrors, max_bytes=MIB)
        assert await content(again, repository, commit, fmt) == whole
        for path in root.rglob("*.stem"):
            path.write_bytes(damage(path.read_bytes()))
    again = ArchiveCache(root, repository.mirrors, max_bytes=MIB)
    assert await content(again, repository, commit, fmt) == whole


async def test_a_download_of_a_stem_on_disk_survives_the_deletion_of_the_cache(repository, archives, monkeypatch):
    monkeypatch.setattr(stems, "_KEPT", 100)
    commit = await push_program(repository)
    for fmt in (ArchiveFormat.tar(), ArchiveFormat.tgz(25, 1), ArchiveFormat.zip()):
        whole = await content(archives, repository, commit, fmt)
        async with await archives.build(repository.registry, commit, ENV, SCHEMA, fmt) as archive:
            reading = archive.chunks(chunk_size=10)
            begun = await anext(reading)
            shutil.rmtree(repository.folder / "archives")
            assert begun + b"".join([part async for part in reading]) == whole
            assert b"".join([part async for part in archive.chunks(700, 1_900)]) == whole[700:1_900]
        assert await content(archives, repository, commit, fmt) == whole


async def test_large_own_files_take_a_thread_and_give_the_same_archive(repository, archives):
    commit = await push_program(repository)
    env = b'{"a": "' + b"x" * 300_000 + b'"}'
    for fmt in (ArchiveFormat.tar(), ArchiveFormat.tgz(), ArchiveFormat.zip()):
        once = await content(archives, repository, commit, fmt, env)
        assert await content(archives, repository, commit, fmt, env) == once
    with zipfile.ZipFile(io.BytesIO(once)) as archive:
        assert archive.read("env.json") == env


async def test_w49_gateways_that_share_a_folder_share_what_is_packed(repository, archives, monkeypatch):
    commit = await push_program(repository)
    packed = count_packings(monkeypatch)
    others = [ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=MIB) for _ in range(2)]
    whole = await content(archives, repository, commit, ArchiveFormat.tgz())
    assert {await content(one, repository, commit, ArchiveFormat.tgz()) for one in others} == {whole}
    assert len(packed) == 1
    shutil.rmtree(repository.folder / "archives")
    fresh = [ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=MIB) for _ in range(3)]
    built = await asyncio.gather(*(content(one, repository, commit, ArchiveFormat.tgz()) for one in fresh))
    assert set(built) == {whole}, "also when they make it at the same time"


async def test_w49_units_containers_and_restarts_share_one_packing_and_one_compression(
    repository, archives, monkeypatch
):
    commit = await push_program(repository)
    packed, compressed = count_packings(monkeypatch), []
    original = assembling.derive_stem
    monkeypatch.setattr(
        assembling, "derive_stem", lambda *args, **more: (compressed.append(1), original(*args, **more))[1]
    )
    for cache in (archives, ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=MIB)):
        for wbits in (-9, 9, 25):
            for number in range(3):
                data = await content(cache, repository, commit, ArchiveFormat.tgz(wbits), b"%d" % number)
                with tarfile.open(fileobj=io.BytesIO(zlib.decompress(data, wbits)), mode="r:") as archive:
                    assert archive.extractfile("./env.json").read() == b"%d" % number
    assert (len(packed), len(compressed)) == (1, 1)


async def test_w49_processes_that_share_a_folder_serve_the_same_bytes_whoever_deletes_it(repository):
    commit = await push_program(repository)
    arguments = [str(repository.folder), str(repository.registry), commit, "8"]
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.archive_builder", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    async with asyncio.timeout(60):
        begun = (await processes[0].stdout.readline()).decode()
        shutil.rmtree(repository.folder / "archives", ignore_errors=True)
        told = [(await process.communicate())[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    lines = [
        line for output in [begun, *told] for line in output.splitlines() if line.startswith(("tar ", "tgz-", "zip "))
    ]
    assert (len(lines), len(set(lines))) == (96, 4)
    assert not list((repository.folder / "archives").rglob("*.new"))


def stems_of(repository):
    return {path.name[:40] for path in (repository.folder / "archives").rglob("*.stem")}


async def test_the_cache_keeps_within_its_limit_and_drops_what_was_used_longest_ago(repository, archives):
    commits = []
    for number in range(4):
        repository.tree.write("data.bin", os.urandom(300_000))
        commits.append(repository.tree.commit(f"number {number}"))
    repository.tree.push()
    await repository.sync()
    for number, commit in enumerate(commits[:3]):
        await content(archives, repository, commit, ArchiveFormat.tar())
        path = next((repository.folder / "archives").rglob(f"{commit}*.stem"))
        os.utime(path, ns=(10**12 * (number + 1), path.stat().st_mtime_ns))
    again = ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=MIB)
    await content(again, repository, commits[0], ArchiveFormat.tar())
    await content(again, repository, commits[3], ArchiveFormat.tar())
    assert stems_of(repository) == {commits[0], commits[2], commits[3]}


async def test_what_is_served_from_memory_counts_as_used_on_disk(repository, archives, monkeypatch):
    await repository.sync()
    await content(archives, repository, repository.first, ArchiveFormat.tar())
    (path,) = (repository.folder / "archives").rglob("*.stem")
    os.utime(path, ns=(0, path.stat().st_mtime_ns))
    await content(archives, repository, repository.first, ArchiveFormat.tar())
    assert path.stat().st_atime == 0, "not at every download"
    monkeypatch.setattr(archives_module, "_MARK_INTERVAL", -1.0)
    await content(archives, repository, repository.first, ArchiveFormat.tar())
    assert path.stat().st_atime > 1_700_000_000


async def test_cleaning_forgets_registries_that_are_gone(repository, archives):
    await repository.sync()
    await content(archives, repository, repository.first, ArchiveFormat.tar())
    assert await archives.clean({repository.registry}, now=2e9) == Cleaned()
    assert stems_of(repository) == {repository.first}
    gone = await archives.clean(set(), now=2e9)
    assert gone.files == 1
    assert gone.size > 512
    assert list((repository.folder / "archives").iterdir()) == []
    assert await content(archives, repository, repository.first, ArchiveFormat.tar()), "it is only a cache"
    assert await ArchiveCache(repository.folder / "none", repository.mirrors, max_bytes=1).clean(set(), now=0) == (
        Cleaned()
    )


async def test_a_removed_registry_takes_its_commits_along(repository, archives):
    await repository.sync()
    await content(archives, repository, repository.first, ArchiveFormat.tar())
    await archives.remove(repository.registry)
    assert list((repository.folder / "archives").rglob("*.*")) == []


async def test_no_secret_of_a_unit_stays_on_disk(repository, archives):
    await repository.sync()
    await content(archives, repository, repository.first, ArchiveFormat.tar(), b'{"PU_AUTH_TOKEN": "sEcret"}')
    for path in (repository.folder / "archives").rglob("*.*"):
        assert b"sEcret" not in path.read_bytes()
