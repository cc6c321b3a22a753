"""Free loopback ports for servers that are told their port.

They come from below the range that the kernel gives to outgoing connections, and none is given twice: a port that was
probed and closed again must not be somebody else's a moment later. Whoever gives one out locks it for the life of its
process, as one byte of a file that all runs of a user share: other workers, other runs and the processes they start.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

__all__ = ["free_port"]

_RANGE = range(10_000, 32_000)
_TRIES = 10_000
_given: set[int] = set()  # a process does not see its own locks
_random = random.SystemRandom()  # not the seeded one: two runs side by side must not choose alike
_locks = os.open(Path(tempfile.gettempdir()) / f"pepeunit-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600)


def _is_ours(port: int) -> bool:
    """Lock a port, unless another process has."""
    try:
        fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    for _ in range(_TRIES):
        port = _random.choice(_RANGE)
        if port in _given or not _is_ours(port):
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"no free port after {_TRIES} tries; do other runs of the tests hold them all?")
