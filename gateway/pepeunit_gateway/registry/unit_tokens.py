"""The tokens of units: what is in the hands of the wrong one can be ended. Source: decisions.md 3 and 16; W4, W5.

A unit has one token. Its generation is raised, and every token of an earlier one is refused from that moment, at REST
and at the broker; `env.json` carries the new one at its next read.
"""

from collections.abc import Callable
from uuid import UUID

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.rules import require_creator, require_creator_or_admin, require_user
from pepeunit_gateway.access.tokens import unit_token
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.registry.audit import Action, Subject, record
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.targets import load_unit
from pepeunit_gateway.storage.tables import units

__all__ = ["UnitTokens"]


class UnitTokens:
    """Reissuing and revoking."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reissue(self, agent: Agent, uuid: UUID) -> str:
        """End the unit's token and its session, and return the new token; the creator may."""
        generation = await self._end(agent, uuid, require_creator, Action.UNIT_TOKEN_REISSUED)
        return unit_token(uuid, secret=self._context.secret, generation=generation)

    async def revoke(self, agent: Agent, uuid: UUID) -> None:
        """End the unit's token and its session; the creator may, and an Admin, who gets no new token."""
        await self._end(agent, uuid, require_creator_or_admin, Action.UNIT_TOKEN_REVOKED)

    async def _end(
        self, agent: Agent, uuid: UUID, require: Callable[[Agent, UUID | None], UUID], action: Action
    ) -> int:
        """Let the agent pass that `require` lets pass, end token and session, and return the new generation."""
        require_user(agent)
        async with self._context.act(agent) as act:
            row = await load_unit(act.connection, uuid)
            require(agent, row.creator_uuid)
            generation: int = row.token_generation + 1
            await act.connection.execute(
                units.update()
                .where(units.c.uuid == uuid)
                .values(token_generation=generation, last_update_datetime=act.now)
            )
            act.announce(Change.UNIT_REMOVED, [uuid])
            await record(act, agent, action=action, subject=Subject("Unit", uuid, row.name))
        return generation
