"""Routes of permissions. Source: protocol/rest.md 2.8, protocol/security.md 4.3, decisions.md 12 and 16; W2."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.permissions import HolderType, ResourceType
from pepeunit_gateway.api.models import BodyModel, PageQuery, QueryModel, ReadModel
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import CustomPermissionError, NoAccessError, NotFoundError
from pepeunit_gateway.registry.permissions import NewPermission, PermissionFilter
from pepeunit_gateway.registry.registry import Registry

__all__ = ["routes"]

routes = RouteTable(
    "/permission", tag="Permissions", about="Who besides its creator reaches what is Private.", entity="permission"
)

_NO_NODE = NotFoundError("there is no UnitNode b8a2c6d4-1e3f-4a5b-9c7d-8e9f0a1b2c3d")


class PermissionRead(ReadModel):
    uuid: UUID
    agent_uuid: UUID = Field(description="who holds it")
    agent_type: HolderType
    resource_uuid: UUID = Field(description="what it opens")
    resource_type: ResourceType


class PermissionList(ReadModel):
    count: int
    permissions: list[PermissionRead]


class NewPermissionBody(BodyModel):
    examples: ClassVar = {
        "A User may see a Private unit": {
            "agent_uuid": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
            "agent_type": "User",
            "resource_uuid": "3d6f4a1e-9b2c-4e7d-8f5a-6c0b1d2e3f4a",
            "resource_type": "Unit",
        },
        "A Unit may receive an Output": {
            "agent_uuid": "3d6f4a1e-9b2c-4e7d-8f5a-6c0b1d2e3f4a",
            "agent_type": "Unit",
            "resource_uuid": "b8a2c6d4-1e3f-4a5b-9c7d-8e9f0a1b2c3d",
            "resource_type": "UnitNode",
        },
    }

    agent_uuid: UUID = Field(description="who gets it")
    agent_type: HolderType
    resource_uuid: UUID = Field(description="what it opens; it must be yours")
    resource_type: ResourceType


class ResourceAgentsQuery(PageQuery):
    resource_uuid: UUID
    resource_type: ResourceType
    agent_type: list[HolderType] = Field(default_factory=list)


class PermissionQuery(PageQuery):
    agent_uuid: UUID | None = None
    agent_type: list[HolderType] = Field(default_factory=list)
    resource_uuid: UUID | None = None
    resource_type: list[ResourceType] = Field(default_factory=list)


class RevokedQuery(QueryModel):
    agent_uuid: UUID = Field(description="who holds it")
    resource_uuid: UUID = Field(description="what it opens")


@routes.post(
    "",
    token=Token.REQUIRED,
    status=201,
    errors=(
        NoAccessError("only the UnitNode's creator may grant it"),
        _NO_NODE,
        CustomPermissionError("the Unit holds this permission already", conflict=True),
    ),
)
async def create_permission(registry: Registry, agent: Agent, body: NewPermissionBody) -> PermissionRead:
    """Grant a Repo, Unit or UnitNode that you created to a User or a Unit."""
    return PermissionRead.model_validate(await registry.permissions.grant(agent, NewPermission(**dict(body))))


@routes.get(
    "/get_resource_agents",
    token=Token.REQUIRED,
    errors=(NoAccessError("only the UnitNode's creator and an Admin may list whom it was granted to"), _NO_NODE),
)
async def get_resource_agents(registry: Registry, agent: Agent, query: ResourceAgentsQuery) -> PermissionList:
    """List who holds permissions on one entity; its creator and an Admin may."""
    page = await registry.permissions.of_resource(
        agent, query.resource_uuid, query.resource_type, agent_type=query.agent_type, paging=query.paging
    )
    return PermissionList(count=page.count, permissions=[PermissionRead.model_validate(row) for row in page.items])


@routes.get("", token=Token.REQUIRED, errors=(NoAccessError("only a User may do this"),))
async def get_permissions(registry: Registry, agent: Agent, query: PermissionQuery) -> PermissionList:
    """List the permissions that you hold, and those on what you created; an Admin sees all."""
    page = await registry.permissions.page(agent, PermissionFilter(**query.filters(), paging=query.paging))
    return PermissionList(count=page.count, permissions=[PermissionRead.model_validate(row) for row in page.items])


@routes.delete(
    "/{anything}",
    token=Token.REQUIRED,
    errors=(
        NoAccessError("only the UnitNode's creator, an Admin and its holder may take a permission away"),
        _NO_NODE,
        CustomPermissionError("this permission cannot be taken away: a unit always reaches its own nodes"),
    ),
)
async def delete_permission(registry: Registry, agent: Agent, anything: str, query: RevokedQuery) -> None:
    """Revoke what you granted, or drop what you hold; an Admin may revoke all.

    The query alone counts, whatever the path says. An edge that was made with a permission stays: the creator of
    either of its nodes deletes it.
    """
    del anything  # the contract ignores it
    await registry.permissions.revoke(agent, holder=query.agent_uuid, resource=query.resource_uuid)
