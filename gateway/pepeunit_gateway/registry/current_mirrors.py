"""Nodes and commands follow the recorded state of a repository only; a mirror that lacks it is fetched first.

Of several gateways each has mirrors of its own. By an older one, nodes of the present program would be deleted with
their telemetry and units sent back. Where a gateway is alone nothing of this is asked (docs/scaling.md). W22 and W44.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from pepeunit_gateway.errors import MirrorBehindError, NotFoundError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.refs_states import StateMovedError, read_state
from pepeunit_gateway.registry.releases import Reading
from pepeunit_gateway.registry.syncing import sync_repository

__all__ = ["current_state", "retried"]

_Result = TypeVar("_Result")

_TRIES = 3


async def current_state(context: Context, registry: UUID, *, fetch: bool = True) -> str | None:
    """Return the fingerprint of what the mirror has, which is the recorded state; None if there is neither.

    To be asked for before a target is resolved, and required in the transaction that writes by it
    (refs_states.py). With `fetch` a mirror that has another state is fetched first.

    Raises:
        MirrorBehindError: it has another one.
    """
    key = context.mirrors.key(registry)
    if not context.bus.shared:
        return key
    fetched = True
    for _ in range(_TRIES):
        recorded = await read_state(context, registry)
        if recorded is None or recorded.key == key:
            return key
        if not fetch or not fetched:
            break
        fetched = await context.catch_ups.run(registry, partial(_fetch, context, registry))
        key = context.mirrors.key(registry)
    raise MirrorBehindError(
        "another gateway knows a newer state of the repository than this one, which has not fetched it yet; try again "
        "in a few seconds. If it stays so, check that this gateway reaches the git server"
    )


async def retried(attempt: Callable[[], Awaitable[_Result]]) -> _Result:
    """Begin anew where news of the repository came between `current_state` and the transaction."""
    for _ in range(_TRIES - 1):
        try:
            return await attempt()
        except StateMovedError:
            continue
    return await attempt()


async def _fetch(context: Context, registry: UUID) -> bool:
    try:
        succeeded, _ = await sync_repository(context, registry, releases=Reading.NEVER)
    except NotFoundError:
        return False
    return succeeded
