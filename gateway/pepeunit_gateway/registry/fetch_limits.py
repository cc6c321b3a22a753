"""How often people make the gateway fetch a registry (W13).

With PU_MIN_INTERVAL_SYNC_REPOSITORY=0 nothing is limited. The gateway's own polls and the notices of webhooks neither
count here nor are refused.
"""

import math
from typing import Any

from sqlalchemy import Row

from pepeunit_gateway.errors import TooManyRequestsError
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["claim_fetch"]


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
