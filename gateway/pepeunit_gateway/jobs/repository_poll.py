"""Notice pushes by polling. Source: protocol/jobs_and_integrations.md 9.2, W19-W21, W50 and W51."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from sqlalchemy import select

from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.errors import NotFoundError, RepositoryRegistryError
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.registry.job_runs import Report
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.releases import Reading
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.registry.updates import Commanded, Updates
from pepeunit_gateway.storage.fences import LeaseLostError
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

    Of several gateways on one database each has mirrors of its own and fetches into them; the one on duty commands the
    units. A gateway that came on duty commands to nothing that it has not fetched since: the one before may have known
    a newer commit. Without `duty` there is no other gateway.
    """

    def __init__(
        self, registry: Registry, interval: float, clock: Callable[[], datetime], *, duty: Duty | None = None
    ) -> None:
        self._registry = registry
        self._interval = interval
        self._clock = clock
        self._duty = duty
        self._on_duty_since: int | None = None
        self._old: set[UUID] = set()  # registries not fetched since this gateway came on duty
        self._owed: set[UUID] = set()  # of these, those whose units are to be commanded once more
        self._again: set[UUID] = set()  # to be fetched once more: others told of news while it was being fetched
        self._servers: dict[str, asyncio.Semaphore] = {}
        self._failures: dict[UUID, tuple[int, datetime]] = {}
        self._fetching: dict[UUID, asyncio.Task[None]] = {}
        self._tally: Counter[str] = Counter()

    async def report(self) -> Report:
        """Do `run` and tell what came of it: of the fetches that end within half the interval, and of late ones before.

        So a server that is slow delays nobody's next turn.
        """
        await self.run()
        if self._fetching:
            await asyncio.wait(self._fetching.values(), timeout=self._interval / 2)
        tally, self._tally = self._tally, Counter()
        done = {name: tally[name] for name in ("changed", "failed", "commanded", "removed")}
        return Report(done, {"fetched": tally["fetched"], "under_way": len(self._fetching)})

    async def run(self) -> None:
        """Look at every auto-updating Repo, then begin to fetch; what a fetch brings goes out at once.

        The first step does not depend on what was fetched before: what a crash left undone is found by comparing.
        """
        mirrors = self._registry.context.mirrors
        present = mirrors.registries()  # before the rows are read: a registration writes its row first
        servers = await self._servers_of(None)
        self._tally["commanded"] += (await self._update(servers.keys())).units
        for orphan in present - servers.keys():
            await self._remove(orphan)
        now = self._clock()
        self._failures = {uuid: failure for uuid, failure in self._failures.items() if uuid in servers}
        self._servers = {name: self._servers.get(name) or _slots() for name in servers.values()}
        for uuid in servers.keys() - self._fetching.keys():
            if uuid not in self._failures or self._failures[uuid][1] <= now:
                self._begin(uuid, servers[uuid])

    async def resend(self) -> Commanded:
        """Command anew what does not run its target: clients in the field miss commands while they are offline.

        What was not fetched since this gateway came on duty is fetched now, and its units are commanded after that.
        """
        servers = await self._servers_of(None)
        commanded = await self._update(servers.keys(), again=True)
        self._owed = set(self._old)
        for uuid in self._owed - self._fetching.keys() - self._failures.keys():
            self._begin(uuid, servers[uuid])
        return commanded

    async def listen(self, news: Subscription) -> None:
        """Fetch at once what other gateways found something new in, until cancelled."""
        async for found in news:
            for uuid, server in (await self._servers_of(found.uuids)).items():
                if uuid in self._fetching:
                    self._again.add(uuid)
                else:
                    self._begin(uuid, server, told=True)

    async def settle(self) -> None:
        """Wait until no fetch is under way."""
        while self._fetching:
            await asyncio.wait(self._fetching.values())

    async def stop(self) -> None:
        """Cancel what is under way; git processes end with their fetch."""
        self._again.clear()
        for task in tuple(self._fetching.values()):
            task.cancel()
        await self.settle()

    async def _servers_of(self, which: Collection[UUID] | None) -> dict[UUID, str]:
        """Return the git servers of these registries, or of all."""
        query = select(repository_registry.c.uuid, repository_registry.c.repository_url)
        if which is not None:
            query = query.where(repository_registry.c.uuid.in_(list(which)))
        async with self._registry.context.database.read() as connection:
            return {row.uuid: urlsplit(row.repository_url).netloc for row in await connection.execute(query)}

    async def _update(self, registries: Collection[UUID], *, again: bool = False) -> Commanded:
        """Look at the Repos of what was fetched since this gateway came on duty; nothing while it is not."""
        lease = self._duty.lease if self._duty else None
        if self._duty is not None and (lease is None or lease.fence != self._on_duty_since):
            self._on_duty_since = lease.fence if lease else None
            self._old = set(registries)
            return Commanded()
        self._old &= set(registries)
        if not self._old:
            return await self._command(partial(Updates.update_all, again=again))
        commanded = Commanded()
        for uuid in set(registries) - self._old:
            commanded += await self._command(partial(Updates.update_registry, registry=uuid, again=again))
        return commanded

    async def _command(self, act: Callable[[Updates], Awaitable[Commanded]]) -> Commanded:
        """Command units if this gateway is the one to do so."""
        if self._duty is None:
            return await act(self._registry.updates)
        context = self._duty.context
        if context is None:
            return Commanded()
        try:
            return await act(Updates(context))
        except LeaseLostError:
            self._duty.refused()
            return Commanded()

    def _begin(self, uuid: UUID, server: str, *, told: bool = False) -> None:
        slots = self._servers.setdefault(server, _slots())
        turn = self._follow(uuid, server, slots, told=told)
        self._fetching[uuid] = asyncio.create_task(turn, name=f"fetch-{uuid}")

    async def _follow(self, uuid: UUID, server: str, slots: asyncio.Semaphore, *, told: bool) -> None:
        try:
            async with slots:
                reading = Reading.DUE if self._duty is None or self._duty.lease else Reading.NEVER
                context = self._registry.context
                succeeded, changed = await sync_repository(context, uuid, told=told, releases=reading)
            self._note(uuid, succeeded=succeeded)
            self._tally["fetched"] += succeeded
            if changed:
                self._tally["changed"] += 1
                log.info("repository.changed", repository=str(uuid))
            if changed or (succeeded and uuid in self._old):
                self._old.discard(uuid)
                again = uuid in self._owed
                self._owed.discard(uuid)
                commanded = await self._command(partial(Updates.update_registry, registry=uuid, again=again))
                self._tally["commanded"] += commanded.units
        except NotFoundError:  # deleted meanwhile
            return
        except Exception:  # the root of one registry's task: it harms no other (W21)
            log.exception("repository.poll.failed", repository=str(uuid))
            self._note(uuid, succeeded=False)
        finally:
            del self._fetching[uuid]
            if uuid in self._again:
                self._again.discard(uuid)
                self._begin(uuid, server, told=True)

    def _note(self, uuid: UUID, *, succeeded: bool) -> None:
        if succeeded:
            self._failures.pop(uuid, None)
            return
        self._tally["failed"] += 1
        count = self._failures.get(uuid, (0, self._clock()))[0] + 1
        pause = min(self._interval * 2 ** min(count - 1, 16), _LONGEST_PAUSE)
        self._failures[uuid] = (count, self._clock() + timedelta(seconds=pause * 0.9))

    async def _remove(self, orphan: UUID) -> None:
        try:
            await self._registry.context.forget_repository(orphan)
            self._tally["removed"] += 1
        except RepositoryRegistryError as error:
            log.warning("repository.mirror.stays", repository=str(orphan), reason=error.message)
