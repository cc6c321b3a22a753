"""Archives of a real repository, unpacked by other programs: tar, zip and a real MicroPython."""

import asyncio
import hashlib
import io
import os
import shutil
import tarfile
import threading
import zipfile
import zlib
from pathlib import Path

import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware import packing, trees, ustar
from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from tests.support.git_server import GitServer
from tests.support.micropython import INTERPRETER
from tests.support.repository import MIB, ServedRepository

ENV, SCHEMA = b'{"PU_COMMIT_VERSION": "x"}\n', b'{"input_topic": {}}\n'
LONG = "/".join(["deep" * 5] * 5) + "/module.py"
UNTAR = Path(__file__).parent.parent / "support" / "minimal_untar.py"


@pytest.fixture
def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        yield ServedRepository(tmp_path, server)


@pytest.fixture
def archives(repository):
    return ArchiveCache(repository.folder / "archives", repository.mirrors, max_bytes=MIB)


async def push_program(repository):
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


async def content(archives, repository, commit, fmt, env=ENV):
    archive = await archives.build(repository.registry, commit, env, SCHEMA, fmt)
    async with archive:
        data = await archive.read()
    assert archive.size == len(data)
    assert archive.digest == hashlib.sha256(data).digest()
    return data


def expected(tree):
    files = {
        path.relative_to(tree.folder).as_posix(): path.read_bytes()
        for path in tree.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and not {".git", "docs"} & set(path.relative_to(tree.folder).parts)
    }
    return {**files, "env.json": ENV, "schema.json": SCHEMA}


async def test_a_tar_is_plain_ustar_with_the_files_of_the_commit(repository, archives):
    commit = await push_program(repository)
    data = await content(archives, repository, commit, ArchiveFormat.tar())
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        members = archive.getmembers()
        found = {info.name[2:]: archive.extractfile(info).read() for info in members if info.isfile()}
        modes = {info.name[2:]: info.mode for info in members}
    assert found == expected(repository.tree)
    assert all(info.name.startswith("./") for info in members)
    assert all(info.isfile() or info.isdir() for info in members)
    assert {info.mtime for info in members} == {1_700_000_120}
    assert [info.name.split("/") for info in members] == sorted(info.name.split("/") for info in members)
    assert (modes["run.sh"], modes["main.py"], modes["lib"]) == (0o755, 0o644, 0o755)


async def test_a_zip_holds_the_same_files(repository, archives):
    commit = await push_program(repository)
    data = await content(archives, repository, commit, ArchiveFormat.zip())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {n: archive.read(n) for n in archive.namelist() if not n.endswith("/")} == expected(repository.tree)
        assert "lib/" in archive.namelist()


async def test_the_digest_header_has_the_form_of_the_standard(repository, archives):
    await repository.sync()
    archive = await archives.build(repository.registry, repository.first, ENV, SCHEMA, ArchiveFormat.tgz())
    async with archive:
        assert archive.repr_digest.startswith("sha-256=:")
        assert archive.repr_digest.endswith("=:")


@pytest.mark.parametrize("fmt", [ArchiveFormat.tar(), ArchiveFormat.tgz(9, 9), ArchiveFormat.tgz(15, 1)])
async def test_sixty_lines_of_untar_on_micropython_unpack_it(repository, archives, fmt, tmp_path):
    commit = await push_program(repository)
    packed = tmp_path / "archive"
    packed.write_bytes(await content(archives, repository, commit, fmt))
    target = tmp_path / "device"
    target.mkdir()
    device = await asyncio.create_subprocess_exec(
        str(INTERPRETER), "-X", "heapsize=96k", str(UNTAR), str(packed), fmt.kind, str(fmt.wbits), cwd=target
    )
    assert await asyncio.wait_for(device.wait(), 30) == 0
    found = {p.relative_to(target).as_posix(): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert found == expected(repository.tree)


async def test_w49_overlapping_downloads_of_one_unit_are_both_complete(repository, archives):
    commit = await push_program(repository)
    first = await archives.build(repository.registry, commit, ENV, SCHEMA, ArchiveFormat.tgz())
    async with first:
        reading = first.chunks(10)
        begun = await anext(reading)
        second = await archives.build(repository.registry, commit, ENV, SCHEMA, ArchiveFormat.tgz())
        async with second:
            complete = await second.read()
        rest = [part async for part in reading]
    assert begun + b"".join(rest) == complete
    assert zlib.decompress(complete, 9).count(b"./main.py") == 1


async def test_w49_many_builds_at_once_pack_the_commit_once_and_keep_units_apart(repository, archives, monkeypatch):
    commit = await push_program(repository)
    packed = []
    original = trees.PackPlan.write
    monkeypatch.setattr(trees.PackPlan, "write", lambda plan, *args: (packed.append(1), original(plan, *args))[1])
    envs = [b'{"unit": %d}\n' % number for number in range(12)]
    built = await asyncio.gather(*(content(archives, repository, commit, ArchiveFormat.tgz(), env) for env in envs))
    assert len(packed) == 1
    for env, data in zip(envs, built, strict=True):
        with tarfile.open(fileobj=io.BytesIO(zlib.decompress(data, 9)), mode="r:") as archive:
            assert archive.extractfile("./env.json").read() == env


async def test_w49_a_caller_that_goes_away_does_not_end_the_packing_for_others(repository, archives):
    commit = await push_program(repository)
    leaving = asyncio.create_task(content(archives, repository, commit, ArchiveFormat.tar()))
    staying = asyncio.create_task(content(archives, repository, commit, ArchiveFormat.tar()))
    await asyncio.sleep(0)
    leaving.cancel()
    assert len(await staying) > 10_240
    assert leaving.cancelled() or (await asyncio.wait([leaving]))[0]


async def begun(monkeypatch, archives, repository, commit):
    """Begin two builds of one commit, wait until they pack it, and hold the thread there until it may go on."""
    reached, go_on = threading.Event(), threading.Event()
    original = trees.PackPlan.write

    def held(plan, out, check):
        reached.set()
        while not go_on.wait(0.01):
            check()
        original(plan, out, check)

    monkeypatch.setattr(trees.PackPlan, "write", held)
    builds = [
        asyncio.create_task(content(archives, repository, commit, ArchiveFormat.tar(), env)) for env in (b"1", b"2")
    ]
    await asyncio.to_thread(reached.wait, 30)
    return builds, go_on


async def test_packing_ends_when_the_last_who_waits_for_it_has_gone(repository, archives, monkeypatch):
    await repository.sync()
    builds, go_on = await begun(monkeypatch, archives, repository, repository.first)
    for build in builds:
        build.cancel()
        assert not go_on.is_set()
        assert (await asyncio.wait({build}, timeout=10))[0] == {build}
    assert all(build.cancelled() for build in builds)
    assert list((repository.folder / "archives").rglob("*.*")) == [], "neither a tar nor a part of one"
    go_on.set()
    assert len(await content(archives, repository, repository.first, ArchiveFormat.tar())) == 10_240


async def test_w49_packing_goes_on_while_one_still_waits(repository, archives, monkeypatch):
    await repository.sync()
    (leaving, staying), go_on = await begun(monkeypatch, archives, repository, repository.first)
    leaving.cancel()
    await asyncio.wait({leaving}, timeout=10)
    go_on.set()
    assert leaving.cancelled()
    assert len(await staying) == 10_240


async def test_a_closed_cache_ends_its_builds_at_once_and_refuses_new_ones(repository, archives, monkeypatch):
    await repository.sync()
    builds, _ = await begun(monkeypatch, archives, repository, repository.first)
    async with asyncio.timeout(5):
        await archives.close()
        await archives.close()
        builds.append(
            asyncio.create_task(content(archives, repository, repository.first, ArchiveFormat.tar())),
        )
        for build in builds:
            with pytest.raises(GitRepoError, match="stopping") as caught:
                await build
            assert caught.value.status == 503
    assert list((repository.folder / "archives").rglob("*.*")) == []


async def test_a_compression_of_a_closed_cache_ends_at_once(repository, archives, monkeypatch):
    await repository.sync()
    compressing, held = threading.Event(), threading.Event()
    original = ustar.read_members

    def slow(file):
        compressing.set()
        held.wait(30)
        return original(file)

    await content(archives, repository, repository.first, ArchiveFormat.tar())
    monkeypatch.setattr(packing, "read_members", slow)
    build = asyncio.create_task(content(archives, repository, repository.first, ArchiveFormat.tgz()))
    await asyncio.to_thread(compressing.wait, 30)
    closing = asyncio.create_task(archives.close())
    await asyncio.sleep(0)
    held.set()
    with pytest.raises(GitRepoError, match="stopping"):
        await build
    await closing


async def test_a_registry_may_be_removed_while_its_commit_is_packed(repository, archives, monkeypatch):
    await repository.sync()
    builds, _ = await begun(monkeypatch, archives, repository, repository.first)
    async with asyncio.timeout(5):
        await repository.mirrors.remove(repository.registry)
        await archives.remove(repository.registry)
        for build in builds:
            with pytest.raises(GitRepoError, match="removed meanwhile"):
                await build
    assert list((repository.folder / "archives").iterdir()) == []


async def test_the_cache_may_be_deleted_or_damaged_at_any_time(repository, archives):
    commit = await push_program(repository)
    whole = await content(archives, repository, commit, ArchiveFormat.tar())
    shutil.rmtree(repository.folder / "archives")
    assert await content(archives, repository, commit, ArchiveFormat.tar()) == whole
    (base,) = (repository.folder / "archives").rglob("*.tar")
    for damage in (base.read_bytes()[:700], b"", b"x" * 4_096):
        base.write_bytes(damage)
        assert await content(archives, repository, commit, ArchiveFormat.tar()) == whole


async def test_the_cache_keeps_within_its_limit_and_drops_what_was_used_longest_ago(repository, archives):
    commits = []
    for number in range(4):
        repository.tree.write("data.bin", os.urandom(300_000))
        commits.append(repository.tree.commit(f"number {number}"))
    repository.tree.push()
    await repository.sync()
    for number, commit in enumerate(commits[:3]):
        await content(archives, repository, commit, ArchiveFormat.tar())
        base = next((repository.folder / "archives").rglob(f"{commit}*.tar"))
        os.utime(base, (1_000 + number, 1_000 + number))
    await content(archives, repository, commits[0], ArchiveFormat.tar())
    await content(archives, repository, commits[3], ArchiveFormat.tar())
    left = {path.name[:40] for path in (repository.folder / "archives").rglob("*.tar")}
    assert left == {commits[0], commits[2], commits[3]}


async def test_a_removed_registry_takes_its_commits_along(repository, archives):
    await repository.sync()
    await content(archives, repository, repository.first, ArchiveFormat.tar())
    await archives.remove(repository.registry)
    assert list((repository.folder / "archives").rglob("*.tar")) == []


async def test_no_secret_of_a_unit_stays_on_disk(repository, archives):
    await repository.sync()
    await content(archives, repository, repository.first, ArchiveFormat.tar(), b'{"PU_AUTH_TOKEN": "sEcret"}')
    for path in (repository.folder / "archives").rglob("*.*"):
        assert b"sEcret" not in path.read_bytes()


async def test_files_larger_than_the_limit_are_refused_even_if_they_compress_well(repository):
    repository.tree.write("zeros.bin", bytes(3 * MIB))
    commit = repository.tree.commit("bomb")
    repository.tree.push()
    mirrors = repository.cache(max_size=MIB)
    await repository.sync(mirrors)
    archives = ArchiveCache(repository.folder / "archives", mirrors, max_bytes=MIB)
    with pytest.raises(GitRepoError, match="PU_MAX_EXTERNAL_REPO_SIZE"):
        await archives.build(repository.registry, commit, ENV, SCHEMA, ArchiveFormat.tar())
    repository.tree.write(".pepeignore", "zeros.bin\n")
    commit = repository.tree.commit("without it")
    repository.tree.push()
    await repository.sync(mirrors)
    async with await archives.build(repository.registry, commit, ENV, SCHEMA, ArchiveFormat.tar()) as archive:
        assert archive.size < MIB


async def test_a_name_that_no_device_could_unpack_is_told(repository, archives):
    repository.tree.write("n" * 120 + ".py", "")
    commit = repository.tree.commit("long")
    repository.tree.push()
    await repository.sync()
    with pytest.raises(GitRepoError, match="too long for the archives"):
        await archives.build(repository.registry, commit, ENV, SCHEMA, ArchiveFormat.tar())
    assert list((repository.folder / "archives").rglob("*.*")) == []


@pytest.mark.parametrize("commit", ["0" * 40, "main", "--all", "../../x"])
async def test_an_unknown_commit_is_told(repository, archives, commit):
    await repository.sync()
    with pytest.raises(GitRepoError, match="no commit"):
        await archives.build(repository.registry, commit, ENV, SCHEMA, ArchiveFormat.tar())


async def test_without_a_mirror_the_answer_says_what_to_do(repository, archives):
    with pytest.raises(GitRepoError, match="not been fetched yet"):
        await archives.build(repository.registry, repository.first, ENV, SCHEMA, ArchiveFormat.tar())


async def test_an_archive_without_the_program_holds_the_units_own_files_alone(repository, archives):
    repository.tree.write(".pepeignore", b"\xff not UTF-8")
    commit = repository.tree.commit("a broken .pepeignore, which compiled programs do not need")
    repository.tree.push()
    await repository.sync()
    for fmt in (ArchiveFormat.tar(), ArchiveFormat.zip()):
        built = await archives.build(repository.registry, commit, ENV, SCHEMA, fmt, with_program=False)
        async with built:
            data = io.BytesIO(await built.read())
        if fmt.kind == "tar":
            with tarfile.open(fileobj=data, mode="r:") as archive:
                assert archive.getnames() == ["./env.json", "./schema.json"]
                assert archive.extractfile("./env.json").read() == ENV
        else:
            with zipfile.ZipFile(data) as archive:
                assert archive.namelist() == ["env.json", "schema.json"]
                assert archive.read("schema.json") == SCHEMA
