"""Do something again and again, whatever happens to one run (W57)."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

__all__ = ["keep_running", "run_periodically"]

log = structlog.get_logger(__name__)

_JITTER = 0.1
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_CALM = 60.0


async def run_periodically(name: str, interval: float, act: Callable[[], Awaitable[None]]) -> None:
    """Call `act` at once and then every `interval` seconds, give or take a tenth, until cancelled.

    A failing run is logged with its traceback and the next one comes as planned.
    """
    while True:
        try:
            await act()
        except Exception:  # the root of a task: logged once with its context, and on it goes
            log.exception("job.failed", job=name)
        await asyncio.sleep(interval * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - spreads load, no secret


async def keep_running(name: str, act: Callable[[], Awaitable[None]]) -> None:
    """Run an endless task and start it again when it fails: after 0.2 s, doubling to 30 s, with jitter."""
    loop = asyncio.get_running_loop()
    pause = _FIRST_PAUSE
    while True:
        started = loop.time()
        try:
            await act()
        except Exception:  # the root of a task: logged once with its context, and it is started again
            log.exception("task.failed", task=name)
        if loop.time() - started > _CALM:
            pause = _FIRST_PAUSE
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, no secret
        pause = min(pause * 2, _LONGEST_PAUSE)
