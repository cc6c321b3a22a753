"""What every answer carries, whatever made it: an error, a stream, the page.

X-Request-ID              the gateway's log has it in the lines about that request
X-Content-Type-Options    browsers keep to the media type that is said
Cache-Control             no-store, where nothing else was said: answers depend on `x-auth-token`, of which a cache
                          knows nothing, and may hold secrets
Server                    the name without versions
"""

from aiohttp import hdrs, web

__all__ = ["REQUEST_ID_HEADER", "note_request_id", "request_id_of", "stamp_headers"]

REQUEST_ID_HEADER = "X-Request-ID"

_REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)


def note_request_id(request: web.BaseRequest, request_id: str) -> None:
    """Remember the request's id."""
    request[_REQUEST_ID] = request_id


def request_id_of(request: web.BaseRequest) -> str | None:
    """Return the request's id; None for what never was a request that could be read."""
    return request.get(_REQUEST_ID)


async def stamp_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Put the headers on an answer; connect it to `app.on_response_prepare`."""
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    headers[hdrs.SERVER] = "pepeunit"
    if hdrs.CACHE_CONTROL not in headers:
        headers[hdrs.CACHE_CONTROL] = "no-store"
    request_id = request.get(_REQUEST_ID)
    if request_id is not None:
        headers[REQUEST_ID_HEADER] = request_id
