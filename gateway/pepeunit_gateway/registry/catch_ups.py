"""Fetches that requests wait for: one at a time of a registry, bounded, and not again soon after one that failed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import structlog

__all__ = ["CatchUps"]

log = structlog.get_logger(__name__)

_PATIENCE = 10.0
_PAUSE = 5.0


class CatchUps:
    """However many requests need the news of a registry, its git server is asked once.

    Args:
        patience: seconds after the beginning of a fetch for which requests wait; it goes on without them.
        pause: seconds after a failed fetch within which none is begun.
    """

    def __init__(self, patience: float = _PATIENCE, pause: float = _PAUSE) -> None:
        self._patience = patience
        self._pause = pause
        self._tasks: dict[UUID, tuple[asyncio.Task[bool], float]] = {}
        self._failed: dict[UUID, float] = {}

    async def run(self, registry: UUID, fetch: Callable[[], Coroutine[Any, Any, bool]]) -> bool:
        """Begin `fetch`, or wait for the one that is under way; tell whether it succeeded in time."""
        now = asyncio.get_running_loop().time()
        if registry not in self._tasks:
            failed = self._failed.get(registry)
            if failed is not None and now < failed + self._pause:
                return False
            task = asyncio.create_task(self._follow(registry, fetch), name=f"catch-up-{registry}")
            self._tasks[registry] = task, now
        task, begun = self._tasks[registry]
        await asyncio.wait([task], timeout=max(0.0, begun + self._patience - now))
        return task.done() and not task.cancelled() and task.result()

    async def close(self) -> None:
        """Cancel what is under way; git processes end with their fetch."""
        tasks = [task for task, _ in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, registry: UUID, fetch: Callable[[], Coroutine[Any, Any, bool]]) -> bool:
        succeeded = False
        try:
            succeeded = await fetch()
        except Exception:  # the root of the task: those who wait are told that it failed
            log.exception("repository.catch_up.failed", repository=str(registry))
        finally:
            self._note(registry, succeeded=succeeded)
        return succeeded

    def _note(self, registry: UUID, *, succeeded: bool) -> None:
        now = asyncio.get_running_loop().time()
        del self._tasks[registry]
        self._failed = {uuid: when for uuid, when in self._failed.items() if now < when + self._pause}
        if succeeded:
            self._failed.pop(registry, None)
        else:
            self._failed[registry] = now
