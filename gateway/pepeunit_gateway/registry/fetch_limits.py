"""How often people make the gateway fetch: a registry, an address, and how many registrations a user (W13).

All of it hangs on PU_MIN_INTERVAL_SYNC_REPOSITORY; with 0 nothing is limited. The gateway's own polls and the notices
of webhooks neither count here nor are refused.
"""

import math
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from pepeunit_gateway.errors import TooManyRequestsError
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["claim_fetch", "limit_registration", "note_fetch"]

_REGISTRATIONS = 10  # of a user, in this many seconds
_SPAN = 60.0


async def limit_registration(context: Context, user: UUID, url: str) -> None:
    """Count a registration of `url`, in its normal spelling, which fetches all of it anew.

    The counts outlive the row, so whoever deletes a registration gains nothing by it.

    Raises:
        TooManyRequestsError: the address was fetched a moment ago, by anybody, or the user registers too many.
    """
    interval = context.settings.min_interval_sync_repository
    if interval <= 0:
        return
    mine = await context.bus.increment(f"registrations:{user}", _SPAN)
    if mine.count > _REGISTRATIONS:
        wait = max(1, math.ceil(mine.seconds_left))
        raise TooManyRequestsError(
            f"you may register {_REGISTRATIONS} repositories in {_SPAN:g} s; try again in {wait} s", retry_after=wait
        )
    fetched = await context.bus.increment(_key(url), interval)
    if fetched.count > 1:
        wait = max(1, math.ceil(fetched.seconds_left))
        raise TooManyRequestsError(
            f"{url} was fetched less than {interval:g} s ago; try again in {wait} s", retry_after=wait
        )


async def note_fetch(context: Context, url: str) -> None:
    """Remember that somebody had a registered address fetched just now."""
    interval = context.settings.min_interval_sync_repository
    if interval > 0:
        await context.bus.reset(_key(url))
        await context.bus.increment(_key(url), interval)


async def claim_fetch(act: Act, context: Context, row: Row[Any]) -> None:
    """Let people, all of them together, fetch a registry once in PU_MIN_INTERVAL_SYNC_REPOSITORY.

    What counts is when somebody asked: a gateway that polls more often than that refuses nobody.

    Raises:
        TooManyRequestsError: somebody asked for it a moment ago.
    """
    interval = context.settings.min_interval_sync_repository
    last = row.asked_datetime
    left = 0.0 if last is None else interval - (act.now - last).total_seconds()
    if left > 0:
        raise TooManyRequestsError(
            f"the repository was synchronised less than {interval:g} s ago; try again later",
            retry_after=min(math.ceil(left), math.ceil(interval)),
        )
    table = repository_registry
    values = {"asked_datetime": act.now}
    await act.connection.execute(table.update().where(table.c.uuid == row.uuid).values(values))


def _key(url: str) -> str:
    return "fetched:" + sha256(url.encode()).hexdigest()
