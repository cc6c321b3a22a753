"""Mirrors against a real git server: what a sync brings."""

import asyncio
import os
import random
from pathlib import Path
from uuid import uuid4

import pytest

from pepeunit_gateway.errors import GitRepoError, RepositoryRegistryError
from pepeunit_gateway.firmware import fetching, history
from pepeunit_gateway.firmware.mirrors import MirrorCache
from tests.support.git_server import Fault, GitServer, WorkTree
from tests.support.repository import MIB, ServedRepository


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        yield served
        await served.close()


async def arrived(fault: Fault):
    assert await asyncio.to_thread(fault.arrived.wait, 20), "no request reached the server"


async def test_a_first_sync_makes_a_mirror_and_a_second_finds_nothing_new(repository):
    assert not repository.mirrors.exists(repository.registry)
    first = await repository.sync()
    assert first.changed
    assert first.size == await repository.mirrors.size(repository.registry) > 0
    assert repository.mirrors.exists(repository.registry)
    assert not (await repository.sync()).changed
    assert await repository.main_py() == b"print('one')\n"
    assert repository.leftovers() == set()


async def test_w51_a_push_is_fetched_not_cloned_again(repository):
    await repository.sync()
    before = repository.mirror.stat().st_ino
    repository.tree.write("main.py", "print('two')\n")
    second = repository.tree.commit("second")
    repository.tree.push()
    assert (await repository.sync()).changed
    assert repository.mirrors.head(repository.registry, "main") == second
    assert await repository.main_py() == b"print('two')\n"
    assert repository.mirror.stat().st_ino == before


async def test_an_empty_repository_has_no_branches(repository):
    repository.server.bare("empty")
    registry = uuid4()
    assert (await repository.mirrors.sync(registry, repository.server.url("empty"), None)).changed
    assert repository.mirrors.exists(registry)
    assert await repository.mirrors.branches(registry) == []
    with pytest.raises(GitRepoError, match="none, it is empty"):
        repository.mirrors.head(registry, "main")


@pytest.mark.parametrize("body", [b"", b"<!doctype html><title>Sign in</title>", b"<html>\n<p>Sign in\n"])
async def test_a_page_is_not_taken_for_an_empty_repository(repository, body):
    """Git falls back to what a plain file server would offer, and finds no branches there."""
    repository.server.fault = Fault(status=200, headers={"Content-Type": "text/html"}, body=body)
    with pytest.raises(RepositoryRegistryError, match=r"not as a git server does|no git repository at this URL"):
        await repository.sync()
    assert not repository.mirrors.exists(repository.registry)
    assert repository.leftovers() == set()
    repository.server.fault = Fault()
    assert (await repository.sync()).changed


async def test_a_page_does_not_take_the_place_of_a_mirror_that_outgrew_its_limit(repository):
    await repository.sync()
    (repository.mirror / "objects" / "junk").write_bytes(noise(200_000))
    repository.server.fault = Fault(status=200, headers={"Content-Type": "text/html"}, body=b"<html>")
    with pytest.raises(RepositoryRegistryError, match="announces no branches any more; the last good copy stays"):
        await repository.sync(repository.cache(max_size=150_000))
    assert await repository.main_py() == b"print('one')\n"
    assert repository.leftovers() == set()


async def test_w34_every_branch_is_listed_whatever_its_name(repository):
    for name in ("1.x", "Dev", "HEAD", "feature/a"):
        repository.tree.git("update-ref", f"refs/heads/{name}", "HEAD")
    repository.tree.push()
    await repository.sync()
    assert await repository.mirrors.branches(repository.registry) == ["1.x", "Dev", "HEAD", "feature/a", "main"]


async def test_w34_a_summary_is_the_whole_subject(repository):
    repository.tree.commit("cut | here — нет\n\nand a body")
    repository.tree.push()
    await repository.sync()
    commits = await repository.mirrors.commits(repository.registry, "main", offset=0, limit=10, only_tag=False)
    assert [commit.summary for commit in commits] == ["cut | here — нет", "first"]


async def test_a_branch_whose_name_becomes_a_folder_is_followed(repository):
    repository.tree.git("update-ref", "refs/heads/a", "HEAD")
    repository.tree.push()
    await repository.sync()
    repository.tree.git("update-ref", "-d", "refs/heads/a")
    repository.tree.git("update-ref", "refs/heads/a/b", "HEAD")
    repository.tree.push()
    assert (await repository.sync()).changed
    assert await repository.mirrors.branches(repository.registry) == ["a/b", "main"]


async def test_names_that_begin_with_a_dash_are_only_names(repository):
    for ref in ("refs/heads/--upload-pack=touch", "refs/tags/-d"):
        repository.tree.git("update-ref", ref, "HEAD")
    repository.tree.push()
    await repository.sync()
    branch = "--upload-pack=touch"
    assert await repository.mirrors.branches(repository.registry) == [branch, "main"]
    commits = await repository.mirrors.commits(repository.registry, branch, offset=0, limit=1, only_tag=True)
    assert [(commit.commit, commit.tag) for commit in commits] == [(repository.first, "-d")]
    assert not await repository.mirrors.contains(repository.registry, branch, "--all")
    with pytest.raises(GitRepoError, match="no commit"):
        await repository.mirrors.read_file(repository.registry, "--textconv", "main.py")


async def test_rewritten_history_and_moved_tags_are_followed(repository):
    repository.tree.tag("v1")
    repository.tree.commit("second")
    repository.tree.push()
    await repository.sync()
    repository.tree.git("reset", "--hard", "--quiet", repository.first)
    repository.tree.write("main.py", "print('other')\n")
    other = repository.tree.commit("other")
    repository.tree.git("tag", "--force", "v1")
    repository.tree.push()
    assert (await repository.sync()).changed
    assert repository.mirrors.head(repository.registry, "main") == other
    assert repository.mirrors.tag(repository.registry, other) == "v1"


async def test_commits_come_in_pages_newest_first(repository):
    made = [repository.first, *(repository.tree.commit(f"number {number}") for number in range(5))][::-1]
    repository.tree.tag("last", message="of its own")
    repository.tree.git("tag", "b", made[3])
    repository.tree.git("tag", "a", made[3])
    repository.tree.push()
    await repository.sync()

    async def page(**options):
        found = await repository.mirrors.commits(repository.registry, "main", **options)
        return [(commit.commit, commit.tag) for commit in found]

    assert await page(offset=0, limit=2, only_tag=False) == [(made[0], "last"), (made[1], None)]
    assert await page(offset=2, limit=2, only_tag=False) == [(made[2], None), (made[3], "a")]
    assert await page(offset=0, limit=9, only_tag=True) == [(made[0], "last"), (made[3], "a")]
    assert await page(offset=1, limit=9, only_tag=True) == [(made[3], "a")]
    assert await page(offset=9, limit=9, only_tag=True) == []
    assert await page(offset=0, limit=0, only_tag=False) == []


async def test_a_tag_of_a_tag_counts_and_a_tag_of_a_file_does_not(repository):
    repository.tree.tag("inner", message="one")
    repository.tree.git("tag", "--annotate", "--message", "two", "a-nested", "inner")
    repository.tree.git("tag", "blob", "HEAD:main.py")
    repository.tree.push()
    await repository.sync()
    commits = await repository.mirrors.commits(repository.registry, "main", offset=0, limit=9, only_tag=True)
    assert [(commit.commit, commit.tag) for commit in commits] == [(repository.first, "a-nested")]


async def test_files_are_read_at_a_commit(repository):
    repository.tree.write("big.bin", b"x" * (MIB + 1))
    second = repository.tree.commit("second")
    repository.tree.push()
    await repository.sync()
    read = repository.mirrors.read_file
    assert await read(repository.registry, second, "env_example.json") == b"{}"
    assert await read(repository.registry, second, "nothing.json") is None
    assert await read(repository.registry, repository.first, "big.bin") is None
    with pytest.raises(GitRepoError, match="at most 1048576"):
        await read(repository.registry, second, "big.bin")
    with pytest.raises(GitRepoError, match="has no commit"):
        await read(repository.registry, "0" * 40, "main.py")


async def test_before_the_first_sync_every_question_has_a_clear_answer(repository):
    with pytest.raises(GitRepoError, match="not been fetched yet"):
        await repository.mirrors.branches(repository.registry)
    with pytest.raises(GitRepoError, match="not been fetched yet"):
        await repository.mirrors.read_file(repository.registry, repository.first, "main.py")
    assert await repository.mirrors.size(repository.registry) == 0


async def test_an_unknown_branch_is_answered_with_those_there_are(repository):
    await repository.sync()
    with pytest.raises(GitRepoError, match="no branch 'nope'; its branches are: main"):
        await repository.mirrors.commits(repository.registry, "nope", offset=0, limit=1, only_tag=False)


async def test_a_removed_mirror_leaves_nothing(repository):
    await repository.sync()
    await repository.mirrors.remove(repository.registry)
    assert not repository.mirrors.exists(repository.registry)
    assert list((repository.folder / "mirrors").iterdir()) == []
    await repository.mirrors.remove(repository.registry)
    assert (await repository.sync()).changed


# --- sizes


def noise(size):
    return random.Random(size).randbytes(size)


async def test_a_repository_over_the_limit_is_refused_and_leaves_nothing(repository):
    repository.tree.write("big.bin", noise(3 * MIB))
    repository.tree.commit("big")
    repository.tree.push()
    with pytest.raises(RepositoryRegistryError, match="PU_MAX_EXTERNAL_REPO_SIZE"):
        await repository.sync(repository.cache(max_size=MIB))
    assert not repository.mirrors.exists(repository.registry)
    assert repository.leftovers() == set()


async def test_a_repository_that_outgrows_the_limit_keeps_its_old_mirror(repository):
    mirrors = repository.cache(max_size=MIB)
    await repository.sync(mirrors)
    repository.tree.write("big.bin", noise(3 * MIB))
    repository.tree.commit("big")
    repository.tree.push()
    for _ in range(2):
        with pytest.raises(RepositoryRegistryError, match="PU_MAX_EXTERNAL_REPO_SIZE"):
            await repository.sync(mirrors)
        assert mirrors.head(repository.registry, "main") == repository.first
        assert await repository.main_py() == b"print('one')\n"
        assert repository.leftovers() == set()


async def test_a_repository_that_shrank_again_is_fetched_although_the_old_mirror_was_nearly_full(repository):
    mirrors = repository.cache(max_size=3 * MIB)
    repository.tree.write("big.bin", noise(2 * MIB))
    repository.tree.commit("big")
    repository.tree.push()
    await repository.sync(mirrors)
    repository.tree.git("reset", "--hard", "--quiet", repository.first)
    repository.tree.write("big.bin", noise(2 * MIB + 1))
    second = repository.tree.commit("other")
    repository.tree.push()
    result = await repository.sync(mirrors)
    assert mirrors.head(repository.registry, "main") == second
    assert result.size < 3 * MIB


async def test_many_fetches_do_not_leave_many_packs(repository, monkeypatch):
    monkeypatch.setattr(fetching, "_MAX_PACKS", 3)
    await repository.sync()
    for number in range(6):
        repository.tree.write("main.py", f"print({number})\n")
        repository.tree.commit(f"number {number}")
        repository.tree.push()
        await repository.sync()
    assert len(list(repository.mirror.glob("objects/pack/*.pack"))) <= 4
    assert await repository.main_py() == b"print(5)\n"


async def test_a_file_repository_of_another_owner_is_fetched(tmp_path: Path):
    bare = GitServer(tmp_path / "allowed").bare("sample")
    tree = WorkTree.create(tmp_path / "work", bare=bare)
    tree.write("main.py", "1")
    commit = tree.commit("first")
    tree.push()
    if os.geteuid() == 0:
        os.chown(bare, 65_534, -1)
    registry = uuid4()

    def cache(*allowed):
        return MirrorCache(tmp_path / "m", max_size=MIB, allow_private=False, allow_file=allowed, timeout=30)

    with pytest.raises(RepositoryRegistryError, match="PU_GIT_ALLOW_FILE"):
        await cache().sync(registry, f"file://{bare}", None)
    mirrors = cache(tmp_path / "allowed")
    await mirrors.sync(registry, f"file://{bare}", None)
    assert mirrors.head(registry, "main") == commit


async def test_w48_repeated_questions_start_no_git(repository, monkeypatch):
    repository.tree.tag("v1")
    repository.tree.commit("second")
    repository.tree.push()
    await repository.sync()
    runs = []
    original = history.run_git

    async def counted(arguments, **options):
        runs.append(arguments[0])
        return await original(arguments, **options)

    monkeypatch.setattr(history, "run_git", counted)
    for _ in range(3):
        assert await repository.mirrors.newest_tagged(repository.registry, "main") == repository.first
        assert await repository.mirrors.contains(repository.registry, "main", repository.first)
        assert await repository.mirrors.read_file(repository.registry, repository.first, "env_example.json") == b"{}"
    assert sorted(runs) == ["cat-file", "merge-base", "rev-list"]
