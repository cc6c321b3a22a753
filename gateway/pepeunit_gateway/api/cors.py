"""Pages of other origins may call the API where PU_CORS_ORIGINS says so. Source: the Fetch standard, "CORS protocol".

Cookies play no part: a page sends the token itself, in `x-auth-token`, so that credentials are never allowed.
"""

from collections.abc import Sequence

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from pepeunit_gateway.api.headers import REQUEST_ID_HEADER
from pepeunit_gateway.api.keys import TOKEN_HEADER
from pepeunit_gateway.hosts import ANY_ORIGIN

__all__ = ["add_cors"]

_METHODS = "GET, HEAD, POST, PATCH, DELETE"
_ALLOWED = f"{TOKEN_HEADER}, content-type, idempotency-key, range, if-range, if-none-match"
_EXPOSED = (
    f"{REQUEST_ID_HEADER}, Repr-Digest, Retry-After, Content-Length, Content-Disposition, ETag, Content-Range, "
    "Accept-Ranges"
)
_KEEP = "600"
_VARY = f"{hdrs.ORIGIN}, {hdrs.ACCESS_CONTROL_REQUEST_METHOD}, {hdrs.ACCESS_CONTROL_REQUEST_HEADERS}"


class _Cors:
    """The rules of one application."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._any = ANY_ORIGIN in origins
        self._origins = frozenset(origins)

    def _allowed(self, request: web.Request) -> str | None:
        """Return what the answer says of the origin, None where its pages may not read it."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return None
        if self._any:
            return ANY_ORIGIN
        return origin if origin in self._origins else None

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Let the page read the answer, an error too."""
        if not self._any:  # what one origin was told is not for another
            vary = response.headers.get(hdrs.VARY)
            if vary is None:
                response.headers[hdrs.VARY] = hdrs.ORIGIN
            elif hdrs.ORIGIN not in vary:
                response.headers[hdrs.VARY] = f"{vary}, {hdrs.ORIGIN}"
        if (allowed := self._allowed(request)) is not None:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = allowed
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED

    def preflight(self, request: web.Request) -> web.Response:
        """Answer what a browser asks before it sends the real request."""
        headers = {hdrs.VARY: _VARY}
        if self._allowed(request) is not None:
            headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = _METHODS
            headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = _ALLOWED
            headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _KEEP
        return web.Response(status=204, headers=headers)


def add_cors(app: web.Application, origins: Sequence[str]) -> None:
    """Answer preflights and mark answers; without origins nothing is added.

    A preflight for a path that does not exist stays 404.
    """
    if not origins:
        return
    cors = _Cors(origins)

    @web.middleware
    async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (
            request.method == hdrs.METH_OPTIONS
            and hdrs.ORIGIN in request.headers
            and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
            and not isinstance(request.match_info.http_exception, web.HTTPNotFound)
        ):
            return cors.preflight(request)
        return await handler(request)

    app.middlewares.append(answer_preflight)
    app.on_response_prepare.append(cors.mark)
