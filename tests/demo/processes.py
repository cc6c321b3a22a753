"""The processes of the demo: each writes its own log file, has one owner and is stopped at every end."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["RESTART_EXIT_CODE", "Program", "UnitProgram", "command_line", "descendants", "is_alive"]

RESTART_EXIT_CODE = 75
STOP_TIMEOUT = 5.0
MAX_RESTARTS = 5


class Program:
    """One process with its output in a file."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self.folder = folder
        self.env = dict(env)
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.returncode

    async def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                cwd=self.folder,
                env=self.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C at the demo is passed on in order, never to all at once
            )

    async def wait(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return await self._process.wait()

    async def stop(self, sign: signal.Signals = signal.SIGINT, grace: float = STOP_TIMEOUT) -> tuple[int, float]:
        """Send `sign`, kill after `grace` seconds; return the exit code and the seconds it took."""
        started = time.monotonic()
        if self._process is None:
            return 0, 0.0
        if self._process.returncode is None:
            self._process.send_signal(sign)
            try:
                async with asyncio.timeout(grace):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        return await self._process.wait(), time.monotonic() - started

    def tail(self, lines: int = 25) -> str:
        """The last lines of the log."""
        try:
            with self.log.open(errors="replace") as text:
                return "".join(deque(text, maxlen=lines)).rstrip()
        except FileNotFoundError:
            return "(no log)"


class UnitProgram(Program):
    """A unit's program. One that ends with RESTART_EXIT_CODE is started again, as a reset of a board would."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> None:
        super().__init__(name, command, folder, env, log)
        self.restarts = 0
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await super().start()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    async def _keep(self) -> None:
        while await self.wait() == RESTART_EXIT_CODE and self.restarts < MAX_RESTARTS:
            self.restarts += 1
            await super().start()

    async def stop(self, sign: signal.Signals = signal.SIGTERM, grace: float = STOP_TIMEOUT) -> tuple[int, float]:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        return await super().stop(sign, grace)


def _parents() -> dict[int, int]:
    """Pid to parent pid of every process there is."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it ended meanwhile
            found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def descendants(pid: int) -> list[int]:
    """All processes that `pid` started, directly or not."""
    parents = _parents()
    found = [pid]
    for parent in found:
        found.extend(child for child, its_parent in parents.items() if its_parent == parent)
    return found[1:]


def command_line(pid: int) -> str:
    """The words of a process's command line; nothing if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Tell whether the process runs; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
