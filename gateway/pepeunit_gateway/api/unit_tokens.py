"""Ending the token of a unit. Source: decisions.md 12 and 16; W4."""

from uuid import UUID

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import ReadModel
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import NoAccessError
from pepeunit_gateway.registry.registry import Registry

__all__ = ["routes"]

routes = RouteTable(
    "/units",
    tag="Unit tokens",
    about="Ending the token of a unit that was lost, or that somebody else got hold of.",
    entity="unit",
)


class UnitTokenRead(ReadModel):
    token: str


@routes.post("/reissue_token/{uuid}", token=Token.REQUIRED, errors=(NoAccessError("only the creator may do this"),))
async def reissue_unit_token(registry: Registry, agent: Agent, uuid: UUID) -> UnitTokenRead:
    """End the unit's token and return a new one; the creator may.

    The old one is refused from now on, over REST and MQTT, and the unit's session ends. The unit is back as soon as it
    has its new `env.json`, which carries the new token.
    """
    return UnitTokenRead(token=await registry.unit_tokens.reissue(agent, uuid))


@routes.post("/revoke_token/{uuid}", token=Token.REQUIRED, errors=(NoAccessError("only the creator may do this"),))
async def revoke_unit_token(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """End the unit's token without a new one in the answer; the creator may, and an Admin.

    The unit stays out until its creator has given it the `env.json` of that moment.
    """
    await registry.unit_tokens.revoke(agent, uuid)
