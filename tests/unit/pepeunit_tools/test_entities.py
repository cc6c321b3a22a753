"""Entities out of the gateway's answers."""

import pytest

from pepeunit_tools.entities import Edge, Node, Repo, Repository, Unit
from pepeunit_tools.errors import UnexpectedAnswerError

UNIT = {
    "uuid": "u",
    "name": "kitchen",
    "repo_uuid": "r",
    "current_commit_version": None,
    "firmware_update_status": "Error",
    "firmware_update_error": "no room",
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
    assert Unit.read(UNIT) == Unit(
        "u", "kitchen", "r", None, "Error", "no room", UNIT["last_update_datetime"], reported=False
    )
    assert Unit.read({**UNIT, "unit_state": {"millis": None}}).reported
    assert Repo.read(REPO) == Repo("r", "heating", "Private", None, tags_only=False, repository="g")
    assert Node.read({"uuid": "n", "type": "Input", "topic_name": "x", "state": "", "unit_uuid": "u"}).value == ""
    assert Edge.read({"uuid": "e", "node_output_uuid": "o", "node_input_uuid": "i"}) == Edge("e", "o", "i")
    registered = Repository.read({"uuid": "g", "repository_url": "https://a/b.git", "branches": ["main", 5]})
    assert (registered.status, registered.branches) == (None, ("main",))


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
