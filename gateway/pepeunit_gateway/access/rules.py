"""Visibility and ownership as functions of their arguments.

Source: protocol/security.md 4.1, 4.2 and 4.5; decisions.md 2, 16 and 17. The creator always reaches what is theirs;
an Admin reads public fields of everything and nothing else.
"""

from uuid import UUID

from pepeunit_gateway.access.agents import Agent, AgentType, VisibilityLevel
from pepeunit_gateway.errors import NoAccessError, UnauthorizedError, ValidationError

__all__ = [
    "check_child_visibility",
    "may_see",
    "require_admin",
    "require_creator",
    "require_creator_or_unit",
    "require_user",
]

_PRIORITY = {VisibilityLevel.PUBLIC: 0, VisibilityLevel.INTERNAL: 1, VisibilityLevel.PRIVATE: 2}


def may_see(
    agent: Agent, *, visibility: VisibilityLevel, creator_uuid: UUID | None, permitted: bool, is_self: bool = False
) -> bool:
    """Tell whether `agent` may read the public fields of an entity.

    Args:
        agent: who asks.
        visibility: the entity's level.
        creator_uuid: its creator.
        permitted: a permission row (or, for a node, an edge) names the agent.
        is_self: the entity is the agent itself.
    """
    if visibility is VisibilityLevel.PUBLIC or agent.is_admin or agent.is_user(creator_uuid) or is_self:
        return True
    if agent.type is AgentType.BOT:
        return False
    return visibility is VisibilityLevel.INTERNAL or permitted


def _anonymous(agent: Agent) -> None:
    if agent.type is AgentType.BOT:
        raise UnauthorizedError("a token is needed; send it in the header x-auth-token")


def require_user(agent: Agent) -> UUID:
    """Return the uuid of the User who asks.

    Raises:
        UnauthorizedError: there is no token.
        NoAccessError: the agent is of another type.
    """
    _anonymous(agent)
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
    """Let the creator pass and the unit itself ("C/U" of protocol/rest.md 2.6)."""
    _anonymous(agent)
    if not (agent.is_user(creator_uuid) or agent.is_unit(unit_uuid)):
        raise NoAccessError("only the creator and the unit itself may do this")


def check_child_visibility(parent: VisibilityLevel, child: VisibilityLevel) -> None:
    """A child is never more open than its parent: Repo, Unit, UnitNode.

    Raises:
        ValidationError: it would be.
    """
    if _PRIORITY[child] < _PRIORITY[parent]:
        raise ValidationError(f"visibility {child} is more open than the parent's {parent}")
