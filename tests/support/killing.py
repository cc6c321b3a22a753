"""Acts of the registry that are killed at every point: before and after every SQL statement, commit and file effect.

    python -m tests.support.killing sqlite create_unit delete_unit       prints one JSON report per act

This process imports everything once and never opens a database; what works on one is a fork of it. Per act: a world
is made and kept, a whole run counts the points, then the act runs again once per point and is ended there by SIGKILL.
After each a fork does what a start of the gateway does to finish, and what is there then is compared with the world
before: it must be the same, or the whole act must be in it.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event

from pepeunit_gateway.app import open_registry
from pepeunit_gateway.logs import configure_logs
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.database_place import keep_place
from tests.support.killed_acts import ACTS, GOING_ON, make_world, push
from tests.support.killed_states import FETCHING, State, essence, finish
from tests.support.postgres import PostgresServer

__all__ = ["Points", "Report", "checked", "forked"]

_COUNTED = {"audit", "outbox"}  # an act that deletes writes here too
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_EFFECTS = (
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "subprocess.Popen",
)
_AFTER = ("flush", "fsync")
_IGNORED = ("PRAGMA", "BEGIN")
_ALIKE = FETCHING | GOING_ON  # acts of which every run leaves the same but for moments and new ids


@dataclass
class Report:
    """What became of one act; `missed` runs came to their end, because they had fewer points than the first one."""

    act: str
    points: int = 0
    nothing: int = 0
    whole: int = 0
    missed: int = 0
    mixtures: list[str] = field(default_factory=list)


class Points:
    """Counts what passes and ends this process at the chosen point."""

    def __init__(self, last: int | None) -> None:
        self.labels: list[str] = []
        self._last = last
        self._lock = threading.Lock()
        self._opening = threading.local()

    def passed(self, label: str) -> None:
        with self._lock:
            self.labels.append(label)
            if len(self.labels) == self._last:
                os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def watch(self, registry: Registry, *, files: bool = True) -> Iterator[None]:
        """Let statements and commits be points, with `files` file effects too; for the rest of this process."""
        database = registry.context.database
        for engine in (database._writer.sync_engine, database._reader.sync_engine):
            event.listen(engine, "before_cursor_execute", lambda *a: self._statement("before", a[2]))
            event.listen(engine, "after_cursor_execute", lambda *a: self._statement("after", a[2]))
            event.listen(engine, "commit", lambda _: self.passed("before COMMIT"))
        with self.watch_files() if files else nullcontext():
            yield
        if not files:
            self.passed("the act has ended")

    @contextmanager
    def watch_files(self, *, half_written: bool = False) -> Iterator[None]:
        """Let file effects and starts of programs be points; for the rest of this process.

        With `half_written` so are the moments after a file was opened, and so made or emptied, and after each flush.
        """
        sys.addaudithook(self._audited)
        if half_written:
            threading.setprofile(self._profiled)
            sys.setprofile(self._profiled)
        yield
        self.passed("the act has ended")

    def _statement(self, when: str, statement: str) -> None:
        if not statement.startswith(_IGNORED):
            self.passed(f"{when} {statement[:60]}")

    def _audited(self, name: str, arguments: tuple[Any, ...]) -> None:
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
        writes = writes and arguments[2] & os.O_TMPFILE != os.O_TMPFILE  # nobody ever sees such a file
        self._opening.writes = writes
        if writes or name in _EFFECTS:
            self.passed(f"before {name} {arguments[0]!s:.60}")

    def _profiled(self, _frame: object, event: str, function: Any) -> None:
        if event != "c_return":
            return
        name = function.__name__
        if name == "open" and getattr(self._opening, "writes", False):
            self._opening.writes = False
            self.passed("after open")
        elif name in _AFTER:
            self.passed(f"after {name}")


def forked(work: Callable[[], Awaitable[Any]]) -> tuple[int, Any]:
    """Run `work` in a fork and return its exit status and what it returned; None where it was killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.close(reading)
            made = asyncio.run(_timed(work))
            with os.fdopen(writing, "w") as pipe:
                json.dump(made, pipe)
            code = 0
        except BaseException:  # noqa: BLE001 - the root of a process; its end tells the parent, this tells a person
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, json.loads(text) if status == 0 else None


async def _timed(work: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(60):
        return await work()


class Place:
    """A folder and a database that can be set back to the world that was made in them."""

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        self.folder = folder
        self._server = server
        (folder / "git").mkdir()
        if server is not None:
            server.create_database("made")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def settings(self, name: str) -> Settings:
        """Return the settings of the world `made`, or of its copy `used`."""
        more: dict[str, Any] = {}
        if self._server is not None:
            more["sqlalchemy_database_url"] = self._server.url(name).render_as_string(hide_password=False)
        git = str(self.folder / "git")
        return Settings(data_dir=self.folder / name, git_allow_file=git, domain="a.example", secure=False, **more)

    def set_back(self) -> None:
        """Let `used` be a copy of `made`."""
        shutil.rmtree(self.folder / "used", ignore_errors=True)
        shutil.copytree(self.folder / "made", self.folder / "used")
        if self._server is not None:
            self._server.drop_database("used")
            self._server.create_database("used", template="made")
            keep_place(self.settings("used"))  # the copied folder is on the copied database


async def _make(place: Place) -> dict[str, str]:
    async with open_registry(place.settings("made")) as registry:
        return await make_world(registry, place.folder / "git")


async def _act(place: Place, act: str, world: dict[str, str], last: int | None) -> list[str]:
    async with open_registry(place.settings("used")) as registry:
        points = Points(last)
        with points.watch(registry, files=act not in FETCHING):
            await ACTS[act](registry, world)
        return points.labels


async def _finish(place: Place, act: str) -> State:
    async with open_registry(place.settings("used")) as registry:
        return await finish(registry, act)


def checked(outcome: tuple[int, Any], what: str) -> Any:
    status, value = outcome
    if status:
        raise RuntimeError(f"{what} ended with {status}")
    return value


def _counts(state: State) -> dict[str, int]:
    return {name: len(rows) for name, rows in state.items()}


def _is_whole(act: str, before: State, now: State, whole: State) -> bool:
    """Tell whether `now` has as much as the whole act leaves, and the rest of the world is as it was."""
    if _counts(now) != _counts(whole):
        return False
    less, more = (now, before) if act.startswith(("delete", "revoke")) else (before, now)
    return all(set(less[name]) <= set(more[name]) for name in less.keys() - _COUNTED)


def sweep(place: Place, act: str, world: dict[str, str]) -> Report:
    """Kill one act at each of its points."""
    after = partial(_finish, place, act)
    _set_back(place, world)
    before = checked(forked(partial(_finish, place, "")), "the world before")
    _set_back(place, world)
    labels = checked(forked(partial(_act, place, act, world, None)), act)
    whole = checked(forked(after), f"what {act} leaves")
    report = Report(act, points=len(labels))
    fresh = False
    for number, label in enumerate(labels, 1):
        if not fresh:
            _set_back(place, world)
        status, _ = forked(partial(_act, place, act, world, number))
        if status != -signal.SIGKILL:
            raise RuntimeError(f"{act} was not killed at point {number} of {len(labels)}: {status}")
        now = checked(forked(after), f"{act}, killed {label}")
        fresh = now == before
        if fresh:
            report.nothing += 1
        elif _is_whole(act, before, now, whole) if act not in _ALIKE else essence(now, world) == essence(whole, world):
            report.whole += 1
        else:
            changed = {name for name in now if now[name] != before[name]}
            report.mixtures.append(f"{number}: {label}: {sorted(changed)}")
    return report


def _set_back(place: Place, world: dict[str, str]) -> None:
    place.set_back()
    push(world, "old")


def main(arguments: list[str]) -> None:
    kind, *acts = arguments
    configure_logs("json", "ERROR")  # standard output is for the reports
    with ExitStack() as stack:
        server = stack.enter_context(PostgresServer()) if kind == "postgresql" else None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pepeunit-killing-")))
        place = Place(folder, server)
        world = checked(forked(lambda: _make(place)), "making the world")
        for act in acts:
            print(json.dumps(asdict(sweep(place, act, world))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
