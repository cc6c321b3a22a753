"""Free loopback ports for servers that are told their port.

They come from below the range that the kernel gives to outgoing connections, and none is given twice by one run: a port
that was probed and closed again must not be somebody else's a moment later. Workers of pytest-xdist therefore share the
range among them.
"""

import os
import random
import socket

__all__ = ["free_port"]

_SHARES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _SHARES
_RANGE = range(20_000 + _SHARE, 32_000, _SHARES)
_given: set[int] = set()
_random = random.SystemRandom()  # not the seeded one: two runs side by side must not choose alike


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    while True:
        port = _random.choice(_RANGE)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
