"""Run one job whenever it is due: one run at a time, each recorded, none the last whatever becomes of it (W57).

What only one gateway may do is run by the gateway on duty. Each of the others waits to take the duty over, and then
looks at what was run before it: a run that was cut off is made up for once, and no time of the schedule comes twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random, SystemRandom

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pepeunit_gateway.bus.port import Lease
from pepeunit_gateway.bus.subscription import Subscription
from pepeunit_gateway.errors import PepeunitError
from pepeunit_gateway.jobs.catalogue import JobPlan
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.figures import JobFigures
from pepeunit_gateway.jobs.schedule import Every, next_start, when_asked
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.job_runs import JobName, JobRun, JobRuns, Outcome, Report, job_uuid
from pepeunit_gateway.storage.fences import LeaseLostError

__all__ = ["Act", "JobRunner", "Turn", "follow_requests"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """One run, as the work sees it.

    `context` is under the lease where the job is one of the gateway on duty; `is_asked`: somebody wants it now, beside
    the schedule.
    """

    context: Context
    is_asked: bool


Act = Callable[[Turn], Awaitable[Report]]
"""Does the work of a job once."""

_LOOK = 30.0  # seconds after which the clock is looked at again: somebody may have set it
_RETRY = 10.0
_RECORD_LIMIT = 3.0
_LONGEST_ERROR = 500


class JobRunner:
    """One job of one gateway.

    Args:
        plan: the job.
        act: its work.
        context: of this gateway.
        duty: whether this gateway is on duty; its holder is `<gateway>/<process>`.
        figures: what is counted.
        random: spreads runs.
    """

    def __init__(
        self,
        plan: JobPlan,
        act: Act,
        context: Context,
        *,
        duty: Duty,
        figures: JobFigures,
        random: Random | None = None,
    ) -> None:
        self.plan = plan
        self._act = act
        self._context = context
        self._runs = JobRuns(context)
        self._duty = duty
        self._gateway = duty.holder.rpartition("/")[0] if plan.is_everywhere else None
        self._figures = figures
        self._random = random or SystemRandom()
        self._last: datetime | None = None
        self._since: datetime | None = None  # from when on its first time of a cron expression is awaited
        self._asked: datetime | None = None
        self._looked: Lease | bool = False  # since when it is known that nobody else runs this job
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Run the job whenever it is due, until cancelled."""
        while True:
            lease = await self._until_due()
            await self._run_once(lease)

    def ask(self) -> None:
        """Have the job run soon; asked again before that run begins it does so once."""
        self._asked = self._context.clock()
        self.look()

    def look(self) -> None:
        """Look at the clock at once."""
        self._woken.set()

    async def _until_due(self) -> Lease | None:
        """Wait until a run is due here; return the lease to do it under, None where it needs none."""
        random, waited = self._random.random(), False
        while True:
            self._woken.clear()
            lease = None
            if not self.plan.is_everywhere and (lease := self._duty.lease) is None:
                await self._duty.taken()
                waited = True
                continue
            if self._looked != (lease or True):
                if await self._look_back(at_once=not waited):
                    self._looked = lease or True
                else:
                    await self._pause(_RETRY * self._random.uniform(0.5, 1.0))
                continue
            wait = (self._due(random) - self._context.clock()).total_seconds()
            if wait <= 0:
                return lease
            await self._pause(min(wait, _LOOK))

    def _due(self, random: float) -> datetime:
        now = self._context.clock()
        due = next_start(self.plan.schedule, now, self._last or self._since, random)
        return due if self._asked is None else min(due, when_asked(now, self._last, self.plan.pause))

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _look_back(self, *, at_once: bool) -> bool:
        """Find out what was run before, here or elsewhere, and tell whether the database answered.

        With `at_once` an interval begins now all the same.
        """
        now = self._context.clock()
        try:
            async with asyncio.timeout(_RECORD_LIMIT):
                past = await self._runs.take_over(self.plan.name, now, of_gateway=self._gateway)
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            log.warning("job.past.unknown", job=self.plan.name.value, reason=type(error).__name__)
            return False
        if past.last is None:
            if not isinstance(self.plan.schedule, Every):
                self._since = self._since or now
            return True
        if self._asked is not None and past.last >= self._asked:
            self._asked = None  # somebody else did it
        if past.is_owed:
            self._asked = self._asked or now
        if not (at_once and self._last is None and isinstance(self.plan.schedule, Every)):
            self._last = max(past.last, self._last or past.last)
        return True

    async def _run_once(self, lease: Lease | None) -> None:
        name, started = self.plan.name, self._context.clock()
        is_asked, self._last, self._asked = self._asked is not None, started, None
        number = await self._record(self._runs.begin(name, self._duty.holder, started)) or 0
        loop = asyncio.get_running_loop()
        began = loop.time()
        outcome, error, details = await self._attempt(lease, is_asked=is_asked)
        ended = self._context.clock()
        self._figures.note(name, outcome, loop.time() - began, ended)
        run = JobRun(number, name.value, started, ended, outcome, error, details, self._duty.holder)
        await self._record(self._runs.end(run, of_gateway=self._gateway))

    async def _attempt(self, lease: Lease | None, *, is_asked: bool) -> tuple[Outcome, str | None, Mapping[str, int]]:
        """Do the work within its time, and only as long as the lease is held."""
        context = self._context if lease is None else self._context.under(lease)
        work = asyncio.ensure_future(self._act(Turn(context, is_asked)))
        over = asyncio.create_task(_never() if lease is None else self._duty.over(lease))
        try:
            await asyncio.wait({work, over}, timeout=self.plan.limit, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return self._cut_off(lost=over.done())
            report = work.result()
        except LeaseLostError:
            self._duty.refused()
            return self._cut_off(lost=True)
        except Exception as error:  # the root of a run: logged once with its context, and the next one comes (W57)
            log.exception("job.failed", job=self.plan.name.value)
            return Outcome.FAILED, _told(error), {}
        else:
            return report.outcome, None, report.details
        finally:
            work.cancel()
            over.cancel()
            await asyncio.gather(work, over, return_exceptions=True)

    def _cut_off(self, *, lost: bool) -> tuple[Outcome, str, Mapping[str, int]]:
        if lost:
            log.info("job.lost", job=self.plan.name.value)
            return Outcome.LOST, "this gateway lost the duty meanwhile; the one that has it does the rest", {}
        reason = f"it took longer than {self.plan.limit:g} s and was ended; the next run goes on"
        log.error("job.failed", job=self.plan.name.value, reason=reason)
        return Outcome.FAILED, reason, {}

    async def _record(self, write: Awaitable[int | None]) -> int | None:
        """Write to the table of runs if the database lets us soon; the job goes on without."""
        try:
            async with asyncio.timeout(_RECORD_LIMIT):
                return await write
        except (SQLAlchemyError, TimeoutError, OSError) as error:
            log.warning("job.unrecorded", job=self.plan.name.value, reason=type(error).__name__)
            return None


async def follow_requests(asked: Subscription, runners: Collection[JobRunner]) -> None:
    """Hand requests for runs to the jobs of this gateway, until cancelled.

    Where a request may have been missed, the job that commands units is run: it alone does nobody harm.
    """
    async for news in asked:
        for runner in runners:
            name = runner.plan.name
            if job_uuid(name) in news.uuids or (news.everything and name is JobName.UPDATE):
                runner.ask()


def _told(error: Exception) -> str:
    """Return what an Admin may read of an error; texts that are not ours may hold anything."""
    if isinstance(error, PepeunitError):
        return error.message[:_LONGEST_ERROR]
    return f"{type(error).__name__}; the log of the gateway says more"


async def _never() -> None:
    await asyncio.Event().wait()
