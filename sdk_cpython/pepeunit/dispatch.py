"""From a topic to whoever serves it: the commands of the platform, or the handlers of an input name.

The topic decides, never the payload: whatever a payload holds, it cannot become a command.
Source: protocol/device.md 1.3.
"""

from collections.abc import Callable, Mapping

from .handlers import Handlers, Inbox
from .log import Log
from .message import Message
from .schema import Schema

__all__ = ["Dispatch"]


class Dispatch:
    """Hands each message over without waiting. `commands` maps a command name to what serves it."""

    def __init__(
        self,
        schema: Callable[[], Schema],
        handlers: Handlers,
        commands: Mapping[str, Callable[[Message], None]],
        log: Log,
    ) -> None:
        self._schema = schema
        self._commands = commands
        self._inputs = {name: Inbox(name, found, log) for name, found in handlers.inputs.items()}
        self._observers = {name: Inbox(name, found, log) for name, found in handlers.commands.items()}

    @property
    def inboxes(self) -> list[Inbox]:
        """What must run for the handlers to be served."""
        return [*self._inputs.values(), *self._observers.values()]

    def __call__(self, topic: str, payload: bytes) -> None:
        schema = self._schema()
        command = schema.command(topic)
        if command is not None:
            message = Message(topic, command, payload)
            if command in self._commands:
                self._commands[command](message)
            if command in self._observers:
                self._observers[command].put(message)
        for name in schema.receivers(topic):
            if name in self._inputs:
                self._inputs[name].put(Message(topic, name, payload))
