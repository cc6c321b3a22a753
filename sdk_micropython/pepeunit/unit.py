"""Unit, the door through which a program speaks to its platform."""

import asyncio
import sys

import pepeunit.message as message
from pepeunit import DELIVERED, RESTART_EXIT_CODE
from pepeunit.runtime import Runtime, restart


class Unit:
    """The unit whose env.json and schema.json lie in `directory`, which is the current one if not given.

    An update that was cut is finished first; that ends in a restart.
    """

    def __init__(self, directory=None):
        self._runtime = Runtime(directory)
        self._cipher = self._storage = None

    @property
    def uuid(self):
        return self._runtime.uuid

    @property
    def directory(self):
        return self._runtime.base or "/"

    @property
    def env(self):
        return self._runtime.env

    @property
    def schema(self):
        return self._runtime.schema

    @property
    def log(self):
        return self._runtime.log

    @property
    def installed_commit(self):
        """The commit whose files are installed; what env.json names may be newer."""
        return self._runtime.installed_commit

    @property
    def cipher(self):
        if self._cipher is None:
            from pepeunit.cipher import Cipher  # most programs never ask for it

            self._cipher = Cipher(lambda: self._runtime.env)
        return self._cipher

    @property
    def storage(self):
        if self._storage is None:
            from pepeunit.rest import Storage

            self._storage = Storage(self._runtime.rest)
        return self._storage

    def on_input(self, name):
        """Decorate `async def handler(message)`: called for every message to the Input, one at a time."""
        return _decorator(self._runtime.on_input, "on_input", name)

    def on_command(self, name):
        """Decorate `async def handler(message)`: called, beside what the SDK does itself, for every such command."""
        return _decorator(self._runtime.on_command, "on_command", name)

    def on_connect(self, handler):
        """Decorate `async def handler()`: called whenever the broker is there and the Inputs are subscribed to."""
        return _decorator(self._runtime.on_connect, "on_connect", None)(handler)

    def every(self, *, seconds):
        """Decorate `async def function()`: called at once and then in steps of `seconds`, connected or not."""
        if not seconds > 0:
            raise ValueError("every(seconds=...) needs a number above 0")
        return _decorator(self._runtime.add_timer, "every", seconds)

    async def publish(self, name, value):
        """Publish to an Output; DELIVERED, QUEUED or DROPPED. UnknownNameError if schema.json has no such Output."""
        payload = message.encode(value)
        result = DELIVERED
        for topic in self._runtime.schema.output(name):  # a schema of the platform has exactly one
            answer = await self._runtime.publish(topic, payload)
            result = answer if result == DELIVERED else result
        return result

    def stop(self):
        """Let run() end with exit code 0."""
        self._runtime.end(0)

    async def serve(self):
        """What run() does, for programs that have a loop of their own; the exit code is returned."""
        return await self._runtime.main()

    def run(self):
        """Connect and serve for ever. Ends by SystemExit: 0 after stop(), RESTART_EXIT_CODE after an update."""
        code = asyncio.run(self.serve())
        if code == RESTART_EXIT_CODE:
            restart()
        sys.exit(code)


def _decorator(add, word, value):
    """A decorator that calls add(value, function). A closure or method that is no `async def` is told when called."""
    if callable(value):
        raise TypeError('write @unit.%s("NAME")' % word)

    def decorate(function):
        if not callable(function) or type(function).__name__ == "function":
            raise TypeError("@unit.%s needs an `async def` function, not %s" % (word, function))
        add(value, function)
        return function

    return decorate
