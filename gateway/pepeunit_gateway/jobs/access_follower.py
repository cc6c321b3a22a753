"""Carry a change of access to the live sessions of the broker (W5): within a second, usually within milliseconds."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from uuid import UUID

import structlog

from pepeunit_gateway.broker.port import BrokerPort
from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.device_login import refused_units
from pepeunit_gateway.registry.grants import load_grants, load_grants_of

__all__ = ["follow_access", "follow_removals", "renew_grants"]

log = structlog.get_logger(__name__)

_CHUNK = 200


async def follow_access(context: Context, broker: BrokerPort, changed: Subscription) -> None:
    """Load the grants of every unit whose access changed and hand them to the broker, until cancelled.

    Where something may have been missed, those of every connected unit.
    """
    await _follow(changed, partial(_renew, context, broker), partial(_renew_connected, context, broker))


async def renew_grants(context: Context, broker: BrokerPort, unit: UUID) -> None:
    """Hand the broker what the unit may do at this moment."""
    await broker.grant(unit, await load_grants(context, unit))


async def follow_removals(context: Context, broker: BrokerPort, removed: Subscription) -> None:
    """End the sessions of units that are gone or whose token was revoked, until cancelled.

    Where something may have been missed, every connected unit is looked at.
    """
    await _follow(removed, partial(_revoke, broker), partial(_revoke_refused, context, broker))


async def _renew(context: Context, broker: BrokerPort, units: list[UUID]) -> None:
    for unit, grants in (await load_grants_of(context, units)).items():
        await broker.grant(unit, grants)


async def _renew_connected(context: Context, broker: BrokerPort) -> None:
    for units in _chunks(await broker.connected_units()):
        await _renew(context, broker, units)


async def _revoke(broker: BrokerPort, units: list[UUID]) -> None:
    for unit in units:
        await broker.revoke(unit)


async def _revoke_refused(context: Context, broker: BrokerPort) -> None:
    sessions = await broker.connected_units()
    for units in _chunks(sessions):
        refused = await refused_units(context, {unit: sessions[unit] for unit in units})
        if refused:
            log.info("access.revoked.late", units=len(refused), note="the change itself was never heard of")
            await _revoke(broker, list(refused))


def _chunks(units: Iterable[UUID]) -> Iterator[list[UUID]]:
    remaining = iter(units)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


async def _follow(
    subscription: Subscription,
    act: Callable[[list[UUID]], Awaitable[None]],
    act_on_all: Callable[[], Awaitable[None]],
) -> None:
    async for news in subscription:
        waiting = set(news.uuids)
        everything = news.everything
        try:
            for units in _chunks(news.uuids):
                await act(units)
                waiting.difference_update(units)
            if everything:
                await act_on_all()
                everything = False
        finally:  # whatever stopped this run, the next one finds what is left
            subscription.add(waiting)
            if everything:
                subscription.miss()
