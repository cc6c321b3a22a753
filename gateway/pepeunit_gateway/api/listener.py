"""The sockets of the API: taken before anything else is started, so that a start fails early and whole."""

import errno
import socket

from pepeunit_gateway.errors import StartError

__all__ = ["bind_api", "close_sockets"]

_BACKLOG = 128


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


def _listen_message(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program. Stop it, or set PU_HTTP_PORT to a free port."
    return f"The API cannot listen on {host}:{port}: {error.strerror}. Check PU_HTTP_HOST and PU_HTTP_PORT."
