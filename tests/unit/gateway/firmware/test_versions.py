import pytest

from pepeunit_gateway.errors import GitRepoError
from pepeunit_gateway.firmware.versions import BranchHead, NewestTag, Pinned, RepoRule, UnitRule, plan

A, B = "a" * 40, "b" * 40


def repo(*, auto=True, compilable=False, only_tag=False, branch="main", commit=None):
    return RepoRule(branch, auto, compilable, only_tag, commit)


TABLE = [
    # the repo itself
    (repo(), None, BranchHead("main")),
    (repo(only_tag=True), None, NewestTag("main")),
    (repo(compilable=True), None, NewestTag("main")),
    (repo(auto=False, commit=A), None, Pinned("main", A, needs_tag=False)),
    (repo(auto=False, commit=A, only_tag=True), None, Pinned("main", A, needs_tag=False)),
    (repo(auto=False, commit=A, compilable=True), None, Pinned("main", A, needs_tag=True)),
    # a unit that follows its repo
    (repo(), UnitRule(is_auto_update=True, branch=None, commit=None), BranchHead("main")),
    (
        repo(auto=False, commit=A),
        UnitRule(is_auto_update=True, branch="dev", commit=B),
        Pinned("main", A, needs_tag=False),
    ),
    # a unit with a version of its own, whatever the repo does
    (repo(only_tag=True), UnitRule(is_auto_update=False, branch="dev", commit=B), Pinned("dev", B, needs_tag=False)),
    (repo(compilable=True), UnitRule(is_auto_update=False, branch="dev", commit=B), Pinned("dev", B, needs_tag=True)),
    (repo(branch=None), UnitRule(is_auto_update=False, branch="dev", commit=B), Pinned("dev", B, needs_tag=False)),
]


@pytest.mark.parametrize(("rule", "unit", "wanted"), TABLE)
def test_the_rules_say_which_version_is_wanted(rule, unit, wanted):
    assert plan(rule, unit) == wanted


@pytest.mark.parametrize(
    ("rule", "unit", "field"),
    [
        (repo(branch=None), None, "default_branch"),
        (repo(branch=""), None, "default_branch"),
        (repo(auto=False), None, "default_commit"),
        (repo(), UnitRule(is_auto_update=False, branch=None, commit=A), "repo_branch"),
        (repo(), UnitRule(is_auto_update=False, branch="main", commit=None), "repo_commit"),
    ],
)
def test_an_empty_field_that_the_rules_need_is_named(rule, unit, field):
    with pytest.raises(GitRepoError, match=field):
        plan(rule, unit)
