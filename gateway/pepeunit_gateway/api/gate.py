"""How many requests are worked on at a time; those that come on top are told to come again.

One whose body still arrives is not worked on: `bodies.py` counts those.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from pepeunit_gateway.api.failures import RequestError

__all__ = ["GATE", "Gate"]

_MOST = 1000
"""Each may hold a body of 256 KiB in memory; more wait for the database in vain anyway."""

_ALWAYS = "/healthz"


class Gate:
    """Counts the requests that are being answered; `/healthz` passes always."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self.inside = 0

    def middleware(self) -> Middleware:
        """Return what lets requests in."""

        @web.middleware
        async def enter(request: web.Request, handler: Handler) -> web.StreamResponse:
            if self.inside >= self._most and request.path != _ALWAYS:
                raise _full()
            self.inside += 1
            try:
                return await handler(request)
            finally:
                self.inside -= 1

        return enter

    @contextmanager
    def left(self) -> Iterator[None]:
        """Let a request that is inside wait outside for the time of the block.

        Raises:
            RequestError: nothing is free when it comes back.
        """
        self.inside -= 1
        try:
            yield
            if self.inside >= self._most:
                raise _full()
        finally:
            self.inside += 1


def _full() -> RequestError:
    return RequestError(503, "too many requests at a time; try again in a few seconds")


GATE: web.AppKey[Gate] = web.AppKey("gate", Gate)
