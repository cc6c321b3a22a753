"""Work that several want at the same time is done once, and ends when the last of them has gone."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

__all__ = ["SharedRuns"]

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Run:
    """What is being done, and how many wait for it."""

    task: asyncio.Task[None]
    waiting: int = 0


class SharedRuns(Generic[K]):
    """The runs that are under way, by their key."""

    def __init__(self) -> None:
        self._runs: dict[K, _Run] = {}

    async def join(self, key: K, begin: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Wait for the run of this key, begun if there is none; False if it was ended. What it raises is raised."""
        run = self._runs.get(key)
        if run is None:
            run = _Run(asyncio.create_task(begin()))
            run.task.add_done_callback(partial(self._done, key))
            self._runs[key] = run
        run.waiting += 1
        try:
            await asyncio.wait({run.task})
        finally:
            run.waiting -= 1
            if not run.waiting and not run.task.done():
                del self._runs[key]  # who comes now begins anew
                await _end([run.task])
        if run.task.cancelled():
            return False
        run.task.result()
        return True

    async def end(self, chosen: Callable[[K], bool] = lambda _: True) -> None:
        """End the runs whose keys are chosen, and wait for that."""
        await _end([run.task for key, run in self._runs.items() if chosen(key)])

    def _done(self, key: K, task: asyncio.Task[None]) -> None:
        if key in self._runs and self._runs[key].task is task:
            del self._runs[key]
        if not task.cancelled():
            task.exception()  # every waiter may be gone; then nobody else asks for it


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
