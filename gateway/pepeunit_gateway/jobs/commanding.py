"""Command units after a look or a fetch, where this gateway is the one to do so.

A gateway that came on duty commands to nothing that it has not fetched since: the one before may have known a newer
commit. Without a duty there is no other gateway.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from uuid import UUID

from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.registry.updates import Commanded, Updates
from pepeunit_gateway.storage.fences import LeaseLostError

__all__ = ["Commanding"]


class Commanding:
    """What may be commanded at the moment; one command at a time, since two looks could command one unit twice."""

    def __init__(self, updates: Updates, duty: Duty | None) -> None:
        self._updates = updates
        self._duty = duty
        self._since: int | None = None
        self._old: set[UUID] = set()  # registries not fetched since this gateway came on duty
        self._owed: set[UUID] = set()  # of these, those whose units are to be commanded once more
        self._turn = asyncio.Lock()

    @property
    def on_duty(self) -> bool:
        return self._duty is None or self._duty.lease is not None

    def came_on_duty(self, registries: Collection[UUID]) -> bool:
        """Tell whether the duty was taken since this was asked last, so that all `registries` must be fetched."""
        lease = self._duty.lease if self._duty else None
        if self._duty is None or (lease is not None and lease.fence == self._since):
            self._old &= set(registries)
            return False
        self._since = lease.fence if lease else None
        self._old = set(registries)
        return lease is not None

    def owe(self) -> set[UUID]:
        """Return what must be fetched before it is commanded; once it is, its units are commanded anew."""
        self._owed = set(self._old)
        return self._owed

    async def look(self, registries: Collection[UUID], *, again: bool = False) -> Commanded:
        """Look at the Repos of what was fetched since this gateway came on duty."""
        if not self._old:
            return await self._command(partial(Updates.update_all, again=again))
        commanded = Commanded()
        for uuid in set(registries) - self._old:
            commanded += await self._command(partial(Updates.update_registry, registry=uuid, again=again))
        return commanded

    async def follow(self, registry: UUID) -> Commanded:
        """Look at the Repos of a registry that this gateway has fetched just now."""
        again = registry in self._owed
        self._old.discard(registry)
        self._owed.discard(registry)
        return await self._command(partial(Updates.update_registry, registry=registry, again=again))

    def awaits(self, registry: UUID) -> bool:
        """Tell whether the Repos of a registry must be looked at after a fetch that found nothing new."""
        return registry in self._old

    async def _command(self, act: Callable[[Updates], Awaitable[Commanded]]) -> Commanded:
        async with self._turn:
            if self._duty is None:
                return await act(self._updates)
            context = self._duty.context
            if context is None:
                return Commanded()
            try:
                return await act(Updates(context))
            except LeaseLostError:
                self._duty.refused()
                return Commanded()
