"""Long blocking work in threads that ends soon when nobody wants its result any more.

A thread cannot be cancelled, and a process does not end before its threads do. The work is therefore given `check`,
which it calls between pieces that take a fraction of a second each.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias, TypeVar

__all__ = ["Check", "StoppedError", "ThreadWork"]

T = TypeVar("T")
Check: TypeAlias = Callable[[], None]
"""Raises StoppedError when the result is not wanted any more."""


class StoppedError(Exception):
    """The work was given up because `ThreadWork` was closed."""


class ThreadWork:
    """Runs work in threads of its own until it is closed, so that nobody else waits for a thread.

    Args:
        threads: how many there are at most.
    """

    def __init__(self, threads: int = 4) -> None:
        self._pool = ThreadPoolExecutor(threads, "thread-work")
        self._closing = threading.Event()
        self._jobs: set[asyncio.Future[Any]] = set()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing.is_set()

    async def run(self, act: Callable[[Check], T], *, discard: Callable[[T], object] | None = None) -> T:
        """Return what `act` returns.

        A caller that is cancelled leaves when the thread has noticed it, so that nothing the thread uses is taken from
        under it.

        Args:
            act: the work; it calls the function it is given between its pieces.
            discard: disposes of a result that came too late for its caller.

        Raises:
            StoppedError: `close` was called.
        """
        if self.closed:
            raise StoppedError
        unwanted = threading.Event()
        job = asyncio.get_running_loop().run_in_executor(self._pool, self._act, act, unwanted)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            unwanted.set()
            job.add_done_callback(partial(_dispose, discard))
            await asyncio.wait({job})
            raise

    async def close(self) -> None:
        """Stop all work, also what would begin later, and wait for its end: the time that one piece takes."""
        self._closing.set()
        if self._jobs:
            await asyncio.wait(self._jobs)
        self._pool.shutdown(wait=False)

    def _act(self, act: Callable[[Check], T], unwanted: threading.Event) -> T:
        def check() -> None:
            if unwanted.is_set() or self._closing.is_set():
                raise StoppedError

        check()  # it may have waited long for a thread
        return act(check)


def _dispose(discard: Callable[[T], object] | None, job: "asyncio.Future[T]") -> None:
    if not job.cancelled() and job.exception() is None and discard is not None:
        discard(job.result())
