"""What a fetch proves about the credentials it was made with, noted at the slots of who stored them. Source: W20."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.credentials import holders, read_slots, with_status, write_slots
from pepeunit_gateway.registry.entities import CredentialStatus
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["accept", "mark", "require_proof"]


async def accept(context: Context, row: Row[Any], worked: Credentials | None) -> bool | None:
    """Mark the slots that hold what worked as Valid, and return whether it would have worked without credentials.

    Then it proves nothing, and opens the repository to its creator only, who may read it anyway. One look without
    credentials tells; it is needed only for others whose slots are not Valid yet. None: that could not be found out.

    Args:
        context: the doors.
        row: of the registry: uuid, repository_url, creator_uuid and the column of the slots.
        worked: what was fetched with.
    """
    if worked is None:
        return False
    slots = read_slots(context.cipher, row.cipher_credentials_private_repository)
    users = holders(slots, worked)
    new = {user for user in users - {row.creator_uuid} if slots[user].status is not CredentialStatus.VALID}
    is_open = await context.mirrors.is_open(row.repository_url) if new else False
    await mark(context, row, worked, CredentialStatus.VALID, users if is_open is False else users - new)
    if is_open:
        await mark(context, row, worked, CredentialStatus.ERROR, new)
    return is_open


def require_proof(*, is_open: bool | None) -> None:
    """Tell somebody else than the creator why credentials that work are not Valid; see `accept`.

    Raises:
        RepositoryRegistryError: the repository opens without any, or that could not be found out.
    """
    if is_open:
        raise RepositoryRegistryError(
            "anybody can read this repository without credentials, so yours prove nothing; ask whoever registered it "
            "to protect it on its server, or to register it as a public one"
        )
    if is_open is None:
        raise RepositoryRegistryError(
            "the git server did not tell whether it needs credentials at all, so yours are not verified; set them again"
        )


async def mark(
    context: Context,
    row: Row[Any],
    tried: Credentials | None,
    status: CredentialStatus,
    users: Collection[UUID] | None = None,
) -> None:
    """Note at the slots of `users`, or of all, that hold exactly `tried` whether it worked.

    What `row` says already is not written again. Who stores the same credentials meanwhile tries them too.
    """
    if tried is None:
        return
    table, uuid = repository_registry, row.uuid
    seen = read_slots(context.cipher, row.cipher_credentials_private_repository)
    chosen = holders(seen, tried) if users is None else users
    if with_status(seen, tried, status, chosen) == seen:
        return
    async with context.act() as act:
        query = select(table.c.cipher_credentials_private_repository).where(table.c.uuid == uuid)
        slots = read_slots(context.cipher, (await act.connection.execute(query)).scalar_one_or_none())
        marked = with_status(slots, tried, status, chosen)
        if marked != slots:
            values = {"cipher_credentials_private_repository": write_slots(context.cipher, marked)}
            await act.connection.execute(table.update().where(table.c.uuid == uuid).values(values))
