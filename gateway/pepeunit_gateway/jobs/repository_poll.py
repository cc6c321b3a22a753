"""Notice pushes by polling. Source: protocol/jobs_and_integrations.md 9.2, W19-W21, W50 and W51."""

import asyncio
from uuid import UUID

import structlog
from sqlalchemy import select

from pepeunit_gateway.errors import NotFoundError
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["RepositoryPoll"]

log = structlog.get_logger(__name__)

_AT_ONCE = 4


class RepositoryPoll:
    """Fetches every repository and lets auto-updating units follow."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Fetch all, then look at every auto-updating Repo.

        The second step does not depend on what changed in this run: what a crash left undone is found by comparing.
        """
        async with self._registry.context.database.read() as connection:
            uuids = list((await connection.execute(select(repository_registry.c.uuid))).scalars())
        changed = await asyncio.gather(*(self._fetch(uuid) for uuid in uuids))
        if any(changed):
            log.info("repository.poll.changed", repositories=sum(changed))
        await self._registry.updates.update_all()

    async def _fetch(self, uuid: UUID) -> bool:
        async with self._slots:
            try:
                return await sync_repository(self._registry.context, uuid)
            except NotFoundError:  # deleted meanwhile
                return False
