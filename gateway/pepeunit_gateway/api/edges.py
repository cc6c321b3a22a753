"""Routes of edges, which live below the unit nodes. Source: protocol/rest.md 2.7, decisions.md 1 and 12."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import BodyModel, PageQuery, ReadModel
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import NoAccessError, NotFoundError, UnitNodeError
from pepeunit_gateway.registry.registry import Registry

__all__ = ["routes"]

routes = RouteTable("/unit_nodes", tag="Edges", about="Links from an Output to an Input.", entity="edge")


class EdgeRead(ReadModel):
    uuid: UUID
    node_output_uuid: UUID
    node_input_uuid: UUID


class EdgeList(ReadModel):
    count: int
    unit_node_edges: list[EdgeRead]


class NewEdge(BodyModel):
    examples: ClassVar = {
        "From an Output to an Input": {
            "node_output_uuid": "b8a2c6d4-1e3f-4a5b-9c7d-8e9f0a1b2c3d",
            "node_input_uuid": "d4c3b2a1-6f5e-4d7c-8b9a-0f1e2d3c4b5a",
        }
    }

    node_output_uuid: UUID
    node_input_uuid: UUID


class EdgeQuery(PageQuery):
    unit_node_uuid: UUID | None = Field(None, description="only edges from or to this node")


@routes.post(
    "/create_unit_node_edge",
    token=Token.REQUIRED,
    status=201,
    errors=(
        NoAccessError("only the Input's creator or a User it was granted to may link it"),
        NotFoundError("there is no unit node b8a2c6d4-1e3f-4a5b-9c7d-8e9f0a1b2c3d"),
        UnitNodeError("these two nodes are linked already", conflict=True),
        UnitNodeError("an edge goes from an Output (node_output_uuid) to an Input (node_input_uuid)"),
    ),
)
async def create_unit_node_edge(registry: Registry, agent: Agent, body: NewEdge) -> EdgeRead:
    """Link an Output that you may see to an Input that is yours or granted to you."""
    edge = await registry.edges.create(agent, body.node_output_uuid, body.node_input_uuid)
    return EdgeRead.model_validate(edge)


@routes.get("/edges", token=Token.OPTIONAL)
async def get_unit_node_edges(registry: Registry, agent: Agent, query: EdgeQuery) -> EdgeList:
    """List the edges of which you may see both ends, those that you made, and those of nodes that you created."""
    page = await registry.edges.page(agent, query.unit_node_uuid, query.paging)
    return EdgeList(count=page.count, unit_node_edges=[EdgeRead.model_validate(edge) for edge in page.items])


@routes.delete(
    "/edges/{uuid}",
    token=Token.REQUIRED,
    errors=(NoAccessError("only the creator of the edge or of one of its nodes may delete it"),),
)
async def delete_unit_node_edge(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Delete an edge; its creator or the creator of either node may."""
    await registry.edges.delete(agent, uuid)
