"""A private redis-server for tests: its own folder and loopback port, killed and restarted at will.

with RedisServer(tmp_path / "redis", persistent=True) as server:
    bus = RedisBus(server.url)
    server.kill()
    server.start()
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.support.ports import free_port

__all__ = ["RedisServer"]

_DEADLINE = 20.0


class RedisServer:
    """One redis-server; `persistent` writes every command to disk, else a restart is empty.

    Args:
        folder: its own; made if it does not exist.
        persistent: with an append-only file that is synchronised at every write.
        options: further arguments of redis-server, e.g. `("--requirepass", "secret")`.
    """

    def __init__(self, folder: Path, *, persistent: bool = False, options: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self._sockets = tempfile.TemporaryDirectory(prefix="redis-")  # short: a UNIX socket's path has 107 bytes
        self.persistent = persistent
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        return f"unix://{self._sockets.name}/redis.sock"

    def start(self) -> None:
        """Start it and return when it answers."""
        assert self._process is None
        arguments = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": f"{self._sockets.name}/redis.sock",
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes" if self.persistent else "no",
            "appendfsync": "always",
            "daemonize": "no",
        }
        # it ends with the tests, also where they are killed
        command = ["setpriv", "--pdeathsig", "KILL", shutil.which("redis-server") or "/usr/bin/redis-server"]
        command += [part for name, value in arguments.items() for part in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        deadline = time.monotonic() + _DEADLINE
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.01)

    def _answers(self) -> bool:
        """Tell whether it serves commands; one that wants a password first does too."""
        try:
            return self.command("PING").startswith(("+PONG", "-NOAUTH"))
        except OSError:
            return False

    def command(self, text: str) -> str:
        """Run one command without arguments that need quoting; return the first line of the answer as it comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=_DEADLINE) as client:
            client.sendall(text.encode() + b"\r\n")
            return client.makefile("r").readline().rstrip()

    def flush(self) -> None:
        """Lose all data while connections stay."""
        assert self.command("FLUSHALL") == "+OK"

    def kill(self) -> None:
        """`kill -9`: what is not on disk is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it; safe to call twice."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Let it hang: connections stay, nothing is answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """End the hang."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        try:
            self._process.wait(_DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_DEADLINE)
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._sockets.cleanup()
