"""What runs behind a Unit: its parts, their tasks and their end."""

import asyncio
import gc
import io
import json
import os
import sys

import pepeunit.clock as clock
import pepeunit.env as env
import pepeunit.schema as schema
import pepeunit.switch as switch
from pepeunit import RESTART_EXIT_CODE
from pepeunit.commands import Commands
from pepeunit.errors import SessionError
from pepeunit.inbox import Inbox
from pepeunit.log import Log
from pepeunit.message import Message
from pepeunit.rest import Rest
from pepeunit.session import Session, same_connection

_LOG_BATCH_MS = 500  # lines that come together go together
_FAREWELL = 3  # seconds for the last log lines before an end
_TRACEBACK = 900  # characters of a traceback that are kept: its end, which names the error
_SHORTEST_STATE_INTERVAL = 1
_LONGEST_STATE_INTERVAL = 86400


class Runtime:
    def __init__(self, directory):
        self.base = switch.base_of(directory)
        if switch.recover(directory):
            restart()  # what is loaded by now may be of the old version
        self.env = env.load(self.base)
        self.schema = schema.load(self.base)
        self.uuid = env.token_uuid(self.env["PU_AUTH_TOKEN"])
        record = switch.installed(self.base)
        if record is None:  # the very first start: what env.json names was unpacked with it
            record = {"commit": self.env.text("PU_COMMIT_VERSION"), "files": []}
            switch.record_installed(self.base, record["commit"], [])
        self.installed_commit = record["commit"]
        self.log = Log(self.base, lambda: self.env)
        self.rest = Rest(lambda: self.env, self.uuid)
        self.uptime = clock.Uptime()
        self.timers = []
        self.connect_handlers = []
        self._inputs = {}
        self._commands_of_user = {}
        self._commands = Commands(self, self.log)
        self._session = Session(
            self.uuid,
            lambda: self.env,
            lambda: self.schema.subscriptions(),
            self._receive,
            self._connected,
            self.log,
            self.uptime,
        )
        self._state_due = asyncio.Event()
        self._ended = asyncio.Event()
        self._exit_code = 0
        self._tasks = None
        self._strays = None
        self._connects = Inbox("on_connect", self.connect_handlers, self.log, self.guard)

    # What the program asks for.

    def on_input(self, name, handler):
        self._listen(self._inputs, name, handler)

    def on_command(self, name, handler):
        self._listen(self._commands_of_user, name, handler)

    def on_connect(self, _, handler):
        self.connect_handlers.append(lambda _: handler())

    def _listen(self, inboxes, name, handler):
        if name in inboxes:
            inboxes[name].handlers.append(handler)
            return
        inboxes[name] = Inbox(name, [handler], self.log, self.guard)
        if self._tasks is not None:
            self._start(inboxes[name].work)

    async def publish(self, topic, payload):
        return await self._session.publish(topic, payload)

    def end(self, code):
        self._exit_code = code
        self._ended.set()

    # What the commands ask for.

    @property
    def stopping(self):
        return self._ended.is_set()

    async def switch(self, commit):
        """The journal is written: move the files and end. An error here is no way back; the next start goes on."""
        self.log.info("update: switching to " + commit)
        try:
            switch.recover(self.base or "/")
        finally:
            self.end(RESTART_EXIT_CODE)

    def use_env(self, new):
        old = self.env
        self.env = new
        self.log.info("env.json is up to date")
        if not same_connection(old, new):
            self._session.restart()
        if old.get("PU_DOMAIN") != new.get("PU_DOMAIN"):
            self._commands.receive("schema_update/pepeunit", b"")

    async def use_schema(self, new):
        self.schema = new
        self.log.info("schema.json is up to date")
        self._tell_strays()
        try:
            await self._session.resubscribe()
        except SessionError:
            pass  # the next connection subscribes to everything

    async def publish_log(self, payload):
        topics = self.schema.output_base_topic.get("log/pepeunit")
        return not topics or await self._session.try_publish(topics[0], payload)

    # The tasks.

    async def main(self):
        self._tasks = []
        self._tell_strays()
        self._start(self._session.keep)
        self._start(self._session.send_waiting)
        self._start(self._send_states)
        self._start(self._send_logs)
        self._start(self._connects.work)
        for duty in self._commands.duties:
            self._start(duty.work)
        for inboxes in (self._inputs, self._commands_of_user):
            for inbox in inboxes.values():
                self._start(inbox.work)
        for seconds, function in self.timers:
            self._start(self._repeat, seconds, function)
        await self._ended.wait()
        try:
            await asyncio.wait_for(self.log.flush(self.publish_log), _FAREWELL)
        except asyncio.TimeoutError:
            pass
        for task in self._tasks:
            task.cancel()
        await self._session.leave()
        return self._exit_code

    def _tell_strays(self):
        """Warn of handlers that nothing can reach: once for each set of them, not with every change of links."""
        schema = self.schema
        found = set(self._inputs) - set(schema.input_topic), set(self._commands_of_user) - set(schema.input_base_topic)
        if found != self._strays and (found[0] or found[1]):
            import pepeunit.strays as strays  # most programs never need it

            self.log.warning(strays.text(*found, schema))
        self._strays = found

    def add_timer(self, seconds, function):
        self.timers.append((seconds, function))
        if self._tasks is not None:
            self._start(self._repeat, seconds, function)

    def _start(self, job, *arguments):
        self._tasks.append(asyncio.create_task(self._supervised(job, *arguments)))

    async def _supervised(self, job, *arguments):
        """Keep a task alive: an error that nobody expected is logged, and the task begins anew."""
        failures = 0
        while True:
            await self.guard("task of the SDK", job, *arguments)
            await asyncio.sleep_ms(clock.backoff_ms(failures))
            failures += 1

    async def guard(self, what, function, *arguments):
        """Run the program's code: whatever it raises is logged with its traceback, and the unit goes on."""
        try:
            begun = function(*arguments)
            if not hasattr(begun, "send"):  # of a closure or method that could not be told at its decoration
                raise TypeError("this is no `async def` function: it was called, but cannot be awaited")
            await begun
        except Exception as error:
            text = io.StringIO()
            sys.print_exception(error, text)
            self.log.error("%s raised: %s" % (what, text.getvalue()[-_TRACEBACK:]))

    async def _repeat(self, seconds, function):
        period = max(int(seconds * 1000), 1)
        due = self.uptime.ms()
        while True:
            await self.guard("timer", function)
            now = self.uptime.ms()
            due += period
            if due < now:  # turns that were missed are not made up for
                due = now + period
            await asyncio.sleep_ms(0)  # even if the next turn is due: the others must run too
            await self.uptime.sleep_until(due)

    def _connected(self):
        self._state_due.set()
        self.log.news.set()
        self._commands.connected()
        if self.connect_handlers:
            self._connects.put(Message("", "", b""))

    def _receive(self, topic, payload):
        name = self.schema.command(topic)
        if name:
            self._commands.receive(name, payload)
            if name in self._commands_of_user:
                self._commands_of_user[name].put(Message(topic, name, payload))
            return
        for name in self.schema.receivers(topic):
            if name in self._inputs:
                self._inputs[name].put(Message(topic, name, payload))

    async def _send_states(self):
        while True:
            seconds = self.env.number("PU_STATE_SEND_INTERVAL", 300)
            seconds = min(max(seconds, _SHORTEST_STATE_INTERVAL), _LONGEST_STATE_INTERVAL)
            try:
                await asyncio.wait_for(self._state_due.wait(), seconds)
            except asyncio.TimeoutError:
                pass
            self._state_due.clear()
            topics = self.schema.output_base_topic.get("state/pepeunit")
            if topics:
                await self._session.try_publish(topics[0], json.dumps(self.state()).encode())

    async def _send_logs(self):
        while True:
            await self.log.news.wait()
            await asyncio.sleep_ms(_LOG_BATCH_MS)
            self.log.news.clear()
            if self._session.online and not await self.log.flush(self.publish_log):
                self.log.news.set()

    def state(self):
        """The payload of state/pepeunit. Source: protocol/device.md 1.4."""
        gc.collect()
        state = {
            "millis": clock.unix_ms() or self.uptime.ms(),
            "mem_free": gc.mem_free(),
            "mem_alloc": gc.mem_alloc(),
            "statvfs": list(os.statvfs(self.base or "/")),
            "pu_commit_version": self.installed_commit,
        }
        frequency = getattr(_machine(), "freq", None)
        if frequency:
            value = frequency()
            state["freq"] = value if isinstance(value, int) else value[0]
        return state


def _machine():
    try:
        import machine  # absent from some ports
    except ImportError:
        return None
    return machine


def restart():
    """Begin anew: a board by a reset, a program on a computer by an exit code that says so."""
    reset = getattr(_machine(), "reset", None)
    if reset:
        reset()
    sys.exit(RESTART_EXIT_CODE)
