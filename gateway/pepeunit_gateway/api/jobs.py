"""What the gateway does by itself, again and again. docs/jobs.md describes the jobs."""

from pydantic import Field

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import NoAccessError, NotFoundError
from pepeunit_gateway.jobs.catalogue import JobPlan, job_plans
from pepeunit_gateway.jobs.schedule import next_start
from pepeunit_gateway.registry.job_runs import JobName, JobRunFilter, JobState, Outcome
from pepeunit_gateway.registry.registry import Registry

__all__ = ["routes"]

routes = RouteTable("/jobs", tag="Jobs", about="What the gateway does by itself, and when it did.", entity="job")

_ADMINS = NoAccessError("only an Admin may do this")


class JobRunRead(ReadModel):
    id: int
    job: str
    start_datetime: UtcTime
    end_datetime: UtcTime | None
    outcome: Outcome = Field(description="Idle: there was nothing to do; Lost: the gateway that ran it ended first")
    error: str | None
    details: dict[str, int] | None = Field(description="what was counted; see docs/jobs.md")
    holder: str = Field(description="the gateway that ran it: machine, port and a name of the process")


class JobRead(ReadModel):
    name: JobName
    description: str
    schedule: str = Field(description="an interval, or a cron expression in UTC")
    is_everywhere: bool = Field(description="every gateway has runs of its own; else the one on duty runs it")
    is_running: bool
    last_run: JobRunRead | None
    next_run_datetime: UtcTime = Field(description="the earliest; a time that has passed means soon")


class JobRunList(ReadModel):
    count: int
    runs: list[JobRunRead]


class JobRunQuery(PageQuery):
    job: list[JobName] = Field(default_factory=list)
    outcome: list[Outcome] = Field(default_factory=list)


@routes.get("", token=Token.REQUIRED, errors=(_ADMINS,))
async def get_jobs(registry: Registry, agent: Agent) -> list[JobRead]:
    """List the jobs with their last run, of whichever gateway; Admins may."""
    states = await registry.job_runs.states(agent)
    return [_job(registry, plan, states.get(plan.name)) for plan in job_plans(registry.context.settings)]


@routes.get("/runs", token=Token.REQUIRED, errors=(_ADMINS,))
async def get_job_runs(registry: Registry, agent: Agent, query: JobRunQuery) -> JobRunList:
    """List what the jobs did, newest first; Admins may."""
    page = await registry.job_runs.page(agent, JobRunFilter(**query.filters(), paging=query.paging))
    return JobRunList(count=page.count, runs=[JobRunRead.model_validate(run) for run in page.items])


@routes.post(
    "/{name}/run", token=Token.REQUIRED, errors=(_ADMINS, NotFoundError("there is no job 'tidy'; there are: fetch"))
)
async def run_job(registry: Registry, agent: Agent, name: str) -> None:
    """Ask for a run soon: of the gateway on duty, or of every gateway where each has runs of its own; Admins may.

    The answer comes at once. If the job is running, it runs once more after that.
    """
    registry.job_runs.ask(agent, name)


def _job(registry: Registry, plan: JobPlan, state: JobState | None) -> JobRead:
    now = registry.context.clock()
    last = None if state is None else state.last
    return JobRead(
        name=plan.name,
        description=plan.about,
        schedule=str(plan.schedule),
        is_everywhere=plan.is_everywhere,
        is_running=state is not None and state.is_running,
        last_run=None if last is None else JobRunRead.model_validate(last),
        next_run_datetime=next_start(plan.schedule, now, None if last is None else last.start_datetime, 0.0),
    )
