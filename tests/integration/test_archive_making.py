"""Archives that nobody waits for any more, of gateways that stop and of registries that go."""

import asyncio
import threading

import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware import assembling, stems, trees
from pepeunit_gateway.firmware.archives import ArchiveFormat
from tests.support.packed_program import content


async def begun(monkeypatch, archives, repository, commit):
    """Begin two builds of one commit, wait until they pack it, and hold the thread there until it may go on."""
    reached, go_on = threading.Event(), threading.Event()
    original = trees.PackPlan.write

    def held(plan, out, check):
        reached.set()
        while not go_on.wait(0.01):
            check()
        return original(plan, out, check)

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


@pytest.mark.parametrize("fmt", [ArchiveFormat.tgz(), ArchiveFormat.zip()])
async def test_a_compression_of_a_closed_cache_ends_at_once(repository, archives, monkeypatch, fmt):
    await repository.sync()
    compressing, held = threading.Event(), threading.Event()
    original = stems.read_facts

    def slow(file, check):
        compressing.set()
        held.wait(30)
        return original(file, check)

    await content(archives, repository, repository.first, ArchiveFormat.tar())
    monkeypatch.setattr(assembling, "read_facts", slow)
    build = asyncio.create_task(content(archives, repository, repository.first, fmt))
    await asyncio.to_thread(compressing.wait, 30)
    closing = asyncio.create_task(archives.close())
    await asyncio.sleep(0)
    held.set()
    with pytest.raises(GitRepoError, match="stopping"):
        await build
    await closing
    with pytest.raises(GitRepoError, match="stopping"):
        await content(archives, repository, repository.first, ArchiveFormat.tar())


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
