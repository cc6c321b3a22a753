"""The jobs there are: when each is due, who runs it and how long it may take. docs/jobs.md describes them."""

from dataclasses import dataclass

from pepeunit_gateway.jobs.schedule import Cron, Every, Schedule
from pepeunit_gateway.registry.job_runs import JobName
from pepeunit_gateway.settings import Settings

__all__ = ["JobPlan", "job_plans"]

_EXPIRY_INTERVAL = 60.0
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job.

    Args:
        name: of the job.
        about: one line for people.
        schedule: when it is due.
        is_everywhere: every gateway has runs of its own, because what it works on is its own; else the gateway on
            duty runs it alone.
        limit: seconds after which a run is ended as failed.
        pause: seconds from the beginning of a run until one that somebody asks for.
    """

    name: JobName
    about: str
    schedule: Schedule
    is_everywhere: bool
    limit: float
    pause: float = _PAUSE


def job_plans(settings: Settings) -> tuple[JobPlan, ...]:
    """Return every job as the settings have it."""
    return (
        JobPlan(
            JobName.FETCH,
            "Fetch every registered repository into this gateway's mirrors, and command the units that follow",
            Every(settings.repo_poll_interval),
            is_everywhere=True,
            limit=600.0 + settings.repo_poll_interval,
            pause=settings.min_interval_sync_repository,
        ),
        JobPlan(
            JobName.UPDATE,
            "Command the units that follow their Repo and do not run its target version",
            Cron(settings.update_cron),
            is_everywhere=False,
            limit=1800.0,
        ),
        JobPlan(
            JobName.EXPIRY,
            "Delete what was kept for a time: telemetry, logs, requests, the audit trail, keys, commands, runs of jobs",
            Every(_EXPIRY_INTERVAL),
            is_everywhere=False,
            limit=900.0,
        ),
        JobPlan(
            JobName.CLEANUP,
            "Free disk in this gateway's data folder: mirrors and archives without a registry, leftovers, old objects",
            Cron(settings.cleanup_cron),
            is_everywhere=True,
            limit=7200.0,
        ),
    )
