"""What a reader of the change stream has not seen yet, merged.

A slow reader costs no memory: what it has not taken is a set, so it never holds more than there are entities. Nothing
is repeated; order between entities does not matter, because every change only says what to look at again.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self
from uuid import UUID

from pepeunit_gateway.bus.changes import Change

__all__ = ["News", "Readers", "Source", "Subscription"]


class Source(Enum):
    """Whose changes a reader wants."""

    ANY = auto()
    OWN = auto()  # of this process
    OTHERS = auto()  # of other processes


@dataclass(frozen=True, slots=True)
class News:
    """What to look at again: these entities, or everything, because something may have been missed."""

    uuids: frozenset[UUID]
    everything: bool = False


class Subscription:
    """One reader of the stream: `async for news in subscription`."""

    def __init__(self, change: Change, source: Source = Source.ANY) -> None:
        self.change = change
        self.source = source
        self._pending: set[UUID] = set()
        self._everything = False
        self._arrived = asyncio.Event()

    def add(self, uuids: Iterable[UUID]) -> None:
        """Note entities; called by the bus, and by a reader that could not do what it took."""
        self._pending.update(uuids)
        if self._pending:
            self._arrived.set()

    def miss(self) -> None:
        """Note that anything may have changed; called by the bus, and by a reader that could not do what it took."""
        self._everything = True
        self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> News:
        await self._arrived.wait()
        self._arrived.clear()
        news = News(frozenset(self._pending), self._everything)
        self._pending.clear()
        self._everything = False
        return news


class Readers:
    """The subscriptions of one process."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def subscribe(self, change: Change, source: Source) -> Subscription:
        """Return a new reader that sees everything from now on."""
        subscription = Subscription(change, source)
        self._subscriptions.append(subscription)
        return subscription

    def tell(self, change: Change, uuids: Iterable[UUID], *, own: bool) -> None:
        """Hand entities to the readers of `change`; `own` tells whether this process published them."""
        uuids = tuple(uuids)
        wanted = (Source.ANY, Source.OWN if own else Source.OTHERS)
        for subscription in self._subscriptions:
            if subscription.change is change and subscription.source in wanted:
                subscription.add(uuids)

    def miss(self, change: Change | None = None) -> None:
        """Tell the readers of `change`, or all of them, to look at everything; readers of own changes miss none."""
        for subscription in self._subscriptions:
            if subscription.source is not Source.OWN and change in (None, subscription.change):
                subscription.miss()
