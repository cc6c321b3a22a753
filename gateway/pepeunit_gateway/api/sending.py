"""Send answers that are no JSON. A client that stops reading for a minute is dropped."""

import asyncio

import structlog
from aiohttp import hdrs, web

from pepeunit_gateway.api.routing import Download, Media, Stream

__all__ = ["send_download"]

_STALL_TIMEOUT = 60.0

log = structlog.get_logger(__name__)


async def _write(response: web.StreamResponse, stream: Stream) -> None:
    async for piece in stream.chunks():
        async with asyncio.timeout(_STALL_TIMEOUT):
            await response.write(piece)
    async with asyncio.timeout(_STALL_TIMEOUT):
        await response.write_eof()


async def _send_stream(request: web.Request, value: Download, stream: Stream, status: int) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=value.headers)
    response.content_type = value.media.value
    async with stream:
        response.content_length = stream.size
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            await _write(response, stream)
        except (OSError, TimeoutError) as error:
            # the headers are out, so the only honest answer is a cut: the length and the digest tell the client
            log.info("api.download.cut", path=request.path, reason=type(error).__name__)
            if request.transport is not None:
                request.transport.abort()
    return response


async def send_download(request: web.Request, value: Download, status: int) -> web.StreamResponse:
    """Send bytes at once or a stream piece by piece, with Content-Length; HEAD gets the headers alone."""
    if not isinstance(value.content, bytes):
        return await _send_stream(request, value, value.content, status)
    charset = "utf-8" if value.media is Media.TEXT else None
    return web.Response(
        status=status, body=value.content, content_type=value.media.value, charset=charset, headers=value.headers
    )
