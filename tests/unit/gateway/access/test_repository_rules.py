"""Who reaches a git repository; the cells were written by hand from protocol/rest.md 2.4."""

from uuid import UUID

import pytest

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, UserRole
from pepeunit_gateway.access.repositories import (
    may_read_repository,
    may_read_trouble,
    may_see_repository,
    require_repository_sight,
    require_repository_use,
)
from pepeunit_gateway.errors import NoAccessError, UnauthorizedError

AGENTS = {
    "bot": BOT,
    "user": Agent(AgentType.USER, UUID(int=1), UserRole.USER),
    "admin": Agent(AgentType.USER, UUID(int=2), UserRole.ADMIN),
    "unit": Agent(AgentType.UNIT, UUID(int=3)),
    "backend": Agent(AgentType.BACKEND, UUID(int=4)),
}
# (public, own valid credentials) -> who may fetch it and make Repos of it
USES = {
    (True, False): {"user", "admin"},
    (True, True): {"user", "admin"},
    (False, False): set(),
    (False, True): {"user", "admin"},
}


@pytest.mark.parametrize(("public", "valid"), USES)
@pytest.mark.parametrize("name", AGENTS)
def test_a_private_repository_is_used_with_ones_own_credentials_only(name, public, valid):
    if name in USES[public, valid]:
        uuid = require_repository_use(AGENTS[name], is_public=public, has_valid_credentials=valid)
        assert uuid == AGENTS[name].uuid
    else:
        with pytest.raises(UnauthorizedError if name == "bot" else NoAccessError):
            require_repository_use(AGENTS[name], is_public=public, has_valid_credentials=valid)


@pytest.mark.parametrize("name", AGENTS)
def test_the_entry_of_a_private_repository_is_for_users_and_units(name):
    require_repository_sight(AGENTS[name], is_public=True)
    sees = name in {"user", "admin", "unit"}
    assert may_see_repository(AGENTS[name], is_public=False) is sees
    if sees:
        require_repository_sight(AGENTS[name], is_public=False)
    else:
        with pytest.raises(UnauthorizedError if name == "bot" else NoAccessError):
            require_repository_sight(AGENTS[name], is_public=False)


@pytest.mark.parametrize(("public", "valid"), USES)
@pytest.mark.parametrize("name", AGENTS)
def test_what_lies_in_a_private_repository_is_read_by_users_with_valid_credentials_only(name, public, valid):
    reads = public or (valid and name in {"user", "admin"})
    assert may_read_repository(AGENTS[name], is_public=public, has_valid_credentials=valid) is reads


@pytest.mark.parametrize("name", AGENTS)
def test_trouble_is_told_to_the_creator_and_to_who_may_read_the_rest(name):
    agent = AGENTS[name]
    assert may_read_trouble(agent, creator=UUID(int=9), may_read=True)
    assert not may_read_trouble(agent, creator=UUID(int=9), may_read=False)
    assert not may_read_trouble(agent, creator=None, may_read=False)
    assert may_read_trouble(agent, creator=agent.uuid, may_read=False) is (name in {"user", "admin"})
