"""How far a token reaches, whatever its holder may do. Source: decisions.md 3 and 8.

The API asks once, for every route, with what the route declares about itself.
"""

from pepeunit_gateway.access.agents import Agent, AgentType, Scope
from pepeunit_gateway.errors import NoAccessError

__all__ = ["check_scope"]


def check_scope(agent: Agent, *, reading: bool, secret: bool, login_only: bool) -> None:
    """Refuse a token that does not reach to a route.

    Args:
        agent: who asks, and with which token.
        reading: the route changes nothing.
        secret: its answer holds secrets: keys, tokens, whole programs with their settings.
        login_only: it manages users, passwords or tokens, which a program cannot, so that a stolen named token cannot
            be turned into more.

    Raises:
        NoAccessError: a named token is not enough, or only a data pipe's connection to the broker is open to it.
    """
    if agent.type is AgentType.BACKEND:
        raise NoAccessError("a Backend token only subscribes over MQTT")
    if agent.named_token is None:
        return
    if login_only:
        raise NoAccessError("a named token cannot manage users, passwords and tokens; log in")
    if agent.scope is Scope.READ and not reading:
        raise NoAccessError("this named token has the scope Read; this needs Write")
    if agent.scope is Scope.READ and secret:
        raise NoAccessError("this named token has the scope Read, which gives no secrets; this needs Write")
