"""Who asks. Source: protocol/security.md 3.1 and 4, protocol/entities.md 1.10."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

__all__ = ["BOT", "Agent", "AgentType", "UserRole", "UserStatus", "VisibilityLevel"]


class AgentType(StrEnum):
    """The kinds of agents that exist in this version."""

    BOT = "Bot"
    USER = "User"
    UNIT = "Unit"
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


@dataclass(frozen=True, slots=True)
class Agent:
    """An authenticated caller; `uuid` is None for Bot (no token) and for the gateway itself."""

    type: AgentType
    uuid: UUID | None = None
    role: UserRole | None = None

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
