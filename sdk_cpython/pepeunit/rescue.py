"""What the launcher does for a program that fails: it asks for another version itself.

A version that ends before `unit.run()` never hears of its mend: one bad push would put a unit out for good.
"""

import asyncio
import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .backoff import Backoff
from .device import Device
from .errors import PepeunitError, RestError

__all__ = ["Rescue"]

# Seconds that the question may take: nobody knows whether it is the network that the program fails for.
_ASK_TIME = 10.0
_SHORT = 10


@dataclass
class Rescue:
    """Looks after one program that lies beside its env.json and schema.json, while that program is not running.

    `say` gets one line for each thing a person should know; a failure that repeats itself is said once. `interval` is
    the longest pause between two questions in seconds, `retry` how long a version that failed is left alone.
    """

    program: Path
    say: Callable[[str], None]
    interval: float = 20.0
    retry: Backoff = field(default_factory=lambda: Backoff(15.0, 300.0))

    def __post_init__(self) -> None:
        self.is_busy = False
        self._told = ""
        self._failed = ""
        self._failures = 0
        self._retry_at = 0.0
        self._silent_until = 0.0

    async def run(self) -> None:
        """Ask at once, then again and again; returns when another version is in place.

        `is_busy` is False in the pauses. May be cancelled at any time and called again.
        """
        while True:
            self.is_busy = True
            try:
                installed = await self._attempt()
            finally:
                self.is_busy = False
            if installed:
                return
            # between half the interval and all of it: a fleet that fails together must not ask together
            await asyncio.sleep(self.interval * (1 + random.random()) / 2)  # noqa: S311  # guards nothing

    async def _attempt(self) -> bool:
        """True if another version is in place now; every failure is said and ends nothing."""
        if time.monotonic() < self._silent_until:
            return False
        try:
            # made anew each time: the program or a person may have changed what lies there
            device = Device(self.program.parent, program=self.program)
            target = await self._ask(device)
            if target == device.installed_commit or (target == self._failed and time.monotonic() < self._retry_at):
                return False
            return await self._install(device, target)
        except (PepeunitError, OSError) as error:
            self._tell(f"no other version could be asked for: {error}")
            self._silent_until = time.monotonic() + (error.retry_after if isinstance(error, RestError) else 0.0)
        except Exception:  # noqa: BLE001  # root of a task: a mistake of ours must not end what keeps the unit alive
            self._tell(f"no other version could be asked for:\n{traceback.format_exc()}")
        return False

    async def _ask(self, device: Device) -> str:
        try:
            async with asyncio.timeout(_ASK_TIME):
                return await device.updates.target()
        except TimeoutError:
            raise RestError(f"the gateway did not answer in {_ASK_TIME:.0f} s") from None

    async def _install(self, device: Device, target: str) -> bool:
        before = device.installed_commit[:_SHORT] or "an unknown version"
        self.say(f"the gateway wants {target[:_SHORT]} instead of {before}: fetching it")
        try:
            staged = await device.updates.stage()
            if staged.commit == device.installed_commit:
                raise RestError(f"the gateway still gives {staged.commit[:_SHORT]}")
            device.install(staged)
        except (PepeunitError, OSError) as error:
            self._failures = self._failures + 1 if target == self._failed else 1
            self._failed = target
            pause = self.retry.delay(self._failures, random.random())  # noqa: S311  # spreads a fleet, guards nothing
            self._retry_at = time.monotonic() + pause + (error.retry_after if isinstance(error, RestError) else 0.0)
            self.say(f"{target[:_SHORT]} could not be installed, it will be tried again: {error}")
            return False
        self._failed = self._told = ""
        self.say(f"{staged.commit[:_SHORT]} is in place")
        return True

    def _tell(self, line: str) -> None:
        if line != self._told:
            self._told = line
            self.say(line)
