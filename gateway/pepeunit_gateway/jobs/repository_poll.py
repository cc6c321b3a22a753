"""Notice pushes by polling. Source: protocol/jobs_and_integrations.md 9.2, W19-W21, W50 and W51."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from sqlalchemy import select

from pepeunit_gateway.errors import NotFoundError, RepositoryRegistryError
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["RepositoryPoll"]

log = structlog.get_logger(__name__)

_AT_ONCE_PER_SERVER = 2
_LONGEST_PAUSE = 3600.0


def _slots() -> asyncio.Semaphore:
    return asyncio.Semaphore(_AT_ONCE_PER_SERVER)


class RepositoryPoll:
    """Fetches every repository and lets auto-updating units follow.

    Each registry has a task of its own, and at most two of one git server work at a time, so a server that is slow or
    silent delays only its own. A registry that failed is left alone for twice as long each time, up to an hour; whoever
    asks for a synchronisation over REST gets it at once.
    """

    def __init__(self, registry: Registry, interval: float, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._interval = interval
        self._clock = clock
        self._servers: dict[str, asyncio.Semaphore] = {}
        self._failures: dict[UUID, tuple[int, datetime]] = {}
        self._fetching: dict[UUID, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look at every auto-updating Repo, then begin to fetch; what a fetch brings goes out at once.

        The first step does not depend on what was fetched before: what a crash left undone is found by comparing.
        """
        await self._registry.updates.update_all()
        mirrors = self._registry.context.mirrors
        present = mirrors.registries()  # before the rows are read: a registration writes its row first
        async with self._registry.context.database.read() as connection:
            query = select(repository_registry.c.uuid, repository_registry.c.repository_url)
            servers = {row.uuid: urlsplit(row.repository_url).netloc for row in await connection.execute(query)}
        for orphan in present - servers.keys():
            await self._remove(orphan)
        now = self._clock()
        self._failures = {uuid: failure for uuid, failure in self._failures.items() if uuid in servers}
        self._servers = {name: self._servers.get(name) or _slots() for name in servers.values()}
        for uuid in servers.keys() - self._fetching.keys():
            if uuid not in self._failures or self._failures[uuid][1] <= now:
                turn = self._follow(uuid, self._servers[servers[uuid]])
                self._fetching[uuid] = asyncio.create_task(turn, name=f"fetch-{uuid}")

    async def settle(self) -> None:
        """Wait until no fetch is under way."""
        while self._fetching:
            await asyncio.wait(self._fetching.values())

    async def stop(self) -> None:
        """Cancel what is under way; git processes end with their fetch."""
        for task in tuple(self._fetching.values()):
            task.cancel()
        await self.settle()

    async def _follow(self, uuid: UUID, slots: asyncio.Semaphore) -> None:
        try:
            async with slots:
                succeeded, changed = await sync_repository(self._registry.context, uuid)
            self._note(uuid, succeeded=succeeded)
            if changed:
                log.info("repository.changed", repository=str(uuid))
                await self._registry.updates.update_registry(uuid)
        except NotFoundError:  # deleted meanwhile
            return
        except Exception:  # the root of one registry's task: it harms no other (W21)
            log.exception("repository.poll.failed", repository=str(uuid))
            self._note(uuid, succeeded=False)
        finally:
            del self._fetching[uuid]

    def _note(self, uuid: UUID, *, succeeded: bool) -> None:
        if succeeded:
            self._failures.pop(uuid, None)
            return
        count = self._failures.get(uuid, (0, self._clock()))[0] + 1
        pause = min(self._interval * 2 ** min(count - 1, 16), _LONGEST_PAUSE)
        self._failures[uuid] = (count, self._clock() + timedelta(seconds=pause * 0.9))

    async def _remove(self, orphan: UUID) -> None:
        try:
            await self._registry.context.forget_repository(orphan)
        except RepositoryRegistryError as error:
            log.warning("repository.mirror.stays", repository=str(orphan), reason=error.message)
