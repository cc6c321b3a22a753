"""Visibility and ownership as functions of their arguments; what concerns one noun alone stands beside this module.

    rules.py          who sees an entity, who counts as its creator, what an Admin is
    nodes.py          who sets, links and reads a unit node
    permissions.py    who grants, lists and revokes
    repositories.py   who reaches a private git repository

Source: protocol/security.md 4.1, 4.2 and 4.5; decisions.md 2, 16 and 17. The creator always reaches what is theirs;
an Admin reads public fields of everything, blocks users, deletes and revokes, and nothing else.
"""

from typing import NoReturn
from uuid import UUID

from pepeunit_gateway.access.agents import Agent, AgentType, VisibilityLevel
from pepeunit_gateway.errors import NoAccessError, UnauthorizedError, ValidationError

__all__ = [
    "check_child_visibility",
    "may_see",
    "refuse_sight",
    "require_admin",
    "require_creator",
    "require_creator_or_admin",
    "require_creator_or_unit",
    "require_registrar",
    "require_self_or_admin",
    "require_sight",
    "require_token",
    "require_user",
]

_PRIORITY = {VisibilityLevel.PUBLIC: 0, VisibilityLevel.INTERNAL: 1, VisibilityLevel.PRIVATE: 2}


def may_see(
    agent: Agent,
    *,
    visibility: VisibilityLevel,
    creator_uuid: UUID | None,
    permitted: bool,
    is_self: bool = False,
    acting: bool = False,
) -> bool:
    """Tell whether `agent` may read the public fields of an entity.

    Args:
        agent: who asks.
        visibility: the entity's level.
        creator_uuid: its creator.
        permitted: a permission row (or, for a node, an edge) names the agent.
        is_self: the entity is the agent itself.
        acting: the agent wants to make something of it, a unit of a Repo or an edge of an Output: being an Admin, who
            only reads, counts for nothing then.
    """
    if visibility is VisibilityLevel.PUBLIC or agent.is_user(creator_uuid) or is_self:
        return True
    if agent.type not in (AgentType.USER, AgentType.UNIT):
        return False
    if agent.is_admin and not acting:
        return True
    return visibility is VisibilityLevel.INTERNAL or permitted


def require_sight(
    agent: Agent, *, visibility: VisibilityLevel, creator_uuid: UUID | None, permitted: bool, acting: bool = False
) -> None:
    """Let only an agent pass that sees the entity; the arguments are those of `may_see`.

    Raises:
        UnauthorizedError: there is no token and the entity is not Public.
        NoAccessError: the agent may not see it.
    """
    if not may_see(agent, visibility=visibility, creator_uuid=creator_uuid, permitted=permitted, acting=acting):
        refuse_sight(agent)


def refuse_sight(agent: Agent) -> NoReturn:
    """Tell an agent that it may not see an entity.

    Raises:
        UnauthorizedError: there is no token.
        NoAccessError: there is one.
    """
    require_token(agent)
    raise NoAccessError("you may not see this entity")


def require_token(agent: Agent) -> None:
    """Let everybody pass but who sent no token.

    Raises:
        UnauthorizedError: there is no token.
    """
    if agent.type is AgentType.BOT:
        raise UnauthorizedError("a token is needed; send it in the header x-auth-token")


def require_user(agent: Agent) -> UUID:
    """Return the uuid of the User who asks.

    Raises:
        UnauthorizedError: there is no token.
        NoAccessError: the agent is of another type.
    """
    require_token(agent)
    if agent.type is not AgentType.USER or agent.uuid is None:
        raise NoAccessError("only a User may do this")
    return agent.uuid


def require_admin(agent: Agent) -> None:
    """Let only an Admin pass."""
    require_user(agent)
    if not agent.is_admin:
        raise NoAccessError("only an Admin may do this")


def require_creator(agent: Agent, creator_uuid: UUID | None) -> UUID:
    """Let only the User pass who created the entity; return their uuid."""
    uuid = require_user(agent)
    if uuid != creator_uuid:
        raise NoAccessError("only the creator may do this")
    return uuid


def require_creator_or_unit(agent: Agent, creator_uuid: UUID | None, unit_uuid: UUID) -> None:
    """Let the creator pass and the unit itself ("C/U" of protocol/rest.md 2.6): a unit's private data is theirs."""
    require_token(agent)
    if not (agent.is_user(creator_uuid) or agent.is_unit(unit_uuid)):
        raise NoAccessError("only the creator and the unit itself may do this")


def require_creator_or_admin(agent: Agent, creator_uuid: UUID | None) -> UUID:
    """Let only the creator and an Admin pass: what takes a right away and opens nothing; return their uuid."""
    return require_user(agent) if agent.is_admin else require_creator(agent, creator_uuid)


def require_self_or_admin(agent: Agent, user_uuid: UUID) -> UUID:
    """Let only the User themself and an Admin pass; return the caller's uuid."""
    caller = require_user(agent)
    if not (agent.is_admin or agent.is_user(user_uuid)):
        raise NoAccessError("only an Admin and the user themself may do this")
    return caller


def require_registrar(agent: Agent, *, is_open: bool) -> None:
    """Let pass who may make a user: an Admin, or whoever has no token where registration is open (decisions.md 17).

    Raises:
        UnauthorizedError: there is no token and registration is closed.
        NoAccessError: the agent is no Admin.
    """
    if agent.type is not AgentType.BOT:
        require_admin(agent)
    elif not is_open:
        raise UnauthorizedError("registration is closed; an Admin creates users (PU_REGISTRATION)")


def check_child_visibility(parent: VisibilityLevel, child: VisibilityLevel) -> None:
    """A child is never more open than its parent: Repo, Unit, UnitNode.

    Raises:
        ValidationError: it would be.
    """
    if _PRIORITY[child] < _PRIORITY[parent]:
        raise ValidationError(f"visibility {child} is more open than the parent's {parent}")
