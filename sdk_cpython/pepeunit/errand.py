"""Work that must succeed some time: asked for, tried, and tried again with growing pauses."""

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable

from .backoff import Backoff
from .errors import PepeunitError, RestError
from .log import Log

__all__ = ["Errand"]


class Errand:
    """Runs `action` once for any number of requests, again after a failure, until it succeeds.

    A request while the action runs makes it run once more; one during a pause ends the pause.
    """

    def __init__(self, name: str, action: Callable[[], Awaitable[None]], log: Log, backoff: Backoff) -> None:
        self._name = name
        self._action = action
        self._log = log
        self._backoff = backoff
        self._asked = asyncio.Event()

    def request(self) -> None:
        """Ask for the action; returns at once."""
        self._asked.set()

    async def run(self) -> None:
        """Serve requests. Ends only by cancellation."""
        failures = 0
        while True:
            await self._asked.wait()
            self._asked.clear()
            least = 0.0
            try:
                await self._action()
            except (PepeunitError, OSError) as error:
                least = error.retry_after if isinstance(error, RestError) else 0.0
                self._log.warning(f"{self._name} failed, it will be tried again: {error}")
            except Exception:  # noqa: BLE001  # root of a task: log once, with its traceback, and go on
                self._log.error(f"{self._name} failed, it will be tried again:\n{traceback.format_exc()}")
            else:
                failures = 0
                continue
            failures += 1
            await self._pause(least + self._backoff.delay(failures, random.random()))  # noqa: S311  # spreads a fleet

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            self._asked.set()
