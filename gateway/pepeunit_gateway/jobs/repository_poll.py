"""Notice pushes by polling. Source: protocol/jobs_and_integrations.md 9.2, W19-W21, W50 and W51."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
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
_LONGEST_PAUSE = 3600.0


class RepositoryPoll:
    """Fetches every repository and lets auto-updating units follow.

    A registry that fails is left alone for twice as long each time, up to an hour, so that dead servers cost the
    living ones nothing; whoever asks for a synchronisation over REST gets it at once.
    """

    def __init__(self, registry: Registry, interval: float, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._interval = interval
        self._clock = clock
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._failures: dict[UUID, tuple[int, datetime]] = {}

    async def run(self) -> None:
        """Look at every auto-updating Repo, then fetch; what a fetch brought goes out at once.

        The first step does not depend on what was fetched in this run: what a crash left undone is found by comparing.
        """
        await self._registry.updates.update_all()
        mirrors = self._registry.context.mirrors
        present = mirrors.registries()  # before the rows are read: a registration writes its row first
        async with self._registry.context.database.read() as connection:
            uuids = list((await connection.execute(select(repository_registry.c.uuid))).scalars())
        for orphan in present - set(uuids):
            await mirrors.remove(orphan)
        now = self._clock()
        self._failures = {uuid: failure for uuid, failure in self._failures.items() if uuid in set(uuids)}
        due = [uuid for uuid in uuids if uuid not in self._failures or self._failures[uuid][1] <= now]
        await asyncio.gather(*(self._follow(uuid) for uuid in due))

    async def _follow(self, uuid: UUID) -> None:
        async with self._slots:
            try:
                succeeded, changed = await sync_repository(self._registry.context, uuid)
            except NotFoundError:  # deleted meanwhile
                return
            except Exception:  # the root of one registry's turn: it harms no other (W21)
                log.exception("repository.poll.failed", repository=str(uuid))
                succeeded, changed = False, False
        self._note(uuid, succeeded=succeeded)
        if changed:
            log.info("repository.changed", repository=str(uuid))
            await self._registry.updates.update_registry(uuid)

    def _note(self, uuid: UUID, *, succeeded: bool) -> None:
        if succeeded:
            self._failures.pop(uuid, None)
            return
        count = self._failures.get(uuid, (0, self._clock()))[0] + 1
        pause = min(self._interval * 2 ** min(count - 1, 16), _LONGEST_PAUSE)
        self._failures[uuid] = (count, self._clock() + timedelta(seconds=pause * 0.9))
