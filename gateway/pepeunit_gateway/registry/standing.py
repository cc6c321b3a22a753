"""Whether who asks may still ask at the moment of writing (decisions.md 3).

A request is let in by its token, and then it may wait: for the rest of its body, for its turn to hash a password, for
git, for the writers before it. Whoever held a stolen token could have requests wait like that and outlive the password
that was changed to end it. So every act of an agent looks again, in its own transaction: acts run alone, and what ends
a token is an act too.
"""

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, AgentType, UserStatus
from pepeunit_gateway.errors import UnauthorizedError
from pepeunit_gateway.storage.own_tables import named_tokens
from pepeunit_gateway.storage.tables import units, users

__all__ = ["require_standing"]

_USER = select(users.c.token_generation, users.c.status).where(users.c.uuid == bindparam("agent"))
_PROGRAM = select(named_tokens.c.uuid).where(
    named_tokens.c.uuid == bindparam("token"), named_tokens.c.user_uuid == bindparam("agent")
)
_UNIT = select(units.c.token_generation).where(units.c.uuid == bindparam("agent"))


async def require_standing(connection: AsyncConnection, agent: Agent) -> None:
    """Refuse an agent who is gone or blocked, or whose token was revoked, since the request was let in.

    A named token ends with its row; a block deletes those of the user. An agent without a row always passes.

    Raises:
        UnauthorizedError: the token is not valid any more.
    """
    if agent.type is AgentType.UNIT:
        row = (await connection.execute(_UNIT, {"agent": agent.uuid})).one_or_none()
        stands = row is not None and row.token_generation == agent.generation
    elif agent.type is not AgentType.USER:
        stands = True
    elif agent.named_token is not None:
        values = {"token": agent.named_token, "agent": agent.uuid}
        stands = (await connection.execute(_PROGRAM, values)).one_or_none() is not None
    else:
        row = (await connection.execute(_USER, {"agent": agent.uuid})).one_or_none()
        stands = row is not None and row.status != UserStatus.BLOCKED.value and row.token_generation == agent.generation
    if not stands:
        raise UnauthorizedError("Token was revoked")
