"""The old hook of brokers, told a token and a topic but not what is to be done. Source: decisions.md 8 and 12."""

from pepeunit_gateway.access.agents import AgentType
from pepeunit_gateway.access.grants import data_pipe_filter
from pepeunit_gateway.errors import NoAccessError
from pepeunit_gateway.registry.agents import Agents
from pepeunit_gateway.registry.context import Context

__all__ = ["allows_topic"]


async def allows_topic(context: Context, agents: Agents, token: str, topic: str) -> bool:
    """Tell whether a token may use a topic, for whatever it is.

    Units are always denied: without the action nobody can tell reading from writing (W3). A data pipe in the field that
    is let in may have its one subscription.
    """
    if topic != data_pipe_filter(context.settings.domain):
        return False
    try:
        agent = await agents.identify(token)
    except NoAccessError:
        return False
    return agent.type is AgentType.BACKEND
