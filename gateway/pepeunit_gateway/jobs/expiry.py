"""Remove what is kept for a time: telemetry, logs, requests for updates, the audit trail, keys, commands, jobs."""

from pepeunit_gateway.jobs.catalogue import job_plans
from pepeunit_gateway.registry.audit import Audit
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.idempotency import forget_old_keys
from pepeunit_gateway.registry.job_runs import Report, expire_job_runs
from pepeunit_gateway.registry.outbox import forget_sent
from pepeunit_gateway.registry.removals import remove_queued
from pepeunit_gateway.registry.verdicts import Verdicts

__all__ = ["expire"]


async def expire(context: Context) -> Report:
    """Do it once and count what went; `context` is under the lease of whoever does it."""
    limits = {plan.name: plan.limit for plan in job_plans(context.settings)}
    removed = await remove_queued(context)
    telemetry = await context.telemetry.expire(context.clock())
    silent = await Verdicts(context).expire_requests()
    return Report(
        {
            "removed_owners": removed,
            "telemetry_rows": telemetry.windows,
            "log_rows": telemetry.logs,
            "silent_units": silent,
            "audit_rows": await Audit(context).expire(),
            "idempotency_keys": await forget_old_keys(context),
            "sent_commands": await forget_sent(context),
            "job_runs": await expire_job_runs(context, limits),
        }
    )
