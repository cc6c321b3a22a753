"""Version resolution against a real repository."""

from pathlib import Path

import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.versions import RepoRule, Target, UnitRule, resolve
from tests.support.git_server import GitServer
from tests.support.repository import ServedRepository


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        yield served
        await served.close()


def repo(*, auto=True, compilable=False, only_tag=False, branch="main", commit=None):
    return RepoRule(branch, auto, compilable, only_tag, commit)


async def test_the_newest_tagged_commit_is_newest_by_history_not_by_its_name(repository):
    repository.tree.tag("v9.0")
    second = repository.tree.commit("second")
    repository.tree.tag("v1.0")
    repository.tree.tag("v0.9")
    third = repository.tree.commit("third")
    repository.tree.push()
    await repository.sync()

    async def target(rule, unit=None):
        return await resolve(repository.mirrors, repository.registry, rule, unit)

    assert await target(repo()) == Target(third, None)
    assert await target(repo(only_tag=True)) == Target(second, "v0.9")
    assert await target(repo(compilable=True)) == Target(second, "v0.9")
    assert await target(repo(auto=False, commit=repository.first)) == Target(repository.first, "v9.0")
    own = UnitRule(is_auto_update=False, branch="main", commit=third)
    assert await target(repo(only_tag=True), own) == Target(third, None)
    with pytest.raises(GitRepoError, match="carries no tag"):
        await target(repo(compilable=True), own)


async def test_a_commit_of_another_branch_is_not_taken(repository):
    repository.tree.branch("dev")
    dev = repository.tree.commit("dev only")
    repository.tree.tag("dev-1")
    repository.tree.push()
    await repository.sync()
    for rule, unit in [
        (repo(auto=False, commit=dev), None),
        (repo(), UnitRule(is_auto_update=False, branch="main", commit=dev)),
        (repo(auto=False, commit="0" * 40), None),
        (repo(auto=False, commit=dev[:7]), None),
    ]:
        with pytest.raises(GitRepoError, match="Version is missing"):
            await resolve(repository.mirrors, repository.registry, rule, unit)
    with pytest.raises(GitRepoError, match="push a tag"):
        await resolve(repository.mirrors, repository.registry, repo(only_tag=True), None)
    own = UnitRule(is_auto_update=False, branch="dev", commit=dev)
    assert await resolve(repository.mirrors, repository.registry, repo(), own) == Target(dev, "dev-1")


async def test_a_branch_that_is_not_there_is_told(repository):
    await repository.sync()
    with pytest.raises(GitRepoError, match="no branch 'gone'"):
        await resolve(repository.mirrors, repository.registry, repo(branch="gone"), None)


async def test_a_tag_that_is_pushed_later_becomes_the_target_after_the_next_sync(repository):
    repository.tree.tag("v1")
    second = repository.tree.commit("second")
    repository.tree.push()
    await repository.sync()
    rule = repo(only_tag=True)
    assert (await resolve(repository.mirrors, repository.registry, rule, None)).commit == repository.first
    repository.tree.git("tag", "v2", second)
    repository.tree.push()
    assert (await repository.sync()).changed
    assert await resolve(repository.mirrors, repository.registry, rule, None) == Target(second, "v2")
