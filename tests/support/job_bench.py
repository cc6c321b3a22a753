"""Jobs on a real database with a clock that a test sets: runners of one or several gateways, and what they recorded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import select

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole
from pepeunit_gateway.jobs.catalogue import JobPlan
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.figures import JobFigures
from pepeunit_gateway.jobs.runner import JobRunner, Turn
from pepeunit_gateway.jobs.schedule import Cron, Every, Schedule
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.job_runs import JobName, Outcome, Report
from pepeunit_gateway.storage.own_tables import job_runs
from tests.support.polling import until

__all__ = ["ADMIN", "HOURLY", "MINUTE", "Bench", "FixedClock", "Work", "outcomes", "rows"]

ADMIN = Agent(AgentType.USER, UUID(int=1), UserRole.ADMIN)
HOURLY, MINUTE = Cron("0 * * * *"), Every(60.0)


class FixedClock:
    """A time that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Work:
    """What a job does: counts its runs, waits for `gate`, and ends as `result` says."""

    result: Callable[[int], Report] = lambda _: Report({"done": 1})
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0
    ended: int = 0
    at_once: int = 0
    most_at_once: int = 0
    turns: list[Turn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    async def __call__(self, turn: Turn) -> Report:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.turns.append(turn)
        try:
            await self.gate.wait()
            return self.result(self.begun)
        finally:
            self.at_once -= 1
            self.ended += 1

    async def has_begun(self, number: int) -> None:
        await until(self._begun, lambda found: found >= number)

    async def has_ended(self, number: int) -> None:
        await until(self._ended, lambda found: found >= number)

    async def _begun(self) -> int:
        return self.begun

    async def _ended(self) -> int:
        return self.ended


class Bench:
    """One gateway: its duty, and runners that are started and stopped."""

    def __init__(self, context: Context, clock: FixedClock, holder: str = "one:1/a") -> None:
        self.context = replace(context, clock=clock)
        self.clock = clock
        self.duty = Duty(self.context, holder)
        self.figures = JobFigures(JobName)

    def runner(self, work: Any, schedule: Schedule = MINUTE, **plan: Any) -> JobRunner:
        """A runner of the job `expiry`, or of the name that `plan` says."""
        values = {"name": JobName.EXPIRY, "about": "", "is_everywhere": False, "limit": 60.0, "pause": 1.0, **plan}
        made = JobPlan(schedule=schedule, **values)
        return JobRunner(made, work, self.context, duty=self.duty, figures=self.figures, random=Random(1))

    @asynccontextmanager
    async def running(self, *runners: JobRunner) -> AsyncIterator[None]:
        """Let them run, killed at the end as a gateway that dies is: nothing is written down."""
        tasks = [asyncio.create_task(runner.run()) for runner in runners]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def ended(self, *expected: Outcome, limit: float = 20.0) -> list[Any]:
        """Wait until the runs, oldest first, ended like that; return their rows."""

        async def read() -> list[Any]:
            return await rows(self.context)

        return await until(read, lambda found: outcomes(found) == list(expected), limit=limit)


async def rows(context: Context) -> list[Any]:
    """Every recorded run, oldest first."""
    async with context.database.read() as connection:
        return list((await connection.execute(select(job_runs).order_by(job_runs.c.id))).all())


def outcomes(found: list[Any]) -> list[str]:
    return [row.outcome for row in found]
