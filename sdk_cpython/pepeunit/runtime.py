"""What runs while a unit runs: the session, the commands, state, logs, timers and handlers."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from .backoff import Pace
from .device import Device
from .dispatch import Dispatch
from .errand import Errand
from .errors import SessionError
from .handlers import Handlers, Task, guarded, keep_time, strays
from .log import batches
from .message import DELIVERED, Message
from .recovery import RESTART_EXIT_CODE
from .schema import Schema
from .session import Session
from .state import machine_state, state_payload, unix_millis

__all__ = ["LOG_NAME", "STATE_NAME", "Runtime"]

STATE_NAME = "state/pepeunit"
LOG_NAME = "log/pepeunit"
_DEFAULT_STATE_INTERVAL = 300
_FLUSH_TIME = 2.0


class Runtime:
    """One run of a unit, from `run` to its end."""

    def __init__(self, device: Device, session: Session, handlers: Handlers, pace: Pace) -> None:
        self._device = device
        self._session = session
        self._handlers = handlers
        self._pace = pace
        self._log = device.log
        self._ending: asyncio.Future[int] | None = None
        self._stop_asked = False
        self._state_due = asyncio.Event()
        self._greeting_due = asyncio.Event()
        self._logged = asyncio.Event()
        self._wanted_commit = ""
        self._strays = ""
        self._log_turn = asyncio.Lock()  # no line goes twice
        self._schema_turn = asyncio.Lock()  # of two answers the later one stays
        self._update = self._errand("update", self._bring_update)
        self._missed = self._errand("asking for what was missed", self._catch_up)
        self._env = self._errand("env update", self._bring_env)
        self._schema = self._errand("schema update", self._bring_schema)
        self._log_sync = self._errand("log sync", self._send_all_logs)
        self._dispatch = Dispatch(
            lambda: device.schema,
            handlers,
            {
                "update/pepeunit": self._on_update,
                "env_update/pepeunit": lambda _message: self._env.request(),
                "schema_update/pepeunit": lambda _message: self._schema.request(),
                "log_sync/pepeunit": lambda _message: self._log_sync.request(),
            },
            self._log,
        )

    def receive(self, topic: str, payload: bytes) -> None:
        """Take a message from the session."""
        self._dispatch(topic, payload)

    def stop(self) -> None:
        """End the run, with exit code 0."""
        self._stop_asked = True
        self._end(0)

    async def run(self) -> int:
        """Serve until an update or `stop` ends it; the exit code."""
        self._ending = asyncio.get_running_loop().create_future()
        if self._stop_asked:
            self._ending.set_result(0)
        self._log.on_write(self._logged.set)
        self._tell_strays()
        await self._session.want(self._device.schema.subscriptions())
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._session.run(self._went_online)),
                tasks.create_task(self._greet()),
                tasks.create_task(self._send_states()),
                tasks.create_task(self._send_logs()),
                *(tasks.create_task(errand.run()) for errand in self._errands()),
                *(tasks.create_task(inbox.run()) for inbox in self._dispatch.inboxes),
                *(tasks.create_task(keep_time(timer, self._log)) for timer in self._handlers.timers),
            ]
            with _signals_end(self.stop):
                # A task that fails by a mistake of ours ends the group, this wait and the program with its traceback.
                code = await self._ending
            await self._flush()
            await self._session.close()
            for task in running:
                task.cancel()
        return code

    def _errand(self, name: str, action: Task) -> Errand:
        return Errand(name, action, self._log, self._pace.errand)

    def _errands(self) -> tuple[Errand, ...]:
        return (self._update, self._missed, self._env, self._schema, self._log_sync)

    def _end(self, code: int) -> None:
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(code)

    def _went_online(self) -> None:
        self._state_due.set()
        self._greeting_due.set()
        self._logged.set()
        self._missed.request()

    def _on_update(self, message: Message) -> None:
        try:
            payload = message.json()
        except ValueError:
            payload = None
        commit = payload.get("PU_COMMIT_VERSION") if isinstance(payload, dict) else None
        if not isinstance(commit, str):
            self._missed.request()
        else:
            self._want(commit)

    def _want(self, commit: str) -> None:
        # Re-sent commands name the installed version most of the time: nothing to do then.
        if commit != self._device.installed_commit:
            self._wanted_commit = commit
            self._update.request()

    async def _catch_up(self) -> None:
        """What commands said while the unit was away: another version, or other links."""
        device = self._device
        target = await device.updates.target()
        self._want(target)
        # schema.json is the target's: as long as another version runs, that one needs its own.
        if target == device.installed_commit:
            async with self._schema_turn:
                schema = await device.updates.fetch_schema()
                if schema != device.schema:
                    await self._use_schema(schema)

    async def _bring_update(self) -> None:
        device = self._device
        if self._wanted_commit == device.installed_commit:
            return
        self._log.info(f"update from {device.installed_commit or 'an unknown version'} to {self._wanted_commit} begins")
        staged = await device.updates.stage()
        if staged.commit == device.installed_commit:
            self._log.warning(f"the gateway still gives version {staged.commit}, which is installed")
            return
        self._log.info(f"version {staged.commit} is complete and checked, switching")
        await self._flush()
        device.install(staged)
        self._end(RESTART_EXIT_CODE)

    async def _bring_env(self) -> None:
        device = self._device
        domain = device.env.text("PU_DOMAIN")
        device.env = await device.updates.fetch_env()
        self._log.info("env.json was updated")
        self._session.reconnect_if_moved()
        if device.env.text("PU_DOMAIN") != domain:
            self._schema.request()  # it is the first level of every topic

    async def _bring_schema(self) -> None:
        async with self._schema_turn:
            await self._use_schema(await self._device.updates.fetch_schema())

    async def _use_schema(self, schema: Schema) -> None:
        self._device.schema = schema
        self._log.info("schema.json was updated")
        self._tell_strays()
        await self._session.want(schema.subscriptions())

    def _tell_strays(self) -> None:
        """Once for each set of handlers that nothing can reach, not with every change of links."""
        found = strays(self._handlers, self._device.schema)
        if found and found != self._strays:
            self._log.warning(found)
        self._strays = found

    async def _greet(self) -> None:
        """After each connection: the program's own `on_connect`, which may take its time."""
        while True:
            await self._greeting_due.wait()
            self._greeting_due.clear()
            for task in self._handlers.on_connect:
                await guarded(self._log, "on_connect", task)

    async def _send_states(self) -> None:
        """At once after each connection, then in the interval of env.json."""
        while True:
            interval = max(self._device.env.number("PU_STATE_SEND_INTERVAL", _DEFAULT_STATE_INTERVAL), 1)
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._state_due.wait()
            self._state_due.clear()
            await self._send_state()

    async def _send_state(self) -> None:
        device = self._device
        values = machine_state(device.directory)
        payload = state_payload(values, millis=unix_millis(), installed_commit=device.installed_commit)
        for topic in device.schema.output_base_topic.get(STATE_NAME, ()):
            # A state that waited is worth nothing: the next connection brings a new one.
            await self._session.publish(topic, payload, keep=False)

    async def _send_logs(self) -> None:
        while True:
            await self._logged.wait()
            await asyncio.sleep(self._pace.log_batch)
            self._logged.clear()
            await self._send_pending_logs()

    async def _send_pending_logs(self) -> None:
        async with self._log_turn:
            if self._session.is_online:
                for payload, lines in batches(self._log.pending()):
                    if await self._publish_log(payload):
                        self._log.sent(lines)

    async def _send_all_logs(self) -> None:
        """The answer to log_sync: the gateway has thrown its copy away, so everything stored goes out."""
        async with self._log_turn:
            for payload, lines in batches(self._log.lines()):
                if not await self._publish_log(payload):
                    raise SessionError("the logs could not be sent")
                self._log.sent(lines)

    async def _publish_log(self, payload: bytes) -> bool:
        topics = self._device.schema.output_base_topic.get(LOG_NAME, ())
        sent = [await self._session.publish(topic, payload, keep=False) == DELIVERED for topic in topics]
        return all(sent)

    async def _flush(self) -> None:
        """Send what waits before the program ends, as far as two seconds allow."""
        try:
            async with asyncio.timeout(_FLUSH_TIME):
                await self._send_pending_logs()
        except TimeoutError:
            return
        await self._session.drain(_FLUSH_TIME)


@contextmanager
def _signals_end(stop: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM end the run in order, where the loop runs in the main thread."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in numbers:
            loop.add_signal_handler(number, stop)
    except (ValueError, RuntimeError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
