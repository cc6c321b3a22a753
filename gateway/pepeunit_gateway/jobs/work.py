"""What each job does, and the runners that do it."""

from pepeunit_gateway.jobs.catalogue import job_plans
from pepeunit_gateway.jobs.cleanup import clean_up
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.expiry import expire
from pepeunit_gateway.jobs.figures import JobFigures
from pepeunit_gateway.jobs.repository_poll import RepositoryPoll
from pepeunit_gateway.jobs.runner import Act, JobRunner, Turn
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.job_runs import JobName, Report

__all__ = ["make_runners"]


def make_runners(context: Context, poll: RepositoryPoll, duty: Duty, figures: JobFigures) -> tuple[JobRunner, ...]:
    """Return a runner for each job, not started."""

    async def fetch(turn: Turn) -> Report:
        return await poll.report(everything=turn.is_asked)

    async def update(_: Turn) -> Report:
        commanded = await poll.resend()
        return Report({"commanded": commanded.units, "failed_repos": commanded.failed_repos})

    acts: dict[JobName, Act] = {
        JobName.FETCH: fetch,
        JobName.UPDATE: update,
        JobName.EXPIRY: lambda turn: expire(turn.context),
        JobName.CLEANUP: lambda turn: clean_up(turn.context),
    }
    return tuple(
        JobRunner(plan, acts[plan.name], context, duty=duty, figures=figures) for plan in job_plans(context.settings)
    )
