"""From a token to an agent: the entity is read anew for every request. Source: protocol/security.md 3.1."""

from sqlalchemy import select

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, UserRole, UserStatus
from pepeunit_gateway.access.tokens import Claims, read_token
from pepeunit_gateway.errors import NoAccessError, UnauthorizedError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.storage.tables import units, users

__all__ = ["Agents"]


class Agents:
    """Tells who holds a token."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def identify(self, token: str | None) -> Agent:
        """Return the agent; without a token it is Bot.

        Raises:
            UnauthorizedError: the token is invalid, expired, revoked, or its holder is gone.
            NoAccessError: the user is blocked.
        """
        if not token:
            return BOT
        claims = read_token(token, secret=self._context.secret, now=self._context.clock())
        if claims.type is AgentType.USER:
            return await self._user(claims)
        return await self._unit(claims)

    async def _user(self, claims: Claims) -> Agent:
        query = select(users.c.role, users.c.status, users.c.token_generation).where(users.c.uuid == claims.uuid)
        async with self._context.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise UnauthorizedError("User not found")
        if row.token_generation != claims.generation:
            raise UnauthorizedError("Token was revoked")
        if row.status == UserStatus.BLOCKED:
            raise NoAccessError("User is blocked")
        return Agent(AgentType.USER, claims.uuid, UserRole(row.role))

    async def _unit(self, claims: Claims) -> Agent:
        query = select(units.c.token_generation).where(units.c.uuid == claims.uuid)
        async with self._context.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise UnauthorizedError("Unit not found")
        if row.token_generation != claims.generation:
            raise UnauthorizedError("Token was revoked")
        return Agent(AgentType.UNIT, claims.uuid)
