"""From a token to an agent: the entity is read anew for every request. Source: protocol/security.md 3.1."""

from typing import Any

from sqlalchemy import Row, Select, select

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, Scope, UserRole, UserStatus
from pepeunit_gateway.access.tokens import Claims, read_token
from pepeunit_gateway.errors import NoAccessError, UnauthorizedError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.storage.tables import named_tokens, units, users

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
        settings = self._context.settings
        claims = read_token(
            token,
            secrets=self._context.secrets,
            now=self._context.clock(),
            backend_domain=settings.domain if settings.allow_external_datapipe else None,
        )
        if claims.type is AgentType.BACKEND:
            return Agent(AgentType.BACKEND, claims.uuid)
        if claims.type is AgentType.UNIT:
            return await self._unit(claims)
        return await (self._user(claims) if claims.named_token is None else self._program(claims))

    async def _user(self, claims: Claims) -> Agent:
        query = select(users.c.role, users.c.status, users.c.token_generation).where(users.c.uuid == claims.uuid)
        row = await self._read(query)
        if row is None:
            raise UnauthorizedError("User not found")
        if row.token_generation != claims.generation:
            raise UnauthorizedError("Token was revoked")
        _check_status(row)
        return Agent(AgentType.USER, claims.uuid, UserRole(row.role), generation=claims.generation)

    async def _program(self, claims: Claims) -> Agent:
        query = (
            select(users.c.role, users.c.status, named_tokens.c.scope)
            .join(named_tokens, named_tokens.c.user_uuid == users.c.uuid)
            .where(named_tokens.c.uuid == claims.named_token, users.c.uuid == claims.uuid)
        )
        row = await self._read(query)
        if row is None:
            raise UnauthorizedError("Token was revoked")
        _check_status(row)
        scope = Scope(row.scope)
        return Agent(AgentType.USER, claims.uuid, UserRole(row.role), scope, named_token=claims.named_token)

    async def _unit(self, claims: Claims) -> Agent:
        row = await self._read(select(units.c.token_generation).where(units.c.uuid == claims.uuid))
        if row is None:
            raise UnauthorizedError("Unit not found")
        if row.token_generation != claims.generation:
            raise UnauthorizedError("Token was revoked")
        return Agent(AgentType.UNIT, claims.uuid, generation=claims.generation)

    async def _read(self, query: Select[Any]) -> Row[Any] | None:
        async with self._context.database.read() as connection:
            row: Row[Any] | None = (await connection.execute(query)).one_or_none()
        return row


def _check_status(row: Row[Any]) -> None:
    if row.status == UserStatus.BLOCKED:
        raise NoAccessError("User is blocked")
