"""Who may ask a git server now: few at a time of each server, and who is awaited goes before who looks as a routine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

__all__ = ["ServerLanes"]

_AT_ONCE = 2
_SUSPECTS, _ROUTINE = 3, 14
"""One less than may fetch, two less than may look at once (firmware/mirrors.py): there is room for who is awaited."""


class ServerLanes:
    """One lane for each server.

    Those whose last fetch failed are few at a time altogether: however many servers are silent, they never hold all of
    what may work at once. Whoever waits here waits for no time limit of a fetch.

    Args:
        at_once: fetches of one server.
        suspects: fetches that failed before, of all servers.
        routine: fetches that nobody waits for, of all servers.
    """

    def __init__(self, at_once: int = _AT_ONCE, suspects: int = _SUSPECTS, routine: int = _ROUTINE) -> None:
        self._at_once = at_once
        self._suspects = asyncio.Semaphore(suspects)
        self._routine = asyncio.Semaphore(routine)
        self._lanes: dict[str, _Lane] = {}

    @asynccontextmanager
    async def turn(self, server: str, *, urgent: bool, suspect: bool) -> AsyncIterator[None]:
        """Wait for a turn and have it as long as the block lasts; of those that wait an urgent one is first."""
        if urgent:
            async with self._place(server, urgent=True):
                yield
        else:
            # the place before the routine's bound: who waits for a busy server must not stop other servers' turns
            async with self._suspects if suspect else nullcontext(), self._place(server, urgent=False), self._routine:
                yield

    @asynccontextmanager
    async def _place(self, server: str, *, urgent: bool) -> AsyncIterator[None]:
        lane = self._lanes.setdefault(server, _Lane(self._at_once))
        await lane.enter(urgent=urgent)
        try:
            yield
        finally:
            lane.leave()
            if lane.is_empty:
                self._lanes.pop(server, None)


class _Lane:
    """The fetches of one server: how many work, and who waits."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._at_once = at_once
        self._urgent: dict[asyncio.Future[None], None] = {}
        self._others: dict[asyncio.Future[None], None] = {}

    @property
    def is_empty(self) -> bool:
        return self._free == self._at_once and not self._urgent and not self._others

    async def enter(self, *, urgent: bool) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._urgent if urgent else self._others
        waiting[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            if waiting.pop(turn, 0) == 0 and not turn.cancelled():  # it was handed over in the same moment
                self.leave()
            raise

    def leave(self) -> None:
        for waiting in (self._urgent, self._others):
            while waiting:
                turn = next(iter(waiting))
                del waiting[turn]
                if not turn.done():  # else its task was cancelled and has not run since
                    turn.set_result(None)
                    return
        self._free += 1
