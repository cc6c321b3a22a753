"""How many requests are worked on at a time; those that come on top are told to come again."""

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
                raise RequestError(503, "too many requests at a time; try again in a few seconds")
            self.inside += 1
            try:
                return await handler(request)
            finally:
                self.inside -= 1

        return enter


GATE: web.AppKey[Gate] = web.AppKey("gate", Gate)
