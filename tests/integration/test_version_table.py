"""Every combination of what decides about a version, against an oracle that is protocol/firmware.md 7.5 word by word.

The history is small and has everything in it: commits with one tag, with two, with none, and commits of another branch.
"""

from dataclasses import dataclass, replace
from itertools import product

import pytest
import pytest_asyncio

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware import history as history_module
from pepeunit_gateway.firmware.versions import RepoRule, Target, UnitRule, resolve
from tests.support.git_server import GitServer
from tests.support.repository import ServedRepository

pytestmark = pytest.mark.asyncio(loop_scope="module")

BRANCHES = ("main", "dev", "bare", "gone")


@dataclass(frozen=True)
class History:
    """What the test pushed: the commits of each branch, newest first, and the tag that counts for each commit."""

    served: ServedRepository
    commits: dict[str, list[str]]
    tags: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    with GitServer(folder / "served") as server:
        served = ServedRepository(folder, server)
        tree = served.tree
        bare = [served.first]
        tree.git("branch", "bare")
        tree.tag("v9")
        second = tree.commit("second")
        tree.tag("b")
        tree.tag("a", message="an object of its own")
        third = tree.commit("third")
        tree.branch("dev")
        fourth = tree.commit("only on dev")
        tree.tag("dev-1")
        tree.push()
        await served.sync()
        main = [third, second, served.first]
        yield History(
            served,
            {"main": main, "dev": [fourth, *main], "bare": bare},
            {served.first: "v9", second: "a", fourth: "dev-1"},
        )
        await served.close()


def expected(history: History, repo: RepoRule, unit: UnitRule | None) -> Target | None:
    """7.5 as it is written; None where it answers 422/5."""
    if unit is not None and not unit.is_auto_update:
        return pinned(history, unit.branch, unit.commit, needs_tag=repo.is_compilable)
    branch = history.commits.get(repo.default_branch or "")
    if branch is None:
        return None
    if not repo.is_auto_update:
        return pinned(history, repo.default_branch, repo.default_commit, needs_tag=repo.is_compilable)
    if repo.is_compilable or repo.is_only_tag_update:
        tagged = [commit for commit in branch if commit in history.tags]
        return Target(tagged[0], history.tags[tagged[0]]) if tagged else None
    return Target(branch[0], history.tags.get(branch[0]))


def pinned(history: History, branch: str | None, commit: str | None, *, needs_tag: bool) -> Target | None:
    if commit not in history.commits.get(branch or "", []) or (needs_tag and commit not in history.tags):
        return None
    return Target(commit, history.tags.get(commit))


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("compilable", [False, True])
@pytest.mark.parametrize("auto", [False, True])
async def test_each_combination_gives_what_the_contract_says(history, auto, compilable, branch):
    every_commit = [None, *history.commits["dev"], "0" * 40]
    own = [
        UnitRule(is_auto_update=False, branch=of, commit=commit)
        for of, commit in product((None, *BRANCHES), every_commit)
    ]
    follower = UnitRule(is_auto_update=True, branch=None, commit=None)
    units = [None, follower, replace(follower, branch="dev", commit=history.commits["dev"][0]), *own]
    answers = set()
    for only_tag, default, unit in product((False, True), every_commit, units):
        repo = RepoRule(branch, auto, compilable, only_tag, default)
        wanted = expected(history, repo, unit)
        try:
            found = await resolve(history.served.mirrors, history.served.registry, repo, unit)
        except GitRepoError:
            found = None
        assert found == wanted, (repo, unit)
        answers.add(found)
    assert len(answers) > 1, "the table decides something"


async def test_without_a_tag_on_the_branch_nothing_follows_tags(tmp_path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        await served.sync()
        for auto, compilable, only_tag in [(True, True, False), (True, False, True), (True, True, True)]:
            rule = RepoRule("main", auto, compilable, only_tag, None)
            with pytest.raises(GitRepoError, match="Version is missing: no commit of branch 'main' carries a tag"):
                await resolve(served.mirrors, served.registry, rule, None)


async def test_w48_a_tag_that_is_far_back_is_found_and_remembered(history, monkeypatch):
    monkeypatch.setattr(history_module, "_NEAR", 1)
    mirrors = history.served.cache()
    for _ in range(2):
        found = await mirrors.newest_tagged(history.served.registry, "main")
        assert found == history.commits["main"][1]
        monkeypatch.setattr(history_module, "run_git", None)  # the second time git is not asked
