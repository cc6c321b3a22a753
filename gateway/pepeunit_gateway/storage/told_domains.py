"""Units whose schema.json names a previous PU_DOMAIN. Source: decisions.md 19."""

from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.storage.tables import units

__all__ = ["note_move"]


async def note_move(connection: AsyncConnection, *, before: str, now: str) -> None:
    """Note at every unit which domain it was told: `before`, unless it was an even older one."""
    table = units
    await connection.execute(table.update().where(table.c.told_domain.is_(None)).values(told_domain=before))
    await connection.execute(table.update().where(table.c.told_domain == now).values(told_domain=None))
