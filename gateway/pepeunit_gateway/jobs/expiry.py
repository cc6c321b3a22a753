"""Remove what is kept for a time: telemetry, logs, requests for updates, the audit trail, idempotency keys."""

from pepeunit_gateway.registry.audit import Audit
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.idempotency import forget_old_keys
from pepeunit_gateway.registry.removals import remove_queued
from pepeunit_gateway.registry.updates import Updates

__all__ = ["expire"]


async def expire(context: Context) -> None:
    """Do it once; `context` is under the lease of whoever does it."""
    await remove_queued(context)
    await context.telemetry.expire(context.clock())
    await Updates(context).expire_requests()
    await Audit(context).expire()
    await forget_old_keys(context)
