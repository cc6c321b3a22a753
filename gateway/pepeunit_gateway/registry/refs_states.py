"""Which state of its branches and tags a registry has, as all gateways know it: the last that one of them recorded.

Every gateway has mirrors of its own, and one may be older than another's. A state is recorded by whoever fetched it,
and only if nobody recorded another since the fetch began: each recorded state was therefore seen at the git server
after the one before had been recorded. A fetch that is late never takes the place of one that began after it, and a
branch that was pushed back to an earlier commit is news like any other.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.errors import MirrorBehindError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.storage.tables import repos, repository_registry

__all__ = ["RECORDED_KEY", "RefsState", "StateMovedError", "read_state", "record_state", "require_state"]

log = structlog.get_logger(__name__)

_TABLE = repository_registry

RECORDED_KEY = (
    select(_TABLE.c.refs_key)
    .where(_TABLE.c.uuid == repos.c.repository_registry_uuid)
    .correlate(repos)
    .scalar_subquery()
    .label("refs_key")
)
"""Of a row of `repos`: the fingerprint of the recorded state of its registry; NULL if none was recorded yet."""


class StateMovedError(MirrorBehindError):
    """News of the repository came since its state was asked for; beginning anew helps."""


@dataclass(frozen=True, slots=True)
class RefsState:
    """`number` grows with every state that is recorded; `key` is the fingerprint of one, None before the first."""

    number: int
    key: str | None


async def read_state(context: Context, registry: UUID) -> RefsState | None:
    """Return the recorded state; None if the registry has gone."""
    async with context.database.read() as connection:
        return _state((await connection.execute(_select(registry))).one_or_none())


async def record_state(context: Context, registry: UUID, began: RefsState) -> RefsState | None:
    """Record what the mirror has after a fetch that began when `began` was the recorded state.

    Return what somebody else recorded meanwhile, if that is another state: which of the two is newer is not known, so
    another fetch must begin with it. None: it is recorded, or the registry has gone.
    """
    key = context.mirrors.key(registry)
    if key is None or key == began.key:
        return None
    mine = (_TABLE.c.uuid == registry) & (_TABLE.c.refs_number == began.number)
    async with context.database.write() as connection:
        change = _TABLE.update().where(mine).values(refs_number=began.number + 1, refs_key=key)
        if (await connection.execute(change)).rowcount:
            return None
        present = _state((await connection.execute(_select(registry))).one_or_none())
    if present is None or present.key == key:
        return None
    log.info("repository.state.raced", repository=str(registry), began=began.number, present=present.number)
    return present


async def require_state(context: Context, connection: AsyncConnection, registry: UUID, key: str | None) -> None:
    """Refuse to write by another state than the recorded one; part of the transaction that writes.

    Where this gateway is the only one, its mirror is what counts and nothing is asked.

    Raises:
        StateMovedError: the mirror or what is recorded is another one by now.
    """
    if not context.bus.shared:
        return
    state = _state((await connection.execute(_select(registry))).one_or_none())
    if state is not None and not state.key == key == context.mirrors.key(registry):
        raise StateMovedError("the repository got news at this very moment; try again in a few seconds")


def _select(registry: UUID) -> Select[tuple[int, str | None]]:
    return select(_TABLE.c.refs_number, _TABLE.c.refs_key).where(_TABLE.c.uuid == registry)


def _state(row: Row[Any] | None) -> RefsState | None:
    return None if row is None else RefsState(row.refs_number, row.refs_key)
