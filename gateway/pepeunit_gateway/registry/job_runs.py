"""What the jobs did and when: one row per run, written by whoever runs it and read by Admins.

A run that found nothing to do is `Idle`, and only the newest of them stays, of each gateway where each has runs of its
own. What is older than a week goes, and of each job all but the newest thousand. Writing a row never waits for the
database longer than a moment: a run that cannot be recorded runs all the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import ColumnElement, Row, Select, and_, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.rules import require_admin
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import NotFoundError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.entities import Page
from pepeunit_gateway.registry.listing import FIRST_PAGE, Paging, fetch_page
from pepeunit_gateway.storage.own_tables import job_runs

__all__ = [
    "JobName",
    "JobRun",
    "JobRunFilter",
    "JobRuns",
    "JobState",
    "Outcome",
    "Past",
    "Report",
    "expire_job_runs",
    "job_uuid",
]

_KEPT_TIME = timedelta(days=7)
_KEPT_RUNS = 1000
_CLOCK_IS_WRONG = timedelta(days=1)
_LOST = "the gateway that ran it ended before the run did"


class JobName(StrEnum):
    """The jobs there are; docs/jobs.md describes them."""

    FETCH = "fetch"
    UPDATE = "update"
    EXPIRY = "expiry"
    CLEANUP = "cleanup"


class Outcome(StrEnum):
    """What became of a run."""

    RUNNING = "Running"
    DONE = "Done"
    IDLE = "Idle"  # done, and there was nothing to do
    FAILED = "Failed"
    LOST = "Lost"  # the gateway that ran it died, stopped or lost its duty meanwhile


def job_uuid(name: JobName) -> UUID:
    """Return what a job is called on the bus, where everything has a uuid."""
    return uuid5(NAMESPACE_URL, f"pepeunit:job:{name.value}")


@dataclass(frozen=True, slots=True)
class JobRun:
    """One row; `details` are what was counted, `holder` is the gateway that ran it."""

    id: int
    job: str
    start_datetime: datetime
    end_datetime: datetime | None
    outcome: Outcome
    error: str | None
    details: Mapping[str, int] | None
    holder: str


@dataclass(frozen=True, slots=True)
class JobState:
    """The newest run of a job, and whether one is under way anywhere."""

    last: JobRun
    is_running: bool


@dataclass(frozen=True, slots=True)
class Past:
    """When the last run began, and whether it was cut off: then it is owed, but not if the one before was so too."""

    last: datetime | None = None
    is_owed: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a run tells in the end: what it did, which makes it idle where all of it is 0, and what it looked at."""

    done: Mapping[str, int]
    seen: Mapping[str, int] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        return Outcome.DONE if any(self.done.values()) else Outcome.IDLE

    @property
    def details(self) -> dict[str, int]:
        """Everything that is not 0."""
        return {name: count for name, count in {**self.seen, **self.done}.items() if count}


@dataclass(frozen=True, slots=True)
class JobRunFilter:
    """Absent means "all"."""

    job: Sequence[JobName] = ()
    outcome: Sequence[Outcome] = ()
    paging: Paging = FIRST_PAGE


class JobRuns:
    """The rows."""

    def __init__(self, context: Context) -> None:
        self._database = context.database
        self._bus = context.bus

    async def begin(self, job: JobName, holder: str, now: datetime) -> int:
        """Write that a run begins and return its number."""
        return await self._insert(job=job, start_datetime=now, outcome=Outcome.RUNNING.value, holder=holder)

    async def end(self, run: JobRun, *, of_gateway: str | None) -> None:
        """Write what became of a run; 0 as its number means that its beginning was not written.

        Of the idle runs before it none stays, where a job has runs in every gateway those `of_gateway` alone.
        """
        values = {
            "end_datetime": run.end_datetime,
            "outcome": run.outcome.value,
            "error": run.error,
            "details": json.dumps(dict(run.details)) if run.details else None,
        }
        idle = and_(job_runs.c.job == run.job, job_runs.c.outcome == Outcome.IDLE.value, _of(of_gateway))
        async with self._database.write() as connection:
            number = run.id
            if number:
                await connection.execute(job_runs.update().where(job_runs.c.id == number).values(values))
            else:
                values |= {"job": run.job, "start_datetime": run.start_datetime, "holder": run.holder}
                number = await _insert(connection, values)
            await connection.execute(job_runs.delete().where(idle, job_runs.c.id != number))

    async def take_over(self, job: JobName, now: datetime, *, of_gateway: str | None) -> Past:
        """Note as lost what claims to be running, now that nobody else runs this job, and return what was before.

        Where a job has runs in every gateway, only those `of_gateway`, whose process before has ended, are looked at.
        """
        mine = and_(job_runs.c.job == job.value, _of(of_gateway))
        newest = select(job_runs.c.start_datetime, job_runs.c.outcome).where(mine)
        newest = newest.order_by(job_runs.c.start_datetime.desc(), job_runs.c.id.desc()).limit(2)
        running = and_(mine, job_runs.c.outcome == Outcome.RUNNING.value)
        async with self._database.write() as connection:
            lost = {"outcome": Outcome.LOST.value, "end_datetime": now, "error": _LOST}
            await connection.execute(job_runs.update().where(running).values(lost))
            rows = (await connection.execute(newest)).all()
        if not rows:
            return Past()
        cut_off = [row.outcome == Outcome.LOST.value for row in rows]
        return Past(rows[0].start_datetime, is_owed=cut_off in ([True], [True, False]))

    async def states(self, agent: Agent) -> dict[str, JobState]:
        """Return what is known of each job that ever ran; Admins may."""
        require_admin(agent)
        newest = select(func.max(job_runs.c.id)).group_by(job_runs.c.job)
        running = job_runs.c.outcome == Outcome.RUNNING.value
        query = select(job_runs).where(or_(job_runs.c.id.in_(newest), running)).order_by(job_runs.c.id)
        async with self._database.look() as connection:
            runs = [_run(row) for row in await connection.execute(query)]
        last = {run.job: run for run in runs}
        busy = {run.job for run in runs if run.outcome is Outcome.RUNNING}
        return {job: JobState(run, job in busy) for job, run in last.items()}

    def ask(self, agent: Agent, name: str) -> None:
        """Ask for a run soon; an Admin may.

        Raises:
            NotFoundError: there is no such job.
        """
        require_admin(agent)
        if name not in tuple(JobName):
            raise NotFoundError(f"there is no job {name[:50]!r}; there are: {', '.join(JobName)}")
        self._bus.publish(Change.JOB, [job_uuid(JobName(name))])

    async def page(self, agent: Agent, wanted: JobRunFilter) -> Page[JobRun]:
        """Return a page, newest first; Admins may."""
        require_admin(agent)
        query = _query(wanted).order_by(job_runs.c.start_datetime.desc(), job_runs.c.id.desc())
        async with self._database.read() as connection:
            count, rows = await fetch_page(connection, query, wanted.paging)
        return Page(count, [_run(row) for row in rows])

    async def _insert(self, **values: Any) -> int:
        async with self._database.write() as connection:
            return await _insert(connection, values)


async def expire_job_runs(context: Context, limits: Mapping[JobName, float]) -> int:
    """Delete what is too old or too much, and return how many rows went.

    What was noted by a clock that was a day ahead goes too. A run that is under way for longer than its job may take,
    in seconds, is lost: its gateway never came back to say so.
    """
    now, start = context.clock(), job_runs.c.start_datetime
    old = (start <= now - _KEPT_TIME) | (start > now + _CLOCK_IS_WRONG)
    ends = [and_(job_runs.c.job == job.value, start < now - _late(limit)) for job, limit in limits.items()]
    running = job_runs.c.outcome == Outcome.RUNNING.value
    count = 0
    async with context.database.write() as connection:
        lost = {"outcome": Outcome.LOST.value, "end_datetime": now, "error": _LOST}
        await connection.execute(job_runs.update().where(running, or_(false(), *ends)).values(lost))
        count += (await connection.execute(job_runs.delete().where(old))).rowcount
        for job in (await connection.execute(select(job_runs.c.job).distinct())).scalars().all():
            mine = job_runs.c.job == job
            newest = select(job_runs.c.start_datetime).where(mine).order_by(job_runs.c.start_datetime.desc())
            first = (await connection.execute(newest.offset(_KEPT_RUNS).limit(1))).scalar_one_or_none()
            if first is not None:
                gone = job_runs.delete().where(mine, job_runs.c.start_datetime <= first)
                count += (await connection.execute(gone)).rowcount
    return count


def _late(limit: float) -> timedelta:
    return timedelta(seconds=limit + 60.0)


def _of(gateway: str | None) -> ColumnElement[bool]:
    """Choose the runs of one gateway, whichever of its processes made them; its name ends before the last slash."""
    if gateway is None:
        return job_runs.c.id.is_not(None)
    return job_runs.c.holder.startswith(f"{gateway}/", autoescape=True)


async def _insert(connection: AsyncConnection, values: Mapping[str, Any]) -> int:
    inserted = await connection.execute(job_runs.insert().values(values).returning(job_runs.c.id))
    number: int = inserted.scalar_one()
    return number


def _query(wanted: JobRunFilter) -> Select[Any]:
    query = select(job_runs)
    if wanted.job:
        query = query.where(job_runs.c.job.in_([job.value for job in wanted.job]))
    if wanted.outcome:
        query = query.where(job_runs.c.outcome.in_([outcome.value for outcome in wanted.outcome]))
    return query


def _run(row: Row[Any]) -> JobRun:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented access to a row's columns
    values["outcome"] = Outcome(values["outcome"])
    values["details"] = json.loads(values["details"]) if values["details"] else None
    return JobRun(**values)
