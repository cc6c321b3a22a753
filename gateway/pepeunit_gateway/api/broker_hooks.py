"""What brokers of the field ask for. Source: protocol/security.md 4.6, decisions.md 12."""

from typing import ClassVar, Literal

from pydantic import Field

from pepeunit_gateway.api.models import BodyModel, ReadModel
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.topic_hook import allows_topic

__all__ = ["routes"]

routes = RouteTable("/units", tag="Broker hooks", about="What an MQTT broker asks.", entity="unit")


class TopicBody(BodyModel):
    examples: ClassVar = {
        "A data pipe": {"token": "the-token-of-a-data-pipe", "topic": "devices.example.org/+/pepeunit"}
    }

    token: str = Field(repr=False)
    topic: str


class TopicVerdict(ReadModel):
    result: Literal["allow", "deny"]


@routes.post("/auth", token=Token.NONE)
async def authorize_topic(registry: Registry, body: TopicBody) -> TopicVerdict:
    """Tell an old broker's hook whether a token may use a topic.

    It does not say what is to be done with it, so that units are denied: their broker is the gateway's own. A data pipe
    in the field may subscribe to `<domain>/+/pepeunit` where PU_ALLOW_EXTERNAL_DATAPIPE lets it in.
    """
    allowed = await allows_topic(registry.context, registry.agents, body.token, body.topic)
    return TopicVerdict(result="allow" if allowed else "deny")
