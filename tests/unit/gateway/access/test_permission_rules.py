"""Who grants, lists and revokes; the cells were written by hand from protocol/security.md 4.3 and decisions.md 16."""

from uuid import UUID

import pytest

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, UserRole
from pepeunit_gateway.access.permissions import (
    Resource,
    ResourceType,
    check_revocable,
    may_list_all,
    require_granter,
    require_lister,
    require_revoker,
)
from pepeunit_gateway.errors import CustomPermissionError, NoAccessError, UnauthorizedError

CREATOR, HOLDER, STRANGER, ADMIN, UNIT, OTHER_UNIT, REPO, NODE = (UUID(int=number) for number in range(1, 9))
AGENTS = {
    "bot": BOT,
    "creator": Agent(AgentType.USER, CREATOR, UserRole.USER),
    "holder": Agent(AgentType.USER, HOLDER, UserRole.USER),
    "stranger": Agent(AgentType.USER, STRANGER, UserRole.USER),
    "admin": Agent(AgentType.USER, ADMIN, UserRole.ADMIN),
    "unit": Agent(AgentType.UNIT, UNIT),
    "unit with the holder's uuid": Agent(AgentType.UNIT, HOLDER),
    "unit with the creator's uuid": Agent(AgentType.UNIT, CREATOR),
}
RESOURCES = [
    Resource(ResourceType.REPO, REPO, CREATOR),
    Resource(ResourceType.UNIT, UNIT, CREATOR),
    Resource(ResourceType.UNIT_NODE, NODE, CREATOR, UNIT),
]
GRANTS = {"creator"}
LISTS = {"creator", "admin"}
REVOKES = {"creator", "admin", "holder"}


def outcome(require, name, *facts):
    try:
        require(AGENTS[name], *facts)
    except UnauthorizedError:
        return 401
    except NoAccessError:
        return 403
    return True


def expected(names, name):
    return True if name in names else 401 if name == "bot" else 403


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.type)
@pytest.mark.parametrize("name", AGENTS)
def test_w2_only_the_creator_grants_and_an_admin_may_list_and_revoke(name, resource):
    assert outcome(require_granter, name, resource) == expected(GRANTS, name)
    assert outcome(require_lister, name, resource) == expected(LISTS, name)
    assert outcome(require_revoker, name, resource, HOLDER) == expected(REVOKES, name)


@pytest.mark.parametrize("name", AGENTS)
def test_all_permissions_are_listed_for_admins_only(name):
    assert may_list_all(AGENTS[name]) is (name == "admin")


@pytest.mark.parametrize("name", ["admin", "stranger"])
def test_what_has_no_creator_is_granted_by_nobody(name):
    assert outcome(require_granter, name, Resource(ResourceType.REPO, REPO, None)) == 403


REFUSED = [
    (Resource(ResourceType.REPO, REPO, CREATOR), CREATOR, None, "creator"),
    (Resource(ResourceType.UNIT, UNIT, CREATOR), CREATOR, None, "creator"),
    (Resource(ResourceType.UNIT_NODE, NODE, CREATOR, UNIT), CREATOR, None, "creator"),
    (Resource(ResourceType.UNIT, UNIT, CREATOR), UNIT, REPO, "itself"),
    (Resource(ResourceType.REPO, REPO, CREATOR), UNIT, REPO, "its Repo"),
    (Resource(ResourceType.UNIT_NODE, NODE, CREATOR, UNIT), UNIT, REPO, "its own nodes"),
]
TAKEN = [
    (Resource(ResourceType.REPO, REPO, CREATOR), HOLDER, None),
    (Resource(ResourceType.REPO, REPO, CREATOR), OTHER_UNIT, UUID(int=77)),
    (Resource(ResourceType.UNIT, UNIT, CREATOR), OTHER_UNIT, REPO),
    (Resource(ResourceType.UNIT_NODE, NODE, CREATOR, UNIT), OTHER_UNIT, REPO),
    (Resource(ResourceType.UNIT_NODE, NODE, None, UNIT), HOLDER, None),
]


@pytest.mark.parametrize(("resource", "holder", "repo", "reason"), REFUSED)
def test_what_comes_with_an_entity_cannot_be_taken_away(resource, holder, repo, reason):
    with pytest.raises(CustomPermissionError, match=reason) as refused:
        check_revocable(resource, holder, holder_repo=repo)
    assert (refused.value.status, refused.value.code) == (422, 4)


@pytest.mark.parametrize(("resource", "holder", "repo"), TAKEN)
def test_what_was_granted_can_be_taken_away(resource, holder, repo):
    check_revocable(resource, holder, holder_repo=repo)
