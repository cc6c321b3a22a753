"""Free disk in the gateway's own data folder; safe beside whatever works there. Source: protocol/firmware.md 7.1."""

from collections.abc import Collection
from uuid import UUID

import structlog
from sqlalchemy import select

from pepeunit_gateway.errors import PepeunitError, RepositoryRegistryError
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.job_runs import Report
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["clean_up"]

log = structlog.get_logger(__name__)


async def clean_up(context: Context) -> Report:
    """Remove mirrors and archives of registries that are gone, leftovers, archives over the limit, and old objects.

    What cannot be cleaned is logged and counted, and harms nothing else.
    """
    present = context.mirrors.registries()  # before the rows are read: a registration writes its row first
    async with context.database.read() as connection:
        known = set((await connection.execute(select(repository_registry.c.uuid))).scalars())
    removed = await _remove(context, present - known)
    now = context.clock().timestamp()
    packed, freed, failed = await _tidy(context, present & known, now)
    cleaned = await context.archives.clean(known, now=now)
    done = {
        "removed_mirrors": removed,
        "packed_mirrors": packed,
        "removed_archives": cleaned.files,
        "freed_bytes": freed + cleaned.size,
        "failed": failed,
    }
    return Report(done, {"mirrors": len(present & known)})


async def _remove(context: Context, orphans: Collection[UUID]) -> int:
    removed = 0
    for orphan in orphans:
        try:
            await context.forget_repository(orphan)
            removed += 1
        except RepositoryRegistryError as error:
            log.warning("repository.mirror.stays", repository=str(orphan), reason=error.message)
    return removed


async def _tidy(context: Context, registries: Collection[UUID], now: float) -> tuple[int, int, int]:
    """Return how many mirrors were packed anew, the bytes that this freed, and how many could not be."""
    packed = freed = failed = 0
    for registry in registries:
        try:
            gained = await context.mirrors.tidy(registry, now=now)
        except (PepeunitError, TimeoutError, OSError) as error:
            log.warning("repository.mirror.untidy", repository=str(registry), reason=str(error) or "it took too long")
            failed += 1
            continue
        packed += gained > 0
        freed += gained
    return packed, freed, failed
