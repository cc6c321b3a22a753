"""The way to mosquitto over its UNIX socket.

mosquitto's listen backlog is 10, and a connect to a full one fails at once; so the socket is connected by hand, with
retries, and handed to the loop afterwards. Source: mosquitto.md, configuration.
"""

import asyncio
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["BrokerAwayError", "open_upstream"]

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.1

_P = TypeVar("_P", bound=asyncio.Protocol)


class BrokerAwayError(Exception):
    """mosquitto could not be reached in time."""


async def open_upstream(
    path: Path, protocol_factory: Callable[[], _P], *, time_limit: float
) -> tuple[asyncio.Transport, _P]:
    """Connect to the socket at `path`, trying again while its backlog is full or it is not there yet.

    Raises:
        BrokerAwayError: not within `time_limit` seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + time_limit
    pause = _FIRST_PAUSE
    while True:
        sock = _try_connect(path)
        if sock is not None:
            break
        if loop.time() + pause > deadline:
            raise BrokerAwayError
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, keeps no secret
        pause = min(pause * 2, _LONGEST_PAUSE)
    try:
        return await loop.create_unix_connection(protocol_factory, sock=sock)
    except BaseException:
        sock.close()
        raise


def _try_connect(path: Path) -> socket.socket | None:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(0)
    try:
        sock.connect(str(path))
    except (BlockingIOError, ConnectionRefusedError, FileNotFoundError):
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    return sock
