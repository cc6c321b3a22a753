"""Blocking calls beside the event loop.

The threads are daemons: a server that stalls must not hold up the end of the program, as the loop's own executor would.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Workers"]

_Result = TypeVar("_Result")


class Workers:
    """At most `count` threads at once; further callers wait their turn."""

    def __init__(self, count: int = 4) -> None:
        self._turns = asyncio.Semaphore(count)

    async def run(self, function: Callable[[], _Result], *, time_limit: float, abort: Callable[[], None]) -> _Result:
        """Call `function` in a thread and return what it returns.

        After `time_limit` seconds, or when the caller is cancelled, `abort` is called, which must make the function end
        soon; its result is thrown away. Raises TimeoutError.
        """
        await self._turns.acquire()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_Result] = loop.create_future()

        def settle(result: _Result | None, error: BaseException | None) -> None:
            self._turns.release()
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(result)  # type: ignore[arg-type]  # the result is there where no error is

        def work() -> None:
            result: _Result | None = None
            failure: BaseException | None = None
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001  # root of a thread: whatever it is, the waiting task gets it
                failure = error
            _tell(loop, settle, result, failure)

        threading.Thread(target=work, name="pepeunit-worker", daemon=True).start()
        try:
            async with asyncio.timeout(time_limit):
                return await done
        except (TimeoutError, asyncio.CancelledError):
            abort()
            raise


def _tell(
    loop: asyncio.AbstractEventLoop,
    settle: Callable[[_Result | None, BaseException | None], None],
    result: _Result | None,
    failure: BaseException | None,
) -> None:
    """Hand a result to the loop; a loop that is closed by now waits for nothing."""
    try:
        loop.call_soon_threadsafe(settle, result, failure)
    except RuntimeError:
        return
