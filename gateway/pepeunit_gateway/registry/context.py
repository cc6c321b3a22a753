"""What every service of the registry works with, and the transaction that is one act (W28)."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.cipher import Cipher
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.port import Bus, Lease
from pepeunit_gateway.firmware.archives import ArchiveCache
from pepeunit_gateway.firmware.mirrors import MirrorCache
from pepeunit_gateway.firmware.platforms import Platforms
from pepeunit_gateway.registry.catch_ups import CatchUps
from pepeunit_gateway.registry.standing import require_standing
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.fences import FencedDatabase
from pepeunit_gateway.storage.telemetry import TelemetryStore

__all__ = ["Act", "Context"]


@dataclass(slots=True)
class Act:
    """One transaction and what to tell others once it is committed."""

    connection: AsyncConnection
    now: datetime
    _changes: dict[Change, set[UUID]] = field(default_factory=dict)

    def announce(self, change: Change, uuids: Iterable[UUID]) -> None:
        """Publish `change` after the commit; nothing is published if the act fails."""
        self._changes.setdefault(change, set()).update(uuids)


@dataclass(frozen=True, slots=True)
class Context:
    """The doors to the outside; one object per process."""

    settings: Settings
    database: Database
    telemetry: TelemetryStore
    mirrors: MirrorCache
    archives: ArchiveCache
    platforms: Platforms
    bus: Bus
    cipher: Cipher
    clock: Callable[[], datetime]
    catch_ups: CatchUps = field(default_factory=CatchUps)

    @property
    def secret(self) -> str:
        """PU_SECRET_KEY, which signs."""
        return self.settings.secret_key.get_secret_value()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What a valid token may be signed with: PU_SECRET_KEY, and PU_SECRET_KEY_PREVIOUS while there is one."""
        previous = self.settings.secret_key_previous.get_secret_value()
        return (self.secret, previous) if previous else (self.secret,)

    def under(self, lease: Lease) -> Self:
        """Return the same, but every transaction that writes is refused once a newer lease of this name has written.

        The transactions then raise LeaseLostError.
        """
        database = FencedDatabase(self.database, lease.name, lease.fence)
        return replace(self, database=database, telemetry=TelemetryStore(database))

    async def forget_repository(self, registry: UUID) -> None:
        """Remove what the disk holds of a registry that has no row any more: the mirror, then the archives.

        Raises:
            RepositoryRegistryError: a running synchronisation did not end in time.
        """
        await self.mirrors.remove(registry)
        await self.archives.remove(registry)

    @asynccontextmanager
    async def act(self, agent: Agent | None = None) -> AsyncIterator[Act]:
        """Commit all of it or nothing, then announce what changed.

        With the `agent` for whom it is done, who must still stand (standing.py); without, the gateway itself acts.

        Raises:
            UnauthorizedError: the agent's token has ended since the request was let in.
        """
        async with self.database.act() as connection:
            if agent is not None:
                await require_standing(connection, agent)
            act = Act(connection, self.clock())
            yield act
        for change, uuids in act._changes.items():  # noqa: SLF001 - the other half of this class
            if uuids:
                self.bus.publish(change, uuids)
