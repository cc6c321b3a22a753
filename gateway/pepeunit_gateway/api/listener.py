"""The sockets of the API: taken before anything else is started, so that a start fails early and whole."""

import errno
import logging
import socket
import ssl

from aiohttp import web
from aiohttp.web_log import AccessLogger

from pepeunit_gateway.api.keys import OBSERVER
from pepeunit_gateway.api.observing import SERVER_LOG
from pepeunit_gateway.api.requests import ServedRequest
from pepeunit_gateway.errors import StartError

__all__ = ["bind_api", "close_sockets", "serve"]

_BACKLOG = 128
_SHUTDOWN = 1.0
_KEEP_ALIVE = 75.0
_MAX_LINE = 64 * 1024
"""Bytes of a request's first line: a list may be asked for 500 uuids, which take 21,500."""


def bind_api(host: str, port: int) -> list[socket.socket]:
    """Take the API's port before anything is started; who connects early waits until it is served.

    Raises:
        StartError: it is occupied, not allowed, or no address of this machine.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            # at once: with SO_REUSEADDR another program could bind and listen between our two calls
            sock.listen(_BACKLOG)
    except OSError as error:
        close_sockets(sockets)
        raise StartError(_listen_message(host, port, error)) from error
    return sockets


def close_sockets(sockets: list[socket.socket]) -> None:
    """Give the port back; those that a server has closed are closed already."""
    for sock in sockets:
        sock.close()


async def serve(app: web.Application, sockets: list[socket.socket], tls: ssl.SSLContext | None) -> web.AppRunner:
    """Serve `app` on the sockets, over TLS where a context is given; `cleanup()` of what is returned ends it."""
    observer = app.get(OBSERVER)
    runner = web.AppRunner(
        app,
        access_log=None if observer is None else logging.getLogger(__name__),  # without one aiohttp tells nobody
        access_log_class=AccessLogger if observer is None else observer.access_log(),
        logger=SERVER_LOG,
        shutdown_timeout=_SHUTDOWN,
        keepalive_timeout=_KEEP_ALIVE,
        max_line_size=_MAX_LINE,
    )
    await runner.setup()
    if runner.server is not None:
        runner.server.request_factory = ServedRequest.make
    try:
        for sock in sockets:
            await web.SockSite(runner, sock, ssl_context=tls).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner


def _listen_message(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program. Stop it, or set PU_HTTP_PORT to a free port."
    return f"The API cannot listen on {host}:{port}: {error.strerror}. Check PU_HTTP_HOST and PU_HTTP_PORT."
