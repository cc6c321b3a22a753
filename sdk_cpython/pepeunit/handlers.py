"""The program's own coroutines: who handles what, and the guard around every call of them (S19)."""

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from .log import Log
from .message import Message
from .schema import Schema

__all__ = ["Handlers", "Inbox", "MessageHandler", "Task", "Timer", "check_coroutine", "guarded", "keep_time", "strays"]

MessageHandler = Callable[[Message], Awaitable[None]]
Task = Callable[[], Awaitable[None]]
_INBOX_LENGTH = 64


@dataclass(frozen=True)
class Timer:
    """A coroutine and how often it runs, in seconds."""

    seconds: float
    task: Task


@dataclass(frozen=True)
class Handlers:
    """What a program registered, by schema name where there is one."""

    inputs: dict[str, list[MessageHandler]] = field(default_factory=dict)
    commands: dict[str, list[MessageHandler]] = field(default_factory=dict)
    timers: list[Timer] = field(default_factory=list)
    on_connect: list[Task] = field(default_factory=list)


def check_coroutine(function: object, decorator: str) -> None:
    """Raises TypeError if `function`, decorated with `decorator`, is no `async def` function.

    A method or partial of one is fine, and so is an object whose `__call__` is one.
    """
    called = getattr(type(function), "__call__", None)  # noqa: B004  # asks how it is called, not whether it can be
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):
        return
    name = getattr(function, "__name__", type(function).__name__)
    raise TypeError(f"{decorator} needs an `async def` function: {name} is none")


def strays(handlers: Handlers, schema: Schema) -> str:
    """What a person should know of handlers that nothing can ever reach, as their names are not in `schema`; or ""."""
    inputs = [name for name in handlers.inputs if name not in schema.input_topic]
    commands = [name for name in handlers.commands if name not in schema.input_base_topic]
    parts = []
    if inputs:
        parts.append(f"on_input {_listed(inputs)} (the Inputs: {_listed(schema.input_topic)})")
    if commands:
        parts.append(f"on_command {_listed(commands)} (the commands: {_listed(schema.input_base_topic)})")
    return f"never called, schema.json has no such name: {'; '.join(parts)}" if parts else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


async def guarded(unit_log: Log, what: str, call: Callable[[], Awaitable[None]]) -> None:
    """Await one coroutine of the program; an exception is logged with its traceback and ends nothing."""
    try:
        await call()
    except Exception:  # noqa: BLE001  # the program's code may raise anything; the loop goes on
        unit_log.error(f"{what} failed:\n{traceback.format_exc()}")


async def keep_time(timer: Timer, log: Log) -> None:
    """Run a timer's coroutine at once, then every `seconds`, online or not; turns missed by a slow run are left out."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    name = getattr(timer.task, "__name__", "timer")
    while True:
        await guarded(log, f"timer {name}", timer.task)
        now = loop.time()
        due += timer.seconds
        if due < now:
            due = now + timer.seconds
        await asyncio.sleep(due - now)


class Inbox:
    """Messages of one name on their way to its handlers: in order, one by one; the oldest give way when 64 wait."""

    def __init__(self, name: str, handlers: list[MessageHandler], log: Log) -> None:
        self._name = name
        self._handlers = handlers
        self._log = log
        self._waiting: asyncio.Queue[Message] = asyncio.Queue(_INBOX_LENGTH)
        self._lost = 0

    def put(self, message: Message) -> None:
        """Hand over a message; returns at once."""
        if self._waiting.full():
            self._waiting.get_nowait()
            self._lost += 1
        self._waiting.put_nowait(message)

    async def run(self) -> None:
        """Serve the messages. Ends only by cancellation."""
        while True:
            message = await self._waiting.get()
            if self._lost:
                self._log.warning(f"{self._lost} messages for {self._name} were dropped: its handler is too slow")
                self._lost = 0
            for handler in self._handlers:
                await guarded(self._log, f"handler of {self._name}", partial(handler, message))
