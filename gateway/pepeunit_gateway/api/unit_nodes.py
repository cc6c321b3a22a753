"""Routes of unit nodes. Source: protocol/rest.md 2.7, decisions.md 2; W1 and W16."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent, VisibilityLevel
from pepeunit_gateway.api.models import MAX_INTEGER, BodyModel, ChangeModel, PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.routing import Encoded, RouteTable, Token
from pepeunit_gateway.errors import MqttError, NoAccessError, UnitNodeError
from pepeunit_gateway.registry.entities import UnitNodeType
from pepeunit_gateway.registry.listing import OrderBy
from pepeunit_gateway.registry.node_reads import NodeFilter
from pepeunit_gateway.registry.nodes import NodeChange
from pepeunit_gateway.registry.registry import Registry

__all__ = ["UnitNodeRead", "routes"]

routes = RouteTable("/unit_nodes", tag="Unit nodes", about="Inputs and Outputs of units.", entity="unit node")

_STATE_BODY = 2 * 1024 * 1024  # PU_MQTT_MAX_PAYLOAD_SIZE, 256 KB by default, with every byte escaped


class UnitNodeRead(ReadModel):
    uuid: UUID
    type: UnitNodeType
    visibility_level: VisibilityLevel
    is_rewritable_input: bool
    max_connections: int
    topic_name: str
    create_datetime: UtcTime
    last_update_datetime: UtcTime
    state: str | None
    is_data_pipe_active: bool
    data_pipe_yml: str | None = Field(description="JSON; null for others than the creator and the unit itself")
    data_pipe_status: str | None
    data_pipe_error: str | None
    creator_uuid: UUID | None
    unit_uuid: UUID


class UnitNodeList(ReadModel):
    count: int
    unit_nodes: list[UnitNodeRead]


class UnitNodeChangeBody(ChangeModel):
    examples: ClassVar = {
        "Keep its values": {"is_data_pipe_active": True},
        "An Input that permitted units may set": {"is_rewritable_input": True},
        "Who sees it, and how many edges it may have": {"visibility_level": "Internal", "max_connections": 20},
    }

    visibility_level: VisibilityLevel | None = None
    is_rewritable_input: bool | None = Field(None, description="Inputs only")
    is_data_pipe_active: bool | None = Field(None, description="true only for topics that end in /pepeunit")
    max_connections: int | None = Field(None, ge=1, le=MAX_INTEGER)


class InputStateBody(BodyModel):
    examples: ClassVar = {
        "A number": {"state": "21.5"},
        "JSON is a text too": {"state": '{"speed": 3, "turn": "left"}'},
    }

    state: str | None = None


class UnitNodeQuery(PageQuery):
    uuids: list[UUID] = Field(default_factory=list)
    unit_uuid: UUID | None = None
    search_string: str | None = Field(None, description="every word must occur in the topic's name")
    type: list[UnitNodeType] = Field(default_factory=list)
    visibility_level: list[VisibilityLevel] = Field(default_factory=list)
    output_uuid: UUID | None = Field(None, description="only the Inputs that this Output feeds, if you may see it")
    order_by_create_date: OrderBy = OrderBy.DESC


@routes.get("/{uuid}", token=Token.OPTIONAL)
async def get_unit_node(registry: Registry, agent: Agent, uuid: UUID) -> Encoded[UnitNodeRead]:
    """Return one node."""
    return Encoded(await registry.node_reads.one(agent, uuid))


@routes.get("", token=Token.OPTIONAL)
async def get_unit_nodes(registry: Registry, agent: Agent, query: UnitNodeQuery) -> Encoded[UnitNodeList]:
    """List the nodes that you may see."""
    return Encoded(await registry.node_reads.page(agent, NodeFilter(**query.filters(), paging=query.paging)))


@routes.patch("/{uuid}", token=Token.REQUIRED, errors=(UnitNodeError("only an Input can be rewritable"),))
async def update_unit_node(registry: Registry, agent: Agent, uuid: UUID, body: UnitNodeChangeBody) -> UnitNodeRead:
    """Change a node; its creator may."""
    return UnitNodeRead.model_validate(await registry.nodes.edit(agent, uuid, NodeChange(**body.sent())))


@routes.patch(
    "/set_state_input/{uuid}",
    token=Token.REQUIRED,
    max_body=_STATE_BODY,
    errors=(
        NoAccessError("you may not set this Input"),
        UnitNodeError("only an Input can be set; this node is an Output"),
        MqttError("The broker is not connected; try again later"),
    ),
)
async def set_state_input(registry: Registry, agent: Agent, uuid: UUID, body: InputStateBody) -> UnitNodeRead:
    """Publish a value to an Input and keep it as the node's state; nothing else changes.

    Its creator may, a User with a permission, or a permitted Unit if the Input is rewritable.
    """
    return UnitNodeRead.model_validate(await registry.nodes.set_state_input(agent, uuid, body.state))
