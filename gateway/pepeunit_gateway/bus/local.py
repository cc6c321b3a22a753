"""The bus in process: a change stream whose subscribers get what they have not seen yet, merged.

A slow subscriber costs no memory: what it has not taken is a set per kind, so it never holds more than there are
entities. Nothing is lost and nothing is repeated; order between entities does not matter, because every change only
says what to look at again.
"""

import asyncio
from collections.abc import Iterable
from typing import Self
from uuid import UUID

from pepeunit_gateway.bus.changes import Change

__all__ = ["LocalBus", "Subscription"]


class Subscription:
    """One reader of the stream: `async for uuids in subscription`."""

    def __init__(self, change: Change) -> None:
        self.change = change
        self._pending: set[UUID] = set()
        self._arrived = asyncio.Event()

    def add(self, uuids: Iterable[UUID]) -> None:
        """Note entities; called by the bus."""
        self._pending.update(uuids)
        if self._pending:
            self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> frozenset[UUID]:
        await self._arrived.wait()
        self._arrived.clear()
        taken = frozenset(self._pending)
        self._pending.clear()
        return taken


class LocalBus:
    """Carries changes between the parts of one process."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def publish(self, change: Change, uuids: Iterable[UUID]) -> None:
        """Tell every subscriber of `change`; never blocks. Call it after the commit."""
        uuids = tuple(uuids)
        for subscription in self._subscriptions:
            if subscription.change is change:
                subscription.add(uuids)

    def subscribe(self, change: Change) -> Subscription:
        """Return a new reader that sees everything published from now on."""
        subscription = Subscription(change)
        self._subscriptions.append(subscription)
        return subscription
