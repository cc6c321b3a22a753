"""Who reaches a registered git repository. Source: protocol/rest.md 2.4, protocol/security.md 4.1 and 4.2; W7."""

from uuid import UUID

from pepeunit_gateway.access.agents import Agent, AgentType
from pepeunit_gateway.access.rules import refuse_sight, require_user
from pepeunit_gateway.errors import NoAccessError

__all__ = [
    "may_read_repository",
    "may_read_trouble",
    "may_see_repository",
    "require_repository_sight",
    "require_repository_use",
]


def may_see_repository(agent: Agent, *, is_public: bool) -> bool:
    """Tell whether `agent` may read the entry: of a public one everybody, of a private one Users and Units."""
    return is_public or agent.type in (AgentType.USER, AgentType.UNIT)


def may_read_repository(agent: Agent, *, is_public: bool, has_valid_credentials: bool) -> bool:
    """Tell whether `agent` may read what lies in it, its branches and releases: for a private one git's server decides.

    Args:
        agent: who asks, and may see the entry.
        is_public: the repository needs no credentials.
        has_valid_credentials: the caller's own were tried with success.
    """
    return is_public or (agent.type is AgentType.USER and has_valid_credentials)


def may_read_trouble(agent: Agent, *, creator: UUID | None, may_read: bool) -> bool:
    """Tell whether `agent` may read why the last fetch failed: who may read the rest, and the creator, who mends it."""
    return may_read or (agent.type is AgentType.USER and creator is not None and agent.uuid == creator)


def require_repository_sight(agent: Agent, *, is_public: bool) -> None:
    """Let only those pass who may read the entry.

    Raises:
        UnauthorizedError, NoAccessError: not this agent.
    """
    if not may_see_repository(agent, is_public=is_public):
        refuse_sight(agent)


def require_repository_use(agent: Agent, *, is_public: bool, has_valid_credentials: bool) -> UUID:
    """Let a User pass who may fetch the repository and make Repos of it; return their uuid.

    Args:
        agent: who asks; being its creator or an Admin counts for nothing, git's server decides.
        is_public: the repository needs no credentials.
        has_valid_credentials: the caller's own were tried with success.

    Raises:
        UnauthorizedError, NoAccessError: not this agent.
    """
    user = require_user(agent)
    if not (is_public or has_valid_credentials):
        raise NoAccessError("this private repository needs your own valid credentials; set them first")
    return user
