"""Entities out of the gateway's answers."""

import pytest

from pepeunit_tools.entities import Node, Repo, Repository, Unit
from pepeunit_tools.errors import UnexpectedAnswerError

UNIT = {
    "uuid": "u",
    "name": "kitchen",
    "current_commit_version": None,
    "firmware_update_status": "Success",
    "last_update_datetime": "2026-01-02T03:04:05Z",
    "more": [1],
}
REPO = {
    "uuid": "r",
    "name": "heating",
    "visibility_level": "Private",
    "default_branch": None,
    "is_only_tag_update": False,
    "repository_registry_uuid": "g",
}


def test_fields_that_are_not_needed_are_ignored():
    assert Unit.read(UNIT) == Unit("u", "kitchen", None, "Success", "2026-01-02T03:04:05Z")
    assert Repo.read(REPO) == Repo("r", "heating", "Private", None, tags_only=False, repository="g")
    assert Node.read({"uuid": "n", "type": "Input", "topic_name": "x", "state": ""}).value == ""
    assert Repository.read({"uuid": "g", "repository_url": "https://a/b.git"}).status is None


@pytest.mark.parametrize(
    ("kind", "row", "key"),
    [
        (Unit, {**UNIT, "name": None}, "name"),
        (Unit, {**UNIT, "firmware_update_status": 5}, "firmware_update_status"),
        (Repo, {**REPO, "is_only_tag_update": "no"}, "is_only_tag_update"),
        (Node, {}, "uuid"),
    ],
)
def test_a_field_that_is_missing_or_odd_is_named(kind, row, key):
    with pytest.raises(UnexpectedAnswerError, match=f"no usable {key}"):
        kind.read(row)
