"""Free disk in the gateway's own data folder; safe beside whatever runs there. Source: protocol/firmware.md 7.1."""

import structlog
from sqlalchemy import select

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.job_runs import Report
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["clean_up"]

log = structlog.get_logger(__name__)


async def clean_up(context: Context) -> Report:
    """Remove the mirrors of registries that have no row any more."""
    present = context.mirrors.registries()  # before the rows are read: a registration writes its row first
    async with context.database.read() as connection:
        known = set((await connection.execute(select(repository_registry.c.uuid))).scalars())
    removed = 0
    for orphan in present - known:
        try:
            await context.forget_repository(orphan)
            removed += 1
        except RepositoryRegistryError as error:
            log.warning("repository.mirror.stays", repository=str(orphan), reason=error.message)
    return Report({"removed_mirrors": removed})
