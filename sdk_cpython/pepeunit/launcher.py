"""`pepeunit device run`: keeps a unit program running on this machine.

An update that was cut is completed before any code of the unit is read; a program that asks for it, or crashed, starts
again. Before one that crashed does, the gateway is asked for another version: the mend of a program that cannot start.
"""

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import FrameType

from .backoff import Backoff
from .env import read_env
from .recovery import RESTART_EXIT_CODE, recover
from .rescue import Rescue
from .schema import read_schema

__all__ = ["Launcher", "Next", "decide"]

_STEADY = 60.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL = 0.2


class Next(Enum):
    """What follows the end of a program."""

    START = "start"
    START_LATER = "start later"
    END = "end"


def decide(code: int, *, stopped: bool, once: bool) -> Next:
    """What follows exit code `code` (negative: killed by that signal); `stopped`: we passed a signal on to it."""
    if stopped or once or code == 0:
        return Next.END
    return Next.START if code == RESTART_EXIT_CODE else Next.START_LATER


@dataclass
class Launcher:
    """Runs one program. `say` gets one line for each thing a person should know."""

    program: Path
    once: bool = False
    backoff: Backoff = field(default_factory=Backoff)
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: T201  # a command's output

    def __post_init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._stop: int | None = None
        self._rescue = Rescue(self.program, self.say)

    def run(self) -> int:
        """Start the program, again and again; the exit code of its last run (128 + n if signal n killed it).

        Raises EnvError or SchemaError if a file that every program needs is missing or broken before the first start,
        SwitchError if an update that was cut cannot be completed, OSError if the program cannot be started.
        """
        crashes = 0
        recover(self.program.parent)
        read_env(self.program.parent)
        read_schema(self.program.parent)
        with self._passing_signals():
            while True:
                recover(self.program.parent)
                begun = time.monotonic()
                code = self._run_once()
                following = decide(code, stopped=self._stop is not None, once=self.once)
                if following is Next.END:
                    return code if code >= 0 else 128 - code
                if following is Next.START:
                    crashes = 0
                    continue
                crashes = 1 if time.monotonic() - begun > _STEADY else crashes + 1
                delay = self.backoff.delay(crashes, random.random())  # noqa: S311  # spreads load, guards nothing
                self.say(
                    f"{self.program.name} ended with {code}; it starts again in {delay:.1f} s, "
                    "or when the gateway has another version"
                )
                if asyncio.run(self._wait(delay)):
                    crashes = 0
                if self._stop is not None:
                    return code if code >= 0 else 128 - code

    def _run_once(self) -> int:
        if self._stop is not None:
            return 128 + self._stop
        command = [sys.executable, str(self.program)]
        # A session of its own: Ctrl-C in a terminal reaches the program once, through us.
        self._child = subprocess.Popen(command, cwd=self.program.parent, start_new_session=True)
        try:
            self._repeat_signal(self._child)
            return self._child.wait()
        finally:
            self._child = None

    def _repeat_signal(self, child: "subprocess.Popen[bytes]") -> None:
        """Pass on a signal that came before there was a child to get it."""
        if self._stop is not None:
            child.send_signal(self._stop)

    async def _wait(self, seconds: float) -> bool:
        """Wait before the next start; True as soon as another version is in place. A signal ends the wait.

        A question or download under way when the time is over is waited for; each has a limit of its own.
        """
        rescue = asyncio.create_task(self._rescue.run())
        end = time.monotonic() + seconds
        try:
            while self._stop is None:
                await asyncio.wait({rescue}, timeout=_POLL)
                if rescue.done():
                    rescue.result()
                    return True
                if time.monotonic() >= end and not self._rescue.is_busy:
                    break
            return False
        finally:
            rescue.cancel()
            await asyncio.gather(rescue, return_exceptions=True)

    @contextmanager
    def _passing_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._pass_on) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._stop = number
        if self._child is not None:
            self._child.send_signal(number)
