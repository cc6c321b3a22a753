"""Who connects to the broker, and with which rights. Source: protocol/security.md 3.1, decisions.md 1 and 10."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from pepeunit_gateway.access.agents import AgentType
from pepeunit_gateway.broker.port import ConnectRefused, Identity, RefuseReason
from pepeunit_gateway.errors import NoAccessError
from pepeunit_gateway.registry.agents import Agents
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.grants import load_grants
from pepeunit_gateway.storage.tables import units

__all__ = ["DeviceLogin", "refused_units"]


class DeviceLogin:
    """The authenticator of the broker port."""

    def __init__(self, context: Context, agents: Agents) -> None:
        self._context = context
        self._agents = agents

    async def __call__(self, token: str, client_id: str) -> Identity:
        """Check the token (MQTT username) and the client id, and load the unit's grants.

        Raises:
            ConnectRefused: BAD_CREDENTIALS, CLIENT_ID (it is another unit's uuid) or UNAVAILABLE (no database).
        """
        try:
            agent = await self._agents.identify(token)
            if agent.type is not AgentType.UNIT or agent.uuid is None:
                raise ConnectRefused(RefuseReason.BAD_CREDENTIALS)
            if await self._names_another(client_id, agent.uuid):
                raise ConnectRefused(RefuseReason.CLIENT_ID)
            return Identity(agent.uuid, await load_grants(self._context, agent.uuid), agent.generation)
        except NoAccessError:
            raise ConnectRefused(RefuseReason.BAD_CREDENTIALS) from None
        except SQLAlchemyError:
            raise ConnectRefused(RefuseReason.UNAVAILABLE) from None

    async def _names_another(self, client_id: str, unit: UUID) -> bool:
        try:
            claimed = UUID(client_id)
        except ValueError:
            return False
        if claimed == unit:
            return False
        async with self._context.database.read() as connection:
            return (await connection.execute(select(units.c.uuid).where(units.c.uuid == claimed))).first() is not None


async def refused_units(context: Context, sessions: Mapping[UUID, int]) -> set[UUID]:
    """Return which of these units are gone or would be refused with a token of this generation; in one statement."""
    query = select(units.c.uuid, units.c.token_generation).where(units.c.uuid.in_(list(sessions)))
    async with context.database.read() as connection:
        current = {row.uuid: row.token_generation for row in await connection.execute(query)}
    return {unit for unit, generation in sessions.items() if current.get(unit) != generation}
