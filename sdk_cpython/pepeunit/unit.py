"""The unit: the one object that a program talks to. Source: design.md "The unit program"."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .backoff import Pace
from .connection import Endpoint
from .device import Device, program_path
from .env import Env
from .handlers import Handlers, MessageHandler, Task, Timer, check_coroutine
from .log import Log
from .message import DELIVERED, DROPPED, QUEUED
from .recovery import RESTART_EXIT_CODE, recover
from .schema import Schema
from .session import Session

if TYPE_CHECKING:
    from .cipher import Cipher
    from .runtime import Runtime
    from .storage import Storage

__all__ = ["Unit"]

_Handler = TypeVar("_Handler", bound=MessageHandler)
_Task = TypeVar("_Task", bound=Task)
Value = str | bytes | bytearray | int | float | bool | dict[str, object] | list[object]


class Unit:
    """One device of Pepeunit.

    Reads env.json and schema.json in `directory`: where the started program lies, if nothing is given. If an update was
    cut, it is completed and the program ends with RESTART_EXIT_CODE, so that it starts again with the new code only.
    Raises EnvError or SchemaError if one of the files is missing or broken.
    """

    def __init__(self, directory: str | Path | None = None, *, pace: Pace | None = None) -> None:
        place = Path(directory).absolute() if directory is not None else _program_directory()
        if recover(place):
            raise SystemExit(RESTART_EXIT_CODE)
        self._device = Device(place)
        self._pace = pace or Pace()
        self._handlers = Handlers()
        self._session = Session(
            lambda: Endpoint.of(self.env), self._device.log, self._receive, backoff=self._pace.session
        )
        self._runtime: Runtime | None = None
        self._stop_asked = False

    @property
    def uuid(self) -> str:
        """The unit's uuid, from its token."""
        return self._device.uuid

    @property
    def directory(self) -> Path:
        """Where the unit's files lie."""
        return self._device.directory

    @property
    def env(self) -> Env:
        """env.json as it is now."""
        return self._device.env

    @property
    def schema(self) -> Schema:
        """schema.json as it is now."""
        return self._device.schema

    @property
    def log(self) -> Log:
        """The unit's log."""
        return self._device.log

    @property
    def cipher(self) -> "Cipher":
        """Encryption with the unit's key."""
        from .cipher import Cipher  # most units never encrypt

        return Cipher(lambda: self.env)

    @property
    def storage(self) -> "Storage":
        """A text that the gateway keeps."""
        from .storage import Storage  # most units store nothing

        return Storage(self._device.rest, self._device.uuid)

    @property
    def installed_commit(self) -> str:
        """The version that is complete here; env.json's PU_COMMIT_VERSION is the one that should be."""
        return self._device.installed_commit

    def on_input(self, name: str) -> Callable[[_Handler], _Handler]:
        """Decorate a coroutine that handles the messages of an Input, whatever topics are linked to it.

        Messages of one name are handled one after the other, in order; names do not wait for each other. An exception
        is logged and ends nothing.
        """
        return self._register(self._handlers.inputs, name, "@unit.on_input")

    def on_command(self, name: str) -> Callable[[_Handler], _Handler]:
        """Decorate a coroutine that wants to know of a command, such as `env_update/pepeunit`; it is served anyway."""
        return self._register(self._handlers.commands, name, "@unit.on_command")

    def on_connect(self, task: _Task) -> _Task:
        """Decorate a coroutine that runs after each connection to the broker, when the unit is subscribed."""
        check_coroutine(task, "@unit.on_connect")
        self._handlers.on_connect.append(task)
        return task

    def every(self, *, seconds: float) -> Callable[[_Task], _Task]:
        """Decorate a coroutine that runs at the start and then every `seconds`, also while there is no connection."""
        interval = float(seconds)
        if not interval > 0:
            raise ValueError(f"a timer needs a positive number of seconds, not {seconds}")

        def decorate(task: _Task) -> _Task:
            check_coroutine(task, "@unit.every")
            self._handlers.timers.append(Timer(interval, task))
            return task

        return decorate

    async def publish(self, name: str, value: Value) -> str:
        """Publish a value on the topic of an Output.

        Text and bytes go as they are, numbers as their text, bool, dict and list as JSON. The answer is DELIVERED,
        QUEUED (no connection: the last value of each topic is kept and sent after the next one) or DROPPED. Raises
        UnknownNameError if schema.json has no such Output.
        """
        payload = payload_of(value)
        results = [await self._session.publish(topic, payload) for topic in self.schema.output(name)]
        return next((result for result in (DROPPED, QUEUED) if result in results), DELIVERED)

    def stop(self) -> None:
        """End `run` in order: it raises SystemExit(0)."""
        self._stop_asked = True
        if self._runtime is not None:
            self._runtime.stop()

    def run(self) -> None:
        """Connect, serve and update, for ever.

        Ends by raising SystemExit: with RESTART_EXIT_CODE after an update, which means "start me again", or with 0
        after `stop`, SIGINT or SIGTERM.
        """
        raise SystemExit(asyncio.run(self.serve()))

    async def serve(self) -> int:
        """What `run` does, for programs that have a loop of their own; the exit code is returned instead of raised."""
        from .runtime import Runtime  # not at the top, to keep `import pepeunit` light

        self._runtime = Runtime(self._device, self._session, self._handlers, self._pace)
        if self._stop_asked:
            self._runtime.stop()
        try:
            return await self._runtime.run()
        finally:
            self._runtime = None

    @staticmethod
    def _register(known: dict[str, list[MessageHandler]], name: str, decorator: str) -> Callable[[_Handler], _Handler]:
        if not isinstance(name, str):
            raise TypeError(f'{decorator} needs a name of schema.json: {decorator}("NAME")')

        def decorate(handler: _Handler) -> _Handler:
            check_coroutine(handler, decorator)
            known.setdefault(name, []).append(handler)
            return handler

        return decorate

    def _receive(self, topic: str, payload: bytes) -> None:
        if self._runtime is not None:
            self._runtime.receive(topic, payload)


def payload_of(value: Value) -> bytes:
    """The bytes that stand for a value on the wire. Raises TypeError for anything but the documented types."""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    if isinstance(value, int | float):
        return str(value).encode()
    raise TypeError(f"publish takes str, bytes, int, float, bool, dict or list, not {type(value).__name__}")


def _program_directory() -> Path:
    program = program_path()
    return program.parent if program is not None else Path.cwd()
