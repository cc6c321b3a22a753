"""What one gateway must do alone: it keeps a lease, and writes only while it has it.

A gateway that ends gives the lease back, and another takes it within a second; one that dies loses it after ten.
"""

import asyncio
import contextlib
from random import Random, SystemRandom

import structlog

from pepeunit_gateway.bus.port import Lease
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.storage.fences import highest_fence

__all__ = ["Duty"]

log = structlog.get_logger(__name__)

_NAME = "jobs"
_TTL = 10.0
_RENEW = 3.0
_TRY = 1.0


class Duty:
    """Whether this gateway is the one, and the context to work in while it is.

    Args:
        context: of this gateway.
        holder: unique among all processes.
        random: spreads the tries of gateways that wait.
    """

    def __init__(self, context: Context, holder: str, *, random: Random | None = None) -> None:
        self._context = context
        self._holder = holder
        self._random = random or SystemRandom()
        self._lease: Lease | None = None
        self._until = 0.0
        self._known: int | None = None
        self._taken = asyncio.Event()
        self._dropped = asyncio.Event()

    @property
    def holder(self) -> str:
        """Who holds the lease when this gateway does."""
        return self._holder

    @property
    def lease(self) -> Lease | None:
        """The lease, if this gateway has it at this moment by its own clock."""
        return self._lease if asyncio.get_running_loop().time() < self._until else None

    @property
    def context(self) -> Context | None:
        """Where to write while this gateway has the lease; None if it has not."""
        lease = self.lease
        return None if lease is None else self._context.under(lease)

    async def run(self) -> None:
        """Take the lease when it is free and keep it, until cancelled."""
        while True:
            await self.keep()
            pause = _TRY if self._lease is None else _RENEW
            await asyncio.sleep(pause * self._random.uniform(0.8, 1.0))

    async def keep(self) -> None:
        """Renew the lease, or try once to take it."""
        began = asyncio.get_running_loop().time()
        if self._lease is not None and not await self._context.bus.renew(self._lease, _TTL):
            log.info("duty.lost", fence=self._lease.fence)
            self._drop()
        if self._lease is None:
            if self._known is None:
                self._known = await highest_fence(self._context.database, _NAME)
            self._lease = await self._context.bus.acquire(_NAME, self._holder, _TTL, above=self._known)
            if self._lease is None:
                return
            log.info("duty.taken", fence=self._lease.fence)
            self._dropped.clear()
        self._until = began + _TTL
        self._taken.set()

    async def taken(self) -> Context:
        """Wait until this gateway has the lease and return the context to work in."""
        while (context := self.context) is None:
            self._taken.clear()
            await self._taken.wait()
        return context

    async def over(self, lease: Lease) -> None:
        """Return when this gateway has that lease no more, by its own clock."""
        loop = asyncio.get_running_loop()
        while self._lease == lease and (left := self._until - loop.time()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._dropped.wait()

    def refused(self) -> None:
        """Note that the database knows a newer lease: ask it anew before the next try."""
        log.info("duty.refused")
        self._known = None
        self._drop()

    async def stop(self) -> None:
        """Give the lease back."""
        if self._lease is not None:
            await self._context.bus.release(self._lease)
        self._drop()

    def _drop(self) -> None:
        self._lease = None
        self._until = 0.0
        self._taken.clear()
        self._dropped.set()
