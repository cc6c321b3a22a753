"""Writing under a lease: the database refuses a holder that has lost it.

Each transaction notes the fencing token of its lease in the table `leases`. A holder that slept through the end of its
lease has a lower token than its successor wrote, so nothing of what it still tries is committed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.errors import PepeunitError
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.own_tables import leases

__all__ = ["FencedDatabase", "LeaseLostError", "highest_fence"]


class LeaseLostError(PepeunitError):
    """Another process has written under a newer lease; leave the work to it."""


class FencedDatabase(Database):
    """The same database and the same connections, for whoever holds the lease `name` with the token `fence`.

    `write` and `act` raise LeaseLostError where a higher token has written already.
    """

    def __init__(self, database: Database, name: str, fence: int) -> None:
        vars(self).update(vars(database))
        self._name = name
        self._fence = fence

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See `Database.write`."""
        async with super().write() as connection:
            await self._check(connection)
            yield connection

    @asynccontextmanager
    async def act(self) -> AsyncIterator[AsyncConnection]:
        """See `Database.act`."""
        async with super().act() as connection:
            await self._check(connection)
            yield connection

    async def _check(self, connection: AsyncConnection) -> None:
        mine = leases.update().where(leases.c.name == self._name, leases.c.fence <= self._fence)
        if not (await connection.execute(mine.values(fence=self._fence))).rowcount:
            raise LeaseLostError(f"the lease {self._name} went to another process")


async def highest_fence(database: Database, name: str) -> int:
    """Return the highest token that wrote under a lease; a lease gets its row here, before it is first taken."""
    query = select(leases.c.fence).where(leases.c.name == name)
    async with database.read() as connection:
        fence: int | None = (await connection.execute(query)).scalar_one_or_none()
    if fence is not None:
        return fence
    async with database.act() as connection:
        fence = (await connection.execute(query)).scalar_one_or_none()
        if fence is None:
            fence = 0
            await connection.execute(leases.insert().values(name=name, fence=fence))
    return fence
