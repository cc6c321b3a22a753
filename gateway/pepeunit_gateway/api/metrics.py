"""The platform in numbers, for everybody; what Prometheus reads is in prometheus.py. Source: protocol/rest.md 2.8."""

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import ReadModel
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.totals import count_entities

__all__ = ["routes"]

routes = RouteTable("/metrics", tag="Metrics", about="The platform in numbers.")


class MetricsRead(ReadModel):
    user_count: int
    repository_registry_count: int
    repo_count: int
    unit_count: int
    unit_node_count: int
    unit_node_edge_count: int


@routes.get("/", also="", token=Token.OPTIONAL)
async def get_metrics(registry: Registry, agent: Agent) -> MetricsRead:
    """Count what there is; the figures are up to ten minutes old."""
    del agent  # anybody may; a token that is sent must be valid all the same
    return MetricsRead.model_validate(await count_entities(registry.context))
