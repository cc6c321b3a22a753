"""From a token to an agent: the entity is read anew for every request. Source: protocol/security.md 3.1."""

from sqlalchemy import select

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, Scope, UserRole, UserStatus
from pepeunit_gateway.access.tokens import Claims, read_token
from pepeunit_gateway.errors import NoAccessError, UnauthorizedError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.storage.own_tables import named_tokens
from pepeunit_gateway.storage.queries import FixedQuery, parameter
from pepeunit_gateway.storage.tables import units, users

__all__ = ["Agents"]

_USER = FixedQuery(
    select(users.c.role, users.c.status, users.c.token_generation).where(users.c.uuid == parameter("uuid"))
)
_PROGRAM = FixedQuery(
    select(users.c.role, users.c.status, named_tokens.c.scope)
    .join(named_tokens, named_tokens.c.user_uuid == users.c.uuid)
    .where(named_tokens.c.uuid == parameter("token"), users.c.uuid == parameter("uuid"))
)
_UNIT = FixedQuery(select(units.c.token_generation).where(units.c.uuid == parameter("uuid")))


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
        claims = self._read(token)
        if claims.type is AgentType.BACKEND:
            return Agent(AgentType.BACKEND, claims.uuid)
        if claims.type is AgentType.UNIT:
            return await self._unit(claims)
        return await (self._user(claims) if claims.named_token is None else self._program(claims))

    def check(self, token: str | None) -> None:
        """Refuse what no database is needed for to know that it is no valid token.

        Raises:
            UnauthorizedError: it is invalid or expired.
        """
        if token:
            self._read(token)

    def _read(self, token: str) -> Claims:
        settings = self._context.settings
        return read_token(
            token,
            secrets=self._context.secrets,
            now=self._context.clock(),
            backend_domain=settings.domain if settings.allow_external_datapipe else None,
        )

    async def _user(self, claims: Claims) -> Agent:
        rows = await self._context.database.fetch(_USER, uuid=claims.uuid)
        if not rows:
            raise UnauthorizedError("User not found")
        role, status, generation = rows[0]
        if generation != claims.generation:
            raise UnauthorizedError("Token was revoked")
        _check_status(status)
        return Agent(AgentType.USER, claims.uuid, UserRole(role), generation=claims.generation)

    async def _program(self, claims: Claims) -> Agent:
        rows = await self._context.database.fetch(_PROGRAM, token=claims.named_token, uuid=claims.uuid)
        if not rows:
            raise UnauthorizedError("Token was revoked")
        role, status, scope = rows[0]
        _check_status(status)
        return Agent(AgentType.USER, claims.uuid, UserRole(role), Scope(scope), named_token=claims.named_token)

    async def _unit(self, claims: Claims) -> Agent:
        rows = await self._context.database.fetch(_UNIT, uuid=claims.uuid)
        if not rows:
            raise UnauthorizedError("Unit not found")
        if rows[0][0] != claims.generation:
            raise UnauthorizedError("Token was revoked")
        return Agent(AgentType.UNIT, claims.uuid, generation=claims.generation)


def _check_status(status: str) -> None:
    if status == UserStatus.BLOCKED:
        raise NoAccessError("User is blocked")
