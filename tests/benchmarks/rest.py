"""The REST reads and the creation of units, on 10,000 units with 40,000 nodes, in SQLite and in PostgreSQL.

For each database one gateway as `pepeunit gateway run` starts it and one client process. Every case is measured twice:
with 16 connections that never rest (the highest rate, and the processor time per request), then with requests at random
moments at half of that rate (the latencies). The caller is a User who created one unit in eight.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from uuid import UUID

from aiohttp import ClientSession
from sqlalchemy.engine import make_url

from pepeunit_gateway.storage.database import Database
from tests.benchmarks.figure import Figure, Goal
from tests.benchmarks.gateway import pss
from tests.benchmarks.rest_client import Job, Outcome, percentile
from tests.benchmarks.rest_rows import NODES, UNITS, Rows, fill
from tests.demo.processes import descendants
from tests.support.gateway import PASSWORD, Api
from tests.support.gateway_process import GatewayProcess, run_command
from tests.support.git_server import GitServer
from tests.support.postgres import PostgresServer
from tests.support.sample_program import make_repo, sample_tree

__all__ = ["API", "NAMES", "Client", "measure"]

NAMES = ("rest.postgresql", "rest.sqlite")
API = "/pepeunit/api/v1"
CREATORS = 8
CONNECTIONS = 16
OPEN_CONNECTIONS = 64
WARM_UP = 1.0
SECONDS = 3.0
LATENCY = Goal("<=", 20)
MANY = 50_000
MANY_SECONDS = 20.0
BURST = 200
SETTLING = 65.0
Request = tuple[str, str, str]
"""Method, path below the API's prefix and body."""


@dataclass(frozen=True)
class Case:
    """What is asked; `cpu` is the goal on PostgreSQL in ms, SQLite may take twice that.

    `acts` tells that acts are among the requests and their cost is a part of the figures, which have no goal then.
    """

    name: str
    requests: Callable[["Stage"], Iterator[Request]]
    cpu: float | None = None
    acts: bool = False


@dataclass(frozen=True)
class Stage:
    """A running gateway with rows; `settled` is when it has done each of its periodic jobs once."""

    gateway: GatewayProcess
    database_pid: int | None
    token: str
    repo: str
    rows: Rows
    settled: float

    def request(self, method: str, path: str, body: str = "") -> str:
        head = f"{method} {API}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nx-auth-token: {self.token}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def _pages(limit: int, *, nodes: bool) -> Callable[[Stage], Iterator[Request]]:
    more = "&is_include_output_unit_nodes=true" if nodes else ""

    def requests(_: Stage) -> Iterator[Request]:
        for page in range(10):
            yield "GET", f"/units?limit={limit}&offset={limit * page}{more}", ""

    return requests


def _each(path: str, uuids: Callable[[Rows], list[UUID]]) -> Callable[[Stage], Iterator[Request]]:
    def requests(stage: Stage) -> Iterator[Request]:
        for uuid in random.Random(4).choices(uuids(stage.rows), k=1000):
            yield "GET", path.format(uuid), ""

    return requests


def _new_units(stage: Stage) -> Iterator[Request]:
    body = {"repo_uuid": stage.repo, "visibility_level": "Public", "is_auto_update_from_repo_unit": True}
    for _ in range(10_000):
        yield "POST", "/units", json.dumps({**body, "name": f"new-{os.urandom(6).hex()}"})


def _acts(_: Stage) -> Iterator[Request]:
    """The cheapest acts there are: the caller's login changes, whatever the path says."""
    for _ in range(1000):
        yield "PATCH", f"/users/{UUID(int=0)}", json.dumps({"login": f"login-{os.urandom(6).hex()}"})


def _acts_and_pages(stage: Stage) -> Iterator[Request]:
    pages = cycle(_pages(100, nodes=False)(stage))
    for act in _acts(stage):
        yield act
        yield next(pages)


READS = (
    Case("units_10", _pages(10, nodes=False)),
    Case("units_100", _pages(100, nodes=False), 1.5),
    Case("units_10_nodes", _pages(10, nodes=True)),
    Case("units_100_nodes", _pages(100, nodes=True), 5.0),
    Case("unit", _each("/units/{}", lambda rows: rows.units), 1.0),
    Case("nodes_by_output", _each("/unit_nodes?output_uuid={}", lambda rows: rows.outputs)),
)
COUNTING = (Case("act", _acts, acts=True), Case("units_100_act", _acts_and_pages, acts=True))
CREATION = Case("new_unit", _new_units)


def _cpu(pid: int) -> float:
    """Processor seconds of all threads of a process, 0 once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _database_cpu(pid: int | None) -> float:
    return 0.0 if pid is None else sum(_cpu(one) for one in (pid, *descendants(pid)))


class Client:
    """The client's process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.rest_client"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    async def run(self, job: Job) -> Outcome:
        return await asyncio.to_thread(self._ask, json.dumps(asdict(job)))

    def _ask(self, line: str) -> Outcome:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.communicate()


async def _measure_case(stage: Stage, client: Client, name: str, case: Case) -> AsyncIterator[Figure | str]:
    requests = [stage.request(*one) for one in case.requests(stage)]
    port = stage.gateway.http_port
    warm = await client.run(Job(port, requests, CONNECTIONS, WARM_UP))
    if warm.failed or not warm.latencies:
        raise RuntimeError(f"{name}: {warm.failed} of {len(warm.latencies)} failed: {warm.first_failure}")
    if case.requests is _new_units:
        requests = requests[len(warm.latencies) :]
    cpu, database_cpu = _cpu(stage.gateway.process.pid), _database_cpu(stage.database_pid)
    pressed = await client.run(Job(port, requests, CONNECTIONS, SECONDS))
    count = len(pressed.latencies)
    cpu = (_cpu(stage.gateway.process.pid) - cpu) * 1000 / count
    database_cpu = (_database_cpu(stage.database_pid) - database_cpu) * 1000 / count
    rate = count / pressed.seconds
    if case.requests is _new_units:
        requests = requests[count:]
    paced = await client.run(Job(port, requests, OPEN_CONNECTIONS, SECONDS, rate / 2))
    failed = pressed.failed + paced.failed
    if failed:
        raise RuntimeError(f"{name}: {failed} requests failed: {pressed.first_failure or paced.first_failure}")
    allowed = case.cpu and case.cpu * (2 if stage.database_pid is None else 1)
    beside = f", {database_cpu:.2f} CPU ms of PostgreSQL per request" if stage.database_pid else ""
    yield f"{name}: answers of {pressed.body / 1000:.1f} kB, {count} + {len(paced.latencies)} requests{beside}"
    yield Figure(f"{name}.rate", rate, "1/s")
    yield Figure(f"{name}.cpu", cpu, "ms", Goal("<=", allowed) if allowed else None)
    yield Figure(f"{name}.p50", percentile(paced.latencies, 0.5) * 1000, "ms")
    yield Figure(f"{name}.p95", percentile(paced.latencies, 0.95) * 1000, "ms", None if case.acts else LATENCY)


async def _measure_strain(stage: Stage, client: Client, name: str) -> AsyncIterator[Figure | str]:
    """Very many requests after each other, and many at a time."""
    requests = [stage.request(*one) for case in READS[:1] + READS[4:] for one in case.requests(stage)]
    port, pid = stage.gateway.http_port, stage.gateway.process.pid
    # once a minute the gateway reads the pipes of all nodes anew, and holds them twice for a moment
    await asyncio.sleep(max(0.0, stage.settled - time.monotonic()))
    before, begun, count = pss(pid), time.monotonic(), 0
    while count < MANY and time.monotonic() - begun < MANY_SECONDS:
        outcome = await client.run(Job(port, requests, CONNECTIONS, SECONDS))
        count += len(outcome.latencies)
    yield f"{name}.growth: {before:.1f} MB before, {pss(pid):.1f} MB after {count} requests"
    yield Figure(f"{name}.growth", (pss(pid) - before) * MANY / count, "MB", Goal("<=", 2))
    outcome = await client.run(Job(port, requests, BURST, SECONDS))
    yield f"{name}.burst: {BURST} connections that never rest, {len(outcome.latencies)} answers {outcome.first_failure}"
    yield Figure(f"{name}.burst.failed", outcome.failed, "requests", Goal("<=", 0))
    yield Figure(f"{name}.burst.p95", percentile(outcome.latencies, 0.95) * 1000, "ms")


async def _people(
    session: ClientSession, gateway: GatewayProcess, git: GitServer, work: Path
) -> tuple[Api, list[UUID], str, str]:
    """Return a creator's API, the creators' uuids, a Repo and its newest commit."""
    api = Api(session, f"http://127.0.0.1:{gateway.http_port}{API}")

    async def login(name: str) -> Api:
        reply = await api.post("/users/auth", {"credentials": name, "password": PASSWORD})
        return api.with_token(reply.body["token"])

    admin = await login("root-admin")
    logins = [f"creator-{number}" for number in range(CREATORS)]
    made = [await admin.made("/users", {"login": one, "password": PASSWORD}) for one in logins]
    caller = await login(logins[0])
    commit = sample_tree(git, work).head()
    _, repo = await make_repo(caller, git.url("sample"), "sample-repo")
    return caller, [UUID(user["uuid"]) for user in made], repo["uuid"], commit


@asynccontextmanager
async def _stage(folder: Path, url: str, database_pid: int | None) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        git = stack.enter_context(GitServer(folder / "git"))
        settings = {"PU_GIT_ALLOW_PRIVATE": "true", "PU_SQLALCHEMY_DATABASE_URL": url}
        made = run_command(
            folder,
            "user",
            "create-admin",
            "--login",
            "root-admin",
            "--password-stdin",
            stdin=f"{PASSWORD}\n",
            **settings,
        )
        if made.returncode:
            raise RuntimeError(made.stderr)
        with GatewayProcess(folder, **settings) as gateway:
            await asyncio.to_thread(gateway.wait_until_started)
            async with ClientSession() as session:
                caller, creators, repo, commit = await _people(session, gateway, git, folder / "work")
        database = Database(make_url(url))
        stack.push_async_callback(database.close)
        rows = await fill(database, creators, UUID(repo), commit)
        gateway = stack.enter_context(GatewayProcess(folder, **settings))  # which finds all of it at its start
        await asyncio.to_thread(gateway.wait_until_started)
        yield Stage(gateway, database_pid, caller.token or "", repo, rows, time.monotonic() + SETTLING)


async def _measure(name: str, folder: Path, url: str, database_pid: int | None) -> AsyncIterator[Figure | str]:
    async with _stage(folder, url, database_pid) as stage:
        client = Client()
        try:
            for case in READS:
                async for item in _measure_case(stage, client, f"{name}.{case.name}", case):
                    yield item
            async for item in _measure_strain(stage, client, name):
                yield item
            for case in (CREATION, *COUNTING):
                async for item in _measure_case(stage, client, f"{name}.{case.name}", case):
                    yield item
        finally:
            client.close()


async def measure(names: set[str]) -> AsyncIterator[Figure | str]:
    """Fill each database, start its gateway, yield settings and figures."""
    yield (
        f"rest: {UNITS} units of {CREATORS} creators, {UNITS * len(NODES)} nodes, one gateway process, "
        f"{CONNECTIONS} connections for {SECONDS:.0f} s, then half of that rate for {SECONDS:.0f} s"
    )
    yield "rest: pages are the first ten; cpu is the gateway's processor time per request at the highest rate"
    yield (
        "rest: how many rows a list has is remembered while no act comes in, as in these reads; in units_100_act one "
        "comes before each page, which is counted anew: its figures are the mean of an act and such a page"
    )
    if "rest.postgresql" in names:
        with tempfile.TemporaryDirectory(prefix="pepeunit-bench-") as place, PostgresServer(fsync=True) as server:
            url = server.create_database().render_as_string(hide_password=False)
            async for item in _measure("rest.postgresql", Path(place), url, server._process.pid):
                yield item
    if "rest.sqlite" in names:
        with tempfile.TemporaryDirectory(prefix="pepeunit-bench-") as place:
            (Path(place) / "data").mkdir()
            url = f"sqlite+aiosqlite:///{place}/data/bench.sqlite3"
            async for item in _measure("rest.sqlite", Path(place), url, None):
                yield item
