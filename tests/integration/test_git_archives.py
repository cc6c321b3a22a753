"""Archives of a real repository, unpacked by other programs."""

import io
import tarfile
import zipfile

import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.archives import ArchiveCache, ArchiveFormat
from tests.support.packed_program import ENV, SCHEMA, content, expected, push_program
from tests.support.repository import MIB


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
    program = [info.name.split("/") for info in members[:-2]]
    assert program == sorted(program)
    assert [info.name for info in members[-2:]] == ["./env.json", "./schema.json"], "the new version is recorded last"
    assert (modes["run.sh"], modes["main.py"], modes["lib"]) == (0o755, 0o644, 0o755)


async def test_a_zip_holds_the_same_files(repository, archives):
    commit = await push_program(repository)
    data = await content(archives, repository, commit, ArchiveFormat.zip())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {n: archive.read(n) for n in archive.namelist() if not n.endswith("/")} == expected(repository.tree)
        assert "lib/" in archive.namelist()


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
    await mirrors.close()


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
