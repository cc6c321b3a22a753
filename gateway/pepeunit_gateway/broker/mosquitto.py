"""The managed mosquitto: started, watched, started again when it dies, and always reaped.

It cannot outlive the gateway: the kernel sends it SIGTERM when the gateway dies, and should it still be there at the
next start, it is found by its pid file and stopped. Source: decisions.md 20 and 23, mosquitto.md.
"""

import asyncio
import errno
import fcntl
import os
import random
import secrets
import shutil
import signal
import sys
from collections import deque
from pathlib import Path

import structlog

from pepeunit_gateway.broker import _launcher
from pepeunit_gateway.broker.leftover import stop_leftover
from pepeunit_gateway.broker.mosquitto_files import (
    dynsec_json,
    find_executable,
    find_plugin,
    mosquitto_conf,
    remove,
    write_private,
)
from pepeunit_gateway.broker.runtime_folder import make_runtime_folder, runtime_folder
from pepeunit_gateway.broker.upstream import BrokerAwayError, open_upstream
from pepeunit_gateway.errors import StartError

__all__ = ["Mosquitto"]

log = structlog.get_logger(__name__)

_MAX_SOCKET_PATH = 107  # bytes, unix(7)
_READY_TIMEOUT = 15.0  # seconds; a saved queue of some hundred MB is read at the start
_TERM_TIMEOUT = 10.0  # seconds; mosquitto saves its queues meanwhile
_STABLE = 30.0  # seconds of life after which the back-off begins anew
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_KEPT_LINES = 5
_ON_PURPOSE = "should not be run as root"  # it cannot be reached from outside, and needs the gateway's folder
_LINE = 2000  # characters of a log line


class Mosquitto:
    """One mosquitto on one folder, reachable only over `socket_path`."""

    def __init__(self, directory: Path, executable: str) -> None:
        self.password = secrets.token_urlsafe(32)
        self._directory = directory.absolute()
        self._executable = executable
        own = self._directory / "m.sock"
        # A UNIX socket's path is short; with a longer one the socket alone goes to a private folder elsewhere.
        self._runtime = runtime_folder(self._directory) if len(os.fsencode(own)) > _MAX_SOCKET_PATH else None
        self.socket_path = own if self._runtime is None else self._runtime / own.name
        self._lock: int | None = None
        self._command: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=_KEPT_LINES)

    @property
    def pid(self) -> int | None:
        """The pid of the mosquitto that runs now."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start mosquitto and return when it accepts connections.

        Raises:
            StartError: not installed, the folder is not usable or in use, or it ended; with its last words.
        """
        executable, plugin = find_executable(self._executable), find_plugin()
        self._open_directory()
        await stop_leftover(self._directory / "mosquitto.pid")
        write_private(self._directory / "dynsec.json", dynsec_json(self.password, secrets.token_bytes(12)))
        conf = mosquitto_conf(socket=self._listen_name(), plugin=plugin, as_root=os.geteuid() == 0)
        write_private(self._directory / "mosquitto.conf", conf)
        self._command = [
            *(sys.executable, "-I", "-S", _launcher.__file__, str(os.getpid()), "mosquitto.pid"),
            *(executable, "-c", "mosquitto.conf"),
        ]
        process = await self._spawn()
        await self._ready(process)
        self._watch = asyncio.get_running_loop().create_task(self._keep_running(process))

    async def stop(self) -> None:
        """End mosquitto with SIGTERM, so that it saves its queues, or after 10 s with SIGKILL; safe to call twice."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        if self._process is not None:
            await self._end(self._process)
            self._process = None
            remove(self._directory / "mosquitto.pid")
        if self._reading is not None:
            await self._reading
            self._reading = None
        if self._lock is not None:
            if self._runtime is not None:
                shutil.rmtree(self._runtime, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    def _open_directory(self) -> None:
        """Make the folder, private, and lock it for this gateway; the lock ends with the process."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
            lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(
                f"The broker's folder {self._directory} cannot be used: {error.strerror}. "
                "Give this user a folder that it may write in PU_DATA_DIR."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
            raise StartError(
                f"Another gateway already runs on {self._directory}. "
                "Stop it, or choose another folder with PU_DATA_DIR."
            ) from error
        self._lock = lock

    def _listen_name(self) -> str:
        """Make way for the socket; return its name as mosquitto.conf has it."""
        if self._runtime is not None:
            make_runtime_folder(self._runtime)
        remove(self.socket_path)
        return self.socket_path.name if self._runtime is None else str(self.socket_path)

    async def _spawn(self) -> asyncio.subprocess.Process:
        # In a session of its own: Ctrl-C reaches the gateway only, which then stops its broker in order.
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._directory,
            env={"LC_ALL": "C.UTF-8"},
            start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        return self._process

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the socket accepts, reading the log meanwhile.

        Raises:
            StartError: it ended first, or took too long.
        """
        reading = self._reading = asyncio.get_running_loop().create_task(self._read_log(process))
        opening = asyncio.get_running_loop().create_task(
            open_upstream(self.socket_path, asyncio.Protocol, time_limit=_READY_TIMEOUT)
        )
        try:
            await asyncio.wait({reading, opening}, return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                transport, _ = opening.result()
                transport.close()
                return
        except BrokerAwayError:
            pass
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        await self._end(process)
        await reading
        words = " | ".join(self._last_lines) or "it said nothing"
        raise StartError(f"mosquitto did not start (exit code {process.returncode}) in {self._directory}: {words}")

    async def _keep_running(self, process: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            born = loop.time()
            returncode = await process.wait()
            log.error("broker.mosquitto.died", returncode=returncode, last_lines=list(self._last_lines))
            pause = _FIRST_PAUSE if loop.time() - born > _STABLE else min(pause * 2, _LONGEST_PAUSE)
            while True:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, keeps no secret
                try:
                    process = await self._spawn()
                    await self._ready(process)
                except (StartError, OSError) as error:
                    log.error("broker.mosquitto.restart_failed", error=str(error))  # noqa: TRY400 - one line tells all
                    pause = min(pause * 2, _LONGEST_PAUSE)
                else:
                    break
            log.warning("broker.mosquitto.restarted", pid=process.pid)

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        """Fold mosquitto's log into ours; returns when it has ended."""
        if process.stderr is None:
            return
        rest = ""
        while chunk := await process.stderr.read(4096):
            *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
            for line in (*lines, rest[:_LINE]) if len(rest) > _LINE else lines:
                self._tell(line)
            if len(rest) > _LINE:
                rest = ""
        self._tell(rest)

    def _tell(self, line: str) -> None:
        if not line:
            return
        self._last_lines.append(line)
        level = "error" if line.startswith("Error") else "warning" if line.startswith("Warning") else "debug"
        if _ON_PURPOSE in line:
            level = "debug"
        getattr(log, level)("broker.mosquitto.log", line=line)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.returncode is not None:
                return
            try:
                # Not process.send_signal: before Python 3.13 it may reap the child and lose its exit code.
                os.kill(process.pid, number)
                async with asyncio.timeout(_TERM_TIMEOUT):
                    await process.wait()
            except ProcessLookupError:
                await process.wait()
            except TimeoutError:
                log.warning("broker.mosquitto.does_not_end", signal=number.name)
