"""Steps with deadlines: each is printed with its time as it ends, and all of them stand in a table at the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Record", "StepError", "Steps"]

T = TypeVar("T")
POLL_INTERVAL = 0.1


class StepError(Exception):
    """A step did not happen. Carries the step's name and what was seen last."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"step failed: {name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True)
class Record:
    """One finished step; times in seconds."""

    name: str
    took: float
    deadline: float


class Steps:
    """Runs steps one after the other and keeps their times."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.records: list[Record] = []
        self._say = say
        self._seen = "nothing"

    async def run(self, name: str, deadline: float, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` for at most `deadline` seconds.

        Raises:
            StepError: it took longer or failed; the message says what `until` saw last.
        """
        started = time.monotonic()
        self._seen = "nothing"
        try:
            async with asyncio.timeout(deadline):
                result = await work
        except TimeoutError:
            raise StepError(name, f"not within {deadline:g} s; seen last: {self._seen}") from None
        except Exception as error:  # the root of a step: whatever it was, the step's name is told
            raise StepError(name, f"{type(error).__name__}: {error}") from error
        record = Record(name, time.monotonic() - started, deadline)
        self.records.append(record)
        self._say(f"  {len(self.records):>2}  {name:<62} {record.took:7.2f} s")
        return result

    async def until(self, look: Callable[[], Awaitable[T]], accept: Callable[[T], bool]) -> T:
        """Look again and again until `accept` likes what is seen; the step around it holds the deadline."""
        while True:
            value = await look()
            self._seen = repr(value)[:300]
            if accept(value):
                return value
            await asyncio.sleep(POLL_INTERVAL)

    def table(self) -> str:
        """All finished steps with their times and deadlines, and the sum."""
        rows = [f"  {'step':<62} {'took':>9}  {'deadline':>9}"]
        rows += [f"  {record.name:<62} {record.took:7.2f} s  {record.deadline:7.0f} s" for record in self.records]
        rows.append(f"  {'all of it':<62} {sum(record.took for record in self.records):7.2f} s")
        return "\n".join(rows)
