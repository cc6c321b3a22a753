"""The audit trail. Source: decisions.md 12."""

from typing import Any
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import NoAccessError
from pepeunit_gateway.registry.audit import Action, AuditFilter
from pepeunit_gateway.registry.registry import Registry

__all__ = ["routes"]

routes = RouteTable("/audit", tag="Audit", about="Who did what, and from where.")


class AuditEventRead(ReadModel):
    id: int
    create_datetime: UtcTime
    action: str
    actor_type: str = Field(description="an agent's type, or Operator for the command line")
    actor_uuid: UUID | None
    actor_name: str | None = Field(description="as it was then")
    subject_type: str | None
    subject_uuid: UUID | None
    subject_name: str | None
    address: str | None = Field(description="of the client")
    request_id: str | None = Field(description="as the answer carried it in X-Request-ID")
    details: dict[str, Any] | None


class AuditList(ReadModel):
    count: int
    events: list[AuditEventRead]


class AuditQuery(PageQuery):
    action: list[Action] = Field(default_factory=list)
    actor_uuid: UUID | None = None
    subject_uuid: UUID | None = None
    start_create_datetime: UtcTime | None = Field(None, description="the earliest, itself included")
    end_create_datetime: UtcTime | None = Field(None, description="the latest, itself included")


@routes.get("", token=Token.REQUIRED, errors=(NoAccessError("only an Admin may do this"),))
async def get_audit(registry: Registry, agent: Agent, query: AuditQuery) -> AuditList:
    """List logins, grants and changes of tokens and users, newest first; Admins may."""
    page = await registry.audit.page(agent, AuditFilter(**query.filters(), paging=query.paging))
    return AuditList(count=page.count, events=[AuditEventRead.model_validate(event) for event in page.items])
