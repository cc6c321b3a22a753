"""The duties of a unit towards its gateway: one task each, tried again until done. Source: protocol/device.md 1.3."""

import asyncio
import gc
import json

import pepeunit.clock as clock
import pepeunit.env as env
import pepeunit.jsontext as jsontext
import pepeunit.schema as schema
from pepeunit.errors import EnvError, PepeunitError, RestError, SchemaError, SessionError

_FIRST_RETRY_MS = 2000
_LONGEST_RETRY_MS = 300000
_TRY_LIMIT = 900  # seconds for one try as a whole, so that no trickle holds up the other duties for ever


class Duty:
    """Something that must be done when asked, once at a time; a failure is logged and tried again with back-off.

    A new request during a wait begins at once. `act` takes what came with the newest request.
    """

    def __init__(self, name, act, log, turns):
        self._name = name
        self._act = act
        self._log = log
        self._turns = turns  # a Lock: the memory of a board is enough for one of them at a time
        self._wanted = asyncio.Event()
        self._with = None

    def ask(self, argument=None):
        self._with = argument
        self._wanted.set()

    async def work(self):
        while True:
            await self._wanted.wait()
            failures = 0
            told = None
            while self._wanted.is_set():
                self._wanted.clear()
                wait = 0
                try:
                    async with self._turns:
                        await asyncio.wait_for(self._act(self._with), _TRY_LIMIT)
                except Exception as error:  # task root: whatever it was, the unit goes on and tries again
                    text = _reason(error)
                    if text != told:
                        told = text
                        self._log.warning(self._name + " failed, it will be tried again: " + text)
                    wait = getattr(error, "retry_after", 0) * 1000
                    await self._pause(failures, wait)
                    failures += 1
                gc.collect()

    async def _pause(self, failures, at_least):
        """Wait for the next try; a new request ends the wait, but not the one the gateway asked for."""
        await asyncio.sleep_ms(at_least)
        pause = clock.backoff_ms(failures, _FIRST_RETRY_MS, _LONGEST_RETRY_MS)
        try:
            await asyncio.wait_for_ms(self._wanted.wait(), pause)
        except asyncio.TimeoutError:
            self._wanted.set()


def _reason(error):
    if isinstance(error, asyncio.TimeoutError):
        return "it took longer than %d s" % _TRY_LIMIT
    return str(error) if isinstance(error, PepeunitError) else "%s %s" % (type(error).__name__, error)


class Commands:
    """unit is the Unit; the topics' names lead to its duties."""

    def __init__(self, unit, log):
        self._unit = unit
        turns = asyncio.Lock()
        self._update = Duty("update", self._do_update, log, turns)
        self._missed = Duty("asking for what was missed", self._do_missed, log, turns)
        self._env = Duty("env_update", self._do_env, log, turns)
        self._schema = Duty("schema_update", self._do_schema, log, turns)
        self._log_sync = Duty("log_sync", self._do_log_sync, log, asyncio.Lock())
        self._announced = None  # the commit whose update was announced in the log
        self.duties = (self._update, self._missed, self._env, self._schema, self._log_sync)

    def connected(self):
        """A command may have been missed while there was no link."""
        self._missed.ask()

    def receive(self, name, payload):
        """Take a command over; never waits. Names that are not ours are passed over."""
        if name == "update/pepeunit":
            commit = _commit(payload)
            if commit is None:
                self._missed.ask()
            else:
                self._update.ask(commit)
        elif name == "env_update/pepeunit":
            self._env.ask()
        elif name == "schema_update/pepeunit":
            self._schema.ask()
        elif name == "log_sync/pepeunit":
            self._log_sync.ask()

    async def _do_update(self, commit):
        unit = self._unit
        if commit == unit.installed_commit or unit.stopping:
            return
        gc.collect()
        import pepeunit.update as update  # only an update needs its memory

        if commit != self._announced:
            self._announced = commit
            unit.log.info("update to %s begins" % commit)
        found = await update.stage(unit.rest, unit.base, unit.uuid, unit.installed_commit)
        if found is None:
            unit.log.info("update: the gateway still gives the installed version")
            return
        await unit.switch(found)

    async def _do_missed(self, _):
        """What commands said while there was no link: another version, or other links."""
        unit = self._unit
        value = await unit.rest.get_json("/units/get_target_version/{unit}", 4096)
        commit = value.get("commit") if isinstance(value, dict) else None
        if not isinstance(commit, str) or not commit:
            raise RestError("the gateway named no target version")
        if commit != unit.installed_commit:
            # schema.json is the target's: as long as another version runs, that one needs its own
            self._update.ask(commit)
            return
        data, parsed = await self._fetch_schema()
        if parsed != unit.schema:
            await self._use_schema(data, parsed)

    async def _do_env(self, _):
        unit = self._unit
        data = await unit.rest.get("/units/env/{unit}")
        try:
            values = env.parse(data, unit.uuid)
        except EnvError as error:
            raise RestError("the gateway's env.json is refused: %s" % error)
        env.store(unit.base, json.dumps(values).encode())
        unit.use_env(env.Env(values))

    async def _do_schema(self, _):
        await self._use_schema(*await self._fetch_schema())

    async def _fetch_schema(self):
        data = await self._unit.rest.get("/units/get_current_schema/{unit}")
        try:
            return data, schema.parse(data)
        except SchemaError as error:
            raise RestError("the gateway's schema.json is refused: %s" % error)

    async def _use_schema(self, data, parsed):
        schema.store(self._unit.base, data)
        await self._unit.use_schema(parsed)

    async def _do_log_sync(self, _):
        if not await self._unit.log.sync(self._unit.publish_log):
            raise SessionError("the broker did not take all lines")


def _commit(payload):
    """PU_COMMIT_VERSION of an update command, None if it names none."""
    try:
        value = jsontext.loads(payload)
    except ValueError:
        return None
    commit = value.get("PU_COMMIT_VERSION") if isinstance(value, dict) else None
    return commit if isinstance(commit, str) else None
