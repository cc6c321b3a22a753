"""Notice pushes by polling and by webhooks. Source: protocol/jobs_and_integrations.md 9.2, W19-W21, W50 and W51."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random, SystemRandom
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import false, func, select

from pepeunit_gateway.bus.subscription import News, Subscription
from pepeunit_gateway.errors import NotFoundError, RepositoryRegistryError
from pepeunit_gateway.firmware.urls import server_of
from pepeunit_gateway.jobs.commanding import Commanding
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.fetch_times import FetchTimes
from pepeunit_gateway.jobs.push_requests import PushRequests
from pepeunit_gateway.jobs.server_lanes import ServerLanes
from pepeunit_gateway.registry.entities import RepositoryStatus
from pepeunit_gateway.registry.job_runs import Report
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.releases import Reading, are_awaited
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.registry.updates import Commanded
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["RepositoryPoll"]

log = structlog.get_logger(__name__)

_PERIOD = 0.9
"""Of the interval: what is left is for the look at the clock and for the fetch itself."""

_STEPS = 20
_LONGEST_STEP = 2.0


class _Registered(NamedTuple):
    """What the poll knows of a registry, and how its last fetch went, of whichever gateway."""

    server: str
    status: RepositoryStatus | None
    awaits_releases: bool


@dataclass(eq=False, slots=True)
class _Fetch:
    """One fetch, from when it is decided to its end.

    `told`: another gateway said that there is news, and knows of it. `asked`: somebody waits for it, a git server that
    told of a push for example. `failing`: the last one failed. `started`: its turn has come; a push that is told later
    may be missed by it.
    """

    uuid: UUID
    server: str
    told: bool = False
    asked: bool = False
    failing: bool = False
    started: bool = False
    task: asyncio.Task[None] = field(init=False)

    @property
    def urgent(self) -> bool:
        return self.told or self.asked


class RepositoryPoll:
    """Fetches every repository and lets auto-updating units follow.

    Each registry has its place in the interval and a task of its own while it is fetched, and at most two of one git
    server work at a time, so a server that is slow or silent delays only its own. A registry that failed is left alone
    for twice as long each time, up to ten minutes, until a fetch succeeds or a push is told.

    A push that is told is fetched at once, and further ones within PU_MIN_INTERVAL_SYNC_REPOSITORY once after it: every
    push is followed by a fetch that began later.

    Of several gateways on one database each has mirrors of its own and fetches into them; the one on duty commands the
    units. A gateway that came on duty commands to nothing that it has not fetched since: the one before may have known
    a newer commit. Without `duty` there is no other gateway.

    Args:
        registry: the entities.
        interval: PU_REPO_POLL_INTERVAL in seconds, within which a push is noticed that nobody tells of.
        duty: whether this gateway is the one that commands.
        random: chooses where in the interval this gateway begins.
    """

    def __init__(
        self, registry: Registry, interval: float, *, duty: Duty | None = None, random: Random | None = None
    ) -> None:
        self._registry = registry
        self._interval = interval
        self._commanding = Commanding(registry.updates, duty)
        self._again: dict[UUID, bool] = {}  # to be fetched once more; True: because another gateway told of news
        self._lanes = ServerLanes()
        self._times = FetchTimes(interval * _PERIOD, (random or SystemRandom()).random())
        self._pushes = PushRequests(registry.context.settings.min_interval_sync_repository, self._fetch_asked)
        self._fetching: dict[UUID, _Fetch] = {}
        self._tally: Counter[str] = Counter()

    async def report(self, *, everything: bool = False) -> Report:
        """Do `look` and tell what came of it: of the fetches that end within half the interval, and of all before.

        So a server that is slow delays nobody's next turn. With `everything` all is fetched now, as by `run`.
        """
        await (self.run() if everything else self.look())
        if self._fetching:
            await asyncio.wait([fetch.task for fetch in self._fetching.values()], timeout=self._interval / 2)
        tally, self._tally = self._tally, Counter()
        done = {name: tally[name] for name in ("changed", "failed", "commanded", "removed")}
        return Report(done, {"fetched": tally["fetched"], "under_way": len(self._fetching)})

    async def run(self) -> None:
        """Do `look`, and begin to fetch everything that did not fail last time."""
        self._times.all_at_once()
        await self.look()

    async def look(self) -> None:
        """Begin to fetch what is due, look at every auto-updating Repo, and remove mirrors that nobody needs.

        What a fetch brings goes out at once. The look does not depend on what was fetched before: what a crash left
        undone is found by comparing.
        """
        present = self._registry.context.mirrors.registries()  # before the rows: a registration writes its row first
        found = await self._registered(None)
        if self._commanding.came_on_duty(found.keys()):
            self._times.all_at_once()
        self._begin_due(found)
        commanded = await self._commanding.look(found.keys())
        self._tally["commanded"] += commanded.units
        self._begin_behind(commanded, found)
        for orphan in present - found.keys():
            await self._remove(orphan)

    async def keep_time(self) -> None:
        """Begin every fetch when it is due, until cancelled."""
        step = min(self._interval / _STEPS, _LONGEST_STEP)
        while True:
            await asyncio.sleep(step)
            self._begin_due(await self._registered(None))

    async def resend(self) -> Commanded:
        """Command anew what does not run its target: clients in the field miss commands while they are offline.

        What was not fetched since this gateway came on duty is fetched now, and its units are commanded after that.
        """
        found = await self._registered(None)
        if self._commanding.came_on_duty(found.keys()):
            self._times.all_at_once()
        commanded = await self._commanding.look(found.keys(), again=True)
        self._begin_behind(commanded, found)
        for uuid in self._commanding.owe() - self._fetching.keys():
            if not self._times.is_suspect(uuid):
                self._begin(_Fetch(uuid, found[uuid].server))
        return commanded

    async def follow_pushes(self, pushes: Subscription) -> None:
        """Fetch soon what pushes are told of, whatever failed before, until cancelled."""
        async for news in pushes:
            with _kept(pushes, news):
                found = await self._registered(news.uuids)
            now = asyncio.get_running_loop().time()
            for uuid, one in found.items():
                self._times.reset(uuid, now)
                self._pushes.ask(uuid, one.server)

    async def listen(self, news: Subscription) -> None:
        """Fetch at once what other gateways found something new in, until cancelled."""
        async for some in news:
            with _kept(news, some):
                found = await self._registered(some.uuids)
            for uuid, one in found.items():
                under_way = self._fetching.get(uuid)
                if under_way is None:
                    self._begin(_Fetch(uuid, one.server, told=True))
                elif under_way.started:
                    self._again.setdefault(uuid, True)
                else:
                    self._replace(under_way, told=True, asked=under_way.asked)

    async def follow_own(self, news: Subscription) -> None:
        """Command at once where a fetch that somebody asked this gateway for found something new, until cancelled."""
        async for some in news:
            for uuid in some.uuids:
                await self._commanding.follow(uuid)

    async def settle(self) -> None:
        """Wait until no fetch is under way."""
        while self._fetching:
            await asyncio.wait([fetch.task for fetch in self._fetching.values()])

    async def stop(self) -> None:
        """Cancel what is under way; git processes end with their fetch."""
        self._pushes.stop()
        self._again.clear()
        for fetch in self._fetching.values():
            fetch.task.cancel()
        await self.settle()

    async def _registered(self, which: Collection[UUID] | None) -> dict[UUID, _Registered]:
        """Return what is known of these registries, or of all."""
        table = repository_registry
        awaits = func.coalesce(are_awaited(self._registry.context.clock()), false())
        query = select(table.c.uuid, table.c.repository_url, table.c.sync_status, awaits)
        if which is not None:
            query = query.where(table.c.uuid.in_(list(which)))
        async with self._registry.context.database.look() as connection:
            rows = (await connection.execute(query)).all()
        known = {None: None} | {status.value: status for status in RepositoryStatus}
        return {
            uuid: _Registered(server_of(url), known.get(status), bool(awaits)) for uuid, url, status, awaits in rows
        }

    def _begin_due(self, found: dict[UUID, _Registered]) -> None:
        healthy = [uuid for uuid, one in found.items() if one.status is RepositoryStatus.UPDATED]
        self._pushes.keep(found.keys())
        due = self._times.due(found.keys(), healthy, asyncio.get_running_loop().time())
        if self._commanding.on_duty:
            due += [uuid for uuid in healthy if found[uuid].awaits_releases and not self._times.is_suspect(uuid)]
        for uuid in due:
            if uuid not in self._fetching:
                failing = found[uuid].status is RepositoryStatus.ERROR
                self._begin(_Fetch(uuid, found[uuid].server, failing=failing))

    def _begin_behind(self, commanded: Commanded, found: dict[UUID, _Registered]) -> None:
        """Fetch what another gateway knows newer, whether it could tell or not; the units are commanded after that."""
        for uuid in commanded.behind & found.keys() - self._fetching.keys():
            if not self._times.is_suspect(uuid):
                self._begin(_Fetch(uuid, found[uuid].server, told=True))

    def _fetch_asked(self, uuid: UUID, server: str) -> None:
        under_way = self._fetching.get(uuid)
        if under_way is None:
            self._begin(_Fetch(uuid, server, asked=True))
        elif under_way.started:
            self._again[uuid] = False
        elif not under_way.asked:
            self._replace(under_way, told=under_way.told, asked=True)

    def _replace(self, waiting: _Fetch, *, told: bool, asked: bool) -> None:
        """Let a fetch that waits for its turn go before those that nobody waits for."""
        waiting.task.cancel()
        self._begin(_Fetch(waiting.uuid, waiting.server, told=told, asked=asked))

    def _begin(self, fetch: _Fetch) -> None:
        self._fetching[fetch.uuid] = fetch
        fetch.task = asyncio.create_task(self._follow(fetch), name=f"fetch-{fetch.uuid}")
        fetch.task.add_done_callback(partial(self._ended, fetch))

    def _ended(self, fetch: _Fetch, _: asyncio.Task[None]) -> None:
        if self._fetching.get(fetch.uuid) is not fetch:  # another took its place
            return
        del self._fetching[fetch.uuid]
        told = self._again.pop(fetch.uuid, None)
        if told is not None:
            self._begin(_Fetch(fetch.uuid, fetch.server, told=told, asked=not told))

    async def _follow(self, fetch: _Fetch) -> None:
        uuid, suspect = fetch.uuid, fetch.failing or self._times.is_suspect(fetch.uuid)
        try:
            async with self._lanes.turn(fetch.server, urgent=fetch.urgent, suspect=suspect):
                fetch.started = True
                self._pushes.begun(uuid)
                succeeded, changed = await self._sync(fetch)
            self._note(uuid, succeeded=succeeded, changed=changed)
            # what another gateway told of may be a release, which changes nothing in this one's mirror
            if changed or (succeeded and (fetch.told or self._commanding.awaits(uuid))):
                self._tally["commanded"] += (await self._commanding.follow(uuid)).units
        except NotFoundError:  # deleted meanwhile
            return
        except Exception:  # the root of one registry's task: it harms no other (W21)
            log.exception("repository.poll.failed", repository=str(uuid))
            self._note(uuid, succeeded=False, changed=False)

    async def _sync(self, fetch: _Fetch) -> tuple[bool, bool]:
        """Fetch; the platform is asked for releases by the gateway that was asked, else by the one on duty alone.

        That one reads after news of another too, which may have come by its poll.
        """
        polled = Reading.DUE if self._commanding.on_duty else Reading.NEVER
        reading = Reading.ASKED if fetch.asked else polled
        quiet = fetch.told and not fetch.asked
        return await sync_repository(self._registry.context, fetch.uuid, told=quiet, releases=reading)

    def _note(self, uuid: UUID, *, succeeded: bool, changed: bool) -> None:
        self._tally["fetched" if succeeded else "failed"] += 1
        if succeeded:
            self._times.succeeded(uuid)
        else:
            self._times.failed(uuid, asyncio.get_running_loop().time())
        if changed:
            self._tally["changed"] += 1
            log.info("repository.changed", repository=str(uuid))

    async def _remove(self, orphan: UUID) -> None:
        try:
            await self._registry.context.forget_repository(orphan)
            self._tally["removed"] += 1
        except RepositoryRegistryError as error:
            log.warning("repository.mirror.stays", repository=str(orphan), reason=error.message)


@contextmanager
def _kept(source: Subscription, news: News) -> Iterator[None]:
    """Give news back to where they were taken from if the block fails: whoever starts the reader again has them."""
    try:
        yield
    except BaseException:
        source.add(news.uuids)
        raise
