"""When what pushes are told of is fetched: at once, and further ones within an interval once after it; none is lost."""

import asyncio
import math
from collections.abc import Callable, Collection
from uuid import UUID

__all__ = ["PushRequests"]


class PushRequests:
    """Asks for fetches; at most one of each registry waits.

    Args:
        least: seconds between two fetches of a registry that were asked for: PU_MIN_INTERVAL_SYNC_REPOSITORY.
        fetch: is called with a registry and its server when it is time; a fetch that has begun by then does not count.
    """

    def __init__(self, least: float, fetch: Callable[[UUID, str], None]) -> None:
        self._least = least
        self._fetch = fetch
        self._last: dict[UUID, float] = {}
        self._waiting: dict[UUID, asyncio.TimerHandle] = {}

    def ask(self, uuid: UUID, server: str) -> None:
        """Have a registry fetched as soon as the interval allows."""
        if uuid in self._waiting:
            return
        loop = asyncio.get_running_loop()
        left = self._last.get(uuid, -math.inf) + self._least - loop.time()
        if left > 0:
            self._waiting[uuid] = loop.call_later(left, self._now, uuid, server)
        else:
            self._now(uuid, server)

    def begun(self, uuid: UUID) -> None:
        """Note that a fetch begins, whoever wanted it: it sees every push that was told before."""
        timer = self._waiting.pop(uuid, None)
        if timer is not None:
            timer.cancel()

    def keep(self, registries: Collection[UUID]) -> None:
        """Forget what is not among these."""
        for uuid in self._last.keys() - registries:
            del self._last[uuid]
            self.begun(uuid)

    def stop(self) -> None:
        """Ask for nothing more."""
        for uuid in tuple(self._waiting):
            self.begun(uuid)

    def _now(self, uuid: UUID, server: str) -> None:
        self._waiting.pop(uuid, None)
        self._last[uuid] = asyncio.get_running_loop().time()
        self._fetch(uuid, server)
