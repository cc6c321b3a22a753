"""Carry a change of access to the live sessions of the broker (W5): within a second, usually within milliseconds."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

from pepeunit_gateway.broker.port import BrokerPort
from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.grants import load_grants

__all__ = ["follow_access", "follow_removals", "renew_grants"]


async def follow_access(context: Context, broker: BrokerPort, changed: Subscription) -> None:
    """Load the grants of every unit whose access changed and hand them to the broker, until cancelled."""
    await _follow(changed, partial(renew_grants, context, broker))


async def renew_grants(context: Context, broker: BrokerPort, unit: UUID) -> None:
    """Hand the broker what the unit may do at this moment."""
    await broker.grant(unit, await load_grants(context, unit))


async def follow_removals(broker: BrokerPort, removed: Subscription) -> None:
    """End the sessions of units that are gone or whose token was revoked, until cancelled."""
    await _follow(removed, broker.revoke)


async def _follow(subscription: Subscription, act: Callable[[UUID], Awaitable[None]]) -> None:
    async for news in subscription:
        waiting = set(news.uuids)
        try:
            for unit in news.uuids:
                await act(unit)
                waiting.discard(unit)
        finally:
            subscription.add(waiting)  # whatever stopped this run, the next one finds what is left
