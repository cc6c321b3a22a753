"""Bring a mirror up to date and tell the registry row how it went.

Source: protocol/firmware.md 7.2, W19 and W20 (the stored credentials are used whoever asks; a failure harms nobody).
"""

from uuid import UUID

import structlog
from sqlalchemy import select

from pepeunit_gateway.errors import GitRepoError, NotFoundError, RepositoryRegistryError
from pepeunit_gateway.firmware.mirrors import SyncResult
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.credentials import read_slots, valid_first, with_status, write_slots
from pepeunit_gateway.registry.entities import CredentialStatus, RepositoryStatus
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["sync_repository"]

log = structlog.get_logger(__name__)


async def sync_repository(context: Context, uuid: UUID) -> bool:
    """Fetch; return whether a branch or tag changed. A failure is stored in the row and reported as False.

    Raises:
        NotFoundError: the row has gone.
    """
    table = repository_registry
    query = select(table.c.repository_url, table.c.cipher_credentials_private_repository).where(table.c.uuid == uuid)
    async with context.database.read() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no repository {uuid}")
    credentials = valid_first(read_slots(context.cipher, row.cipher_credentials_private_repository))
    try:
        result = await context.mirrors.sync(uuid, row.repository_url, credentials)
    except (GitRepoError, RepositoryRegistryError) as error:
        log.warning("repository.sync.failed", repository=str(uuid), reason=error.message)
        await _record(context, uuid, None, error.message)
        return False
    await _record(context, uuid, result, None)
    return result.changed


async def _record(context: Context, uuid: UUID, result: SyncResult | None, problem: str | None) -> None:
    table = repository_registry
    status = RepositoryStatus.ERROR if result is None else RepositoryStatus.UPDATED
    values: dict[str, object] = {"sync_status": status.value, "sync_error": problem}
    async with context.act() as act:
        stored = (
            await act.connection.execute(
                select(table.c.cipher_credentials_private_repository).where(table.c.uuid == uuid)
            )
        ).scalar_one_or_none()
        slots = read_slots(context.cipher, stored)
        if used := valid_first(slots):
            tried = CredentialStatus.VALID if result else CredentialStatus.ERROR
            if result or (problem and "credentials" in problem.lower()):
                values["cipher_credentials_private_repository"] = write_slots(
                    context.cipher, with_status(slots, used, tried)
                )
        if result:
            values["local_repository_size"] = result.size
        values["sync_last_datetime"] = act.now
        await act.connection.execute(table.update().where(table.c.uuid == uuid).values(values))
