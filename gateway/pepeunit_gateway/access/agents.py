"""Who asks. Source: protocol/security.md 3.1 and 4, protocol/entities.md 1.10."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

__all__ = ["BOT", "Agent", "AgentType", "Scope", "UserRole", "UserStatus", "VisibilityLevel"]


class AgentType(StrEnum):
    """The kinds of agents that exist in this version."""

    BOT = "Bot"
    USER = "User"
    UNIT = "Unit"
    BACKEND = "Backend"  # a data pipe in the field (decisions.md 8)
    GATEWAY = "Gateway"


class UserRole(StrEnum):
    USER = "User"
    ADMIN = "Admin"


class UserStatus(StrEnum):
    UNVERIFIED = "Unverified"
    VERIFIED = "Verified"
    BLOCKED = "Blocked"


class VisibilityLevel(StrEnum):
    PUBLIC = "Public"
    INTERNAL = "Internal"
    PRIVATE = "Private"


class Scope(StrEnum):
    """What a token is good for: looking, or everything its holder may do."""

    READ = "Read"
    WRITE = "Write"


@dataclass(frozen=True, slots=True)
class Agent:
    """An authenticated caller; `uuid` is None for Bot (no token) and for the gateway itself.

    `generation` is the one that the token of a User or Unit carries. `named_token` is the uuid of the named token that
    a User's program came with, and `scope` what that one is good for; a login has none and may do everything.
    """

    type: AgentType
    uuid: UUID | None = None
    role: UserRole | None = None
    scope: Scope = Scope.WRITE
    named_token: UUID | None = None
    generation: int = 0

    @property
    def is_admin(self) -> bool:
        return self.type is AgentType.USER and self.role is UserRole.ADMIN

    def is_user(self, uuid: UUID | None) -> bool:
        """Tell whether this agent is the user `uuid`."""
        return self.type is AgentType.USER and uuid is not None and self.uuid == uuid

    def is_unit(self, uuid: UUID) -> bool:
        """Tell whether this agent is the unit `uuid`."""
        return self.type is AgentType.UNIT and self.uuid == uuid


BOT = Agent(AgentType.BOT)
"""Everybody without a token."""
