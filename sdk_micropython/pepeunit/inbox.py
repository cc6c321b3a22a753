"""Messages waiting for their handlers: one bounded queue and one task per name, so that no name holds up another."""

import asyncio

_MESSAGES = 16
_BYTES = 16384


class Inbox:
    """Runs `handlers`, coroutine functions, one message at a time. When it is full the oldest message goes."""

    def __init__(self, name, handlers, log, guard):
        self._name = name
        self.handlers = handlers
        self._log = log
        self._guard = guard
        self._queue = []
        self._bytes = 0
        self._wake = asyncio.Event()
        self._full = False

    def put(self, message):
        """Take a message over; never waits."""
        self._queue.append(message)
        self._bytes += len(message.payload)
        while len(self._queue) > _MESSAGES or (self._bytes > _BYTES and len(self._queue) > 1):
            self._bytes -= len(self._queue.pop(0).payload)
            if not self._full:  # told once, until the handler has caught up
                self._full = True
                self._log.warning("handler of " + self._name + " is too slow: the oldest messages are dropped")
        self._wake.set()

    async def work(self):
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                message = self._queue.pop(0)
                self._bytes -= len(message.payload)
                for handler in self.handlers:
                    await self._guard("handler of " + self._name, handler, message)
            self._full = False
