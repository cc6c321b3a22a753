"""How far a token reaches: the whole table of kinds of tokens and kinds of routes."""

from uuid import UUID

import pytest

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, Scope, UserRole
from pepeunit_gateway.access.scopes import check_scope
from pepeunit_gateway.errors import NoAccessError

USER = UUID("00000000-0000-4000-8000-000000000001")
TOKEN = UUID("00000000-0000-4000-8000-000000000002")


def program(scope: Scope, role: UserRole = UserRole.USER) -> Agent:
    return Agent(AgentType.USER, USER, role, scope, named_token=TOKEN)


LOGIN = Agent(AgentType.USER, USER, UserRole.USER)
UNIT = Agent(AgentType.UNIT, USER)
READS = {"reading": True, "secret": False, "login_only": False}
WRITES = {"reading": False, "secret": False, "login_only": False}
SECRETS = {"reading": True, "secret": True, "login_only": False}
MANAGES = {"reading": False, "secret": False, "login_only": True}
LISTS_TOKENS = {"reading": True, "secret": False, "login_only": True}


@pytest.mark.parametrize("route", [READS, WRITES, SECRETS, MANAGES, LISTS_TOKENS])
@pytest.mark.parametrize("agent", [BOT, LOGIN, UNIT])
def test_nothing_but_named_tokens_is_narrowed(agent, route):
    check_scope(agent, **route)


@pytest.mark.parametrize(
    ("scope", "route", "passes"),
    [
        (Scope.READ, READS, True),
        (Scope.READ, WRITES, False),
        (Scope.READ, SECRETS, False),
        (Scope.READ, MANAGES, False),
        (Scope.READ, LISTS_TOKENS, False),
        (Scope.WRITE, READS, True),
        (Scope.WRITE, WRITES, True),
        (Scope.WRITE, SECRETS, True),
        (Scope.WRITE, MANAGES, False),
        (Scope.WRITE, LISTS_TOKENS, False),
    ],
)
@pytest.mark.parametrize("role", list(UserRole))
def test_a_named_token_reaches_as_far_as_its_scope_an_admins_too(scope, route, passes, role):
    if passes:
        check_scope(program(scope, role), **route)
        return
    with pytest.raises(NoAccessError):
        check_scope(program(scope, role), **route)


@pytest.mark.parametrize("route", [READS, WRITES, SECRETS, MANAGES, LISTS_TOKENS])
def test_a_data_pipe_of_the_field_has_nothing_to_do_here(route):
    with pytest.raises(NoAccessError, match="only subscribes"):
        check_scope(Agent(AgentType.BACKEND, USER), **route)
