"""Make and send answers that are no JSON.

They may take long to make: a client that goes away meanwhile ends the work. One that stops reading for a minute is
dropped.
"""

import asyncio
from collections.abc import Awaitable

import structlog
from aiohttp import hdrs, web

from pepeunit_gateway.api.failures import RangeError, RequestError
from pepeunit_gateway.api.observing import route_of
from pepeunit_gateway.api.ranges import Span, UnsatisfiableError, find_span, is_known
from pepeunit_gateway.api.routing import Download, Media, Stream

__all__ = ["make_download", "send_download"]

_STALL_TIMEOUT = 60.0
_LOOK_INTERVAL = 0.25
_TEXTS = {Media.TEXT, Media.MARKDOWN}
_PART, _KNOWN = 206, 304
_KEPT_BY_ITS_READER = "private, no-cache"
"""A cache of the client alone may keep the answer, and asks each time whether it still is the right one."""

log = structlog.get_logger(__name__)


async def make_download(request: web.Request, making: Awaitable[Download]) -> Download:
    """Return what `making` makes; it is cancelled when the client goes away.

    Raises:
        RequestError: the client has gone; nobody will read this answer.
    """
    job = asyncio.ensure_future(making)
    try:
        while request.transport is not None and not request.transport.is_closing():
            if (await asyncio.wait({job}, timeout=_LOOK_INTERVAL))[0]:
                return job.result()
    except asyncio.CancelledError:
        await _give_up(job)
        raise
    await _give_up(job)
    raise RequestError(400, "the client has gone")


async def _give_up(job: "asyncio.Future[Download]") -> None:
    """End the making; close a stream that is there all the same."""
    job.cancel()
    await asyncio.wait({job})
    if job.cancelled() or job.exception() is not None:
        return
    content = job.result().content
    if not isinstance(content, bytes):
        async with content:
            return


async def _write(response: web.StreamResponse, stream: Stream, span: Span) -> None:
    async for piece in stream.chunks(span.start, span.stop):
        async with asyncio.timeout(_STALL_TIMEOUT):
            await response.write(piece)
    async with asyncio.timeout(_STALL_TIMEOUT):
        await response.write_eof()


def _header(request: web.Request, name: str) -> str | None:
    """Return a header; several lines of it are one."""
    found = request.headers.getall(name, None)
    return None if found is None else ", ".join(found)


def _part(request: web.Request, etag: str, size: int) -> Span | None:
    """Return the part that is asked for, None for all.

    Raises:
        RangeError: there is no such part.
    """
    if request.method != hdrs.METH_GET:
        return None
    try:
        return find_span(_header(request, hdrs.RANGE), _header(request, hdrs.IF_RANGE), etag=etag, size=size)
    except UnsatisfiableError:
        raise RangeError(size) from None


def _begin(request: web.Request, value: Download, size: int, status: int) -> tuple[web.StreamResponse, Span]:
    """Return the answer without its body, and what of the stream belongs into it."""
    span = Span.whole(size)
    response = web.StreamResponse(status=status, headers=value.headers)
    if value.etag is not None:
        headers = response.headers
        headers[hdrs.ETAG] = value.etag
        headers[hdrs.ACCEPT_RANGES] = "bytes"
        headers[hdrs.CACHE_CONTROL] = _KEPT_BY_ITS_READER
        if is_known(_header(request, hdrs.IF_NONE_MATCH), value.etag):
            response.set_status(_KNOWN)
            return response, span
        if (part := _part(request, value.etag, size)) is not None:
            span = part
            response.set_status(_PART)
            headers[hdrs.CONTENT_RANGE] = span.content_range
    response.content_type = value.media.value
    response.content_length = span.length
    return response, span


async def _send_stream(request: web.Request, value: Download, stream: Stream, status: int) -> web.StreamResponse:
    async with stream:
        response, span = _begin(request, value, stream.size, status)
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD or response.status == _KNOWN:
            return response
        try:
            await _write(response, stream, span)
        except (OSError, TimeoutError) as error:
            # the headers are out, so the only honest answer is a cut: the length and the digest tell the client
            log.info("api.download.cut", route=route_of(request), reason=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
        else:
            if value.sent is not None and span.stop == span.size:
                value.sent()
    return response


async def send_download(request: web.Request, value: Download, status: int) -> web.StreamResponse:
    """Send bytes at once or a stream piece by piece, with Content-Length; HEAD gets the headers alone."""
    if not isinstance(value.content, bytes):
        return await _send_stream(request, value, value.content, status)
    charset = "utf-8" if value.media in _TEXTS else None
    return web.Response(
        status=status, body=value.content, content_type=value.media.value, charset=charset, headers=value.headers
    )
