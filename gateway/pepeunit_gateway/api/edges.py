"""Routes of edges, which live below the unit nodes. Source: protocol/rest.md 2.7, decisions.md 1 and 12."""

from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import BodyModel, PageQuery, ReadModel
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.registry.registry import Registry

__all__ = ["routes"]

routes = RouteTable("/unit_nodes", tag="Edges")


class EdgeRead(ReadModel):
    uuid: UUID
    node_output_uuid: UUID
    node_input_uuid: UUID


class EdgeList(ReadModel):
    count: int
    unit_node_edges: list[EdgeRead]


class NewEdge(BodyModel):
    node_output_uuid: UUID
    node_input_uuid: UUID


class EdgeQuery(PageQuery):
    unit_node_uuid: UUID | None = Field(None, description="only edges from or to this node")


@routes.post("/create_unit_node_edge", token=Token.REQUIRED, status=201, errors=(404, 409))
async def create_unit_node_edge(registry: Registry, agent: Agent, body: NewEdge) -> EdgeRead:
    """Link an Output that you may see to an Input that is yours or granted to you."""
    edge = await registry.edges.create(agent, body.node_output_uuid, body.node_input_uuid)
    return EdgeRead.model_validate(edge)


@routes.get("/edges", token=Token.OPTIONAL)
async def get_unit_node_edges(registry: Registry, agent: Agent, query: EdgeQuery) -> EdgeList:
    """List the edges of which you may see at least one end."""
    page = await registry.edges.page(agent, query.unit_node_uuid, query.paging)
    return EdgeList(count=page.count, unit_node_edges=[EdgeRead.model_validate(edge) for edge in page.items])


@routes.delete("/edges/{uuid}", token=Token.REQUIRED)
async def delete_unit_node_edge(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Delete an edge; its creator or the creator of either node may."""
    await registry.edges.delete(agent, uuid)
