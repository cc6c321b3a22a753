"""Who may grant, list and revoke permissions. Source: protocol/security.md 4.3, decisions.md 16; W2.

The resource's creator does all three. An Admin lists and revokes, and never grants: that would be a way into what is
private of others. A User may drop what was granted to them.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.rules import require_user
from pepeunit_gateway.errors import CustomPermissionError, NoAccessError

__all__ = [
    "HolderType",
    "Resource",
    "ResourceType",
    "check_revocable",
    "may_list_all",
    "require_granter",
    "require_lister",
    "require_revoker",
]


class HolderType(StrEnum):
    """Whom a permission can name."""

    USER = "User"
    UNIT = "Unit"


class ResourceType(StrEnum):
    """What a permission can open."""

    REPO = "Repo"
    UNIT = "Unit"
    UNIT_NODE = "UnitNode"


@dataclass(frozen=True, slots=True)
class Resource:
    """What is granted; `unit_uuid` is the unit of a node, None for all else. No decision hangs on the name."""

    type: ResourceType
    uuid: UUID
    creator_uuid: UUID | None
    unit_uuid: UUID | None = None
    name: str | None = None


def may_list_all(agent: Agent) -> bool:
    """Tell whether every permission may be listed; a User's own and those on what is theirs always may."""
    return agent.is_admin


def require_granter(agent: Agent, resource: Resource) -> None:
    """Let only the resource's creator pass.

    Raises:
        UnauthorizedError, NoAccessError: not this agent.
    """
    require_user(agent)
    if not agent.is_user(resource.creator_uuid):
        raise NoAccessError(f"only the {resource.type}'s creator may grant it")


def require_lister(agent: Agent, resource: Resource) -> None:
    """Let only the resource's creator and an Admin pass.

    Raises:
        UnauthorizedError, NoAccessError: not this agent.
    """
    require_user(agent)
    if not (agent.is_user(resource.creator_uuid) or agent.is_admin):
        raise NoAccessError(f"only the {resource.type}'s creator and an Admin may list whom it was granted to")


def require_revoker(agent: Agent, resource: Resource, holder: UUID) -> None:
    """Let only the resource's creator, an Admin and the User pass whom the permission names.

    Raises:
        UnauthorizedError, NoAccessError: not this agent.
    """
    require_user(agent)
    if not (agent.is_user(resource.creator_uuid) or agent.is_admin or agent.is_user(holder)):
        raise NoAccessError(f"only the {resource.type}'s creator, an Admin and its holder may take a permission away")


def check_revocable(resource: Resource, holder: UUID, *, holder_repo: UUID | None) -> None:
    """Refuse to take away what comes with being the creator, or what a unit cannot do without.

    Args:
        resource: what the permission opens.
        holder: whom it names.
        holder_repo: the Repo of a Unit that holds it.

    Raises:
        CustomPermissionError: the permission stays as long as resource and holder do.
    """
    reason = None
    if holder == resource.uuid:
        reason = "a unit always reaches itself"
    elif holder == resource.creator_uuid:
        reason = f"the creator always reaches their {resource.type}"
    elif resource.type is ResourceType.REPO and holder_repo == resource.uuid:
        reason = "a unit always reaches its Repo"
    elif holder == resource.unit_uuid:
        reason = "a unit always reaches its own nodes"
    if reason is not None:
        raise CustomPermissionError(f"this permission cannot be taken away: {reason}")
