"""Downloads of a program of 40 files and 300 KB by 1,000 units of one repository, in each format.

One gateway as `pepeunit gateway run` starts it (SQLite) and one client process with 16 connections that never rest. The
processor time is that of the gateway with all git processes. Against it stands the naive way, without any HTTP: git
reads, and we pack and compress, the whole commit for every single unit.
"""

import asyncio
import hashlib
import io
import json
import os
import random
import re
import resource
import tempfile
import time
import zipfile
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from aiohttp import ClientSession

from pepeunit_gateway.firmware.mirrors import MirrorCache
from pepeunit_gateway.firmware.thread_work import ThreadWork
from pepeunit_gateway.firmware.trees import PackPlan, pack_tree
from tests.benchmarks.figure import Figure, Goal
from tests.benchmarks.rest import API, Client
from tests.benchmarks.rest_client import Job, Outcome, percentile
from tests.support.gateway import PASSWORD, Api
from tests.support.gateway_process import GatewayProcess, run_command
from tests.support.git_server import GitServer, WorkTree
from tests.support.sample_program import make_repo, write_sample

__all__ = ["NAMES", "measure"]

NAMES = ("archives.tar", "archives.tgz", "archives.zip")
UNITS = 1_000
FILES = 40
SIZE = 300_000
CONNECTIONS = 16
SECONDS = 4.0
NAIVE = 20
BATCH = 100
KEYS = ("if", "self", "return", "await", "None", "value", "(", ")", ":", "=", "\n    ", "\n\n", "def", "for", "in", "0")


@dataclass(frozen=True)
class Stage:
    """A running gateway with the units; `requests` are their downloads in each format."""

    gateway: GatewayProcess
    requests: dict[str, list[str]]
    git: GitServer
    commit: str

    @property
    def pid(self) -> int:
        return self.gateway.process.pid


def _text(chance: random.Random, size: int) -> str:
    """Something that compresses as programs do."""
    words = [*KEYS * 6, *("".join(chance.choices("abcdefghijklmnoprstuvw_", k=7)) for _ in range(60))]
    text = " ".join(chance.choices(words, k=size // 3))
    return text[:size]


def _program(git: GitServer, folder: Path) -> str:
    """Serve the program; its commit."""
    tree = WorkTree.create(folder, bare=git.bare("sample"))
    write_sample(tree)
    chance = random.Random(7)
    for number in range(FILES - 3):  # beside main.py and the examples
        tree.write(f"lib/part{number % 6}/module_{number}.py", _text(chance, SIZE // (FILES - 3)))
    commit = tree.commit("forty files")
    tree.push()
    return commit


async def _make_units(session: ClientSession, gateway: GatewayProcess, git: GitServer) -> tuple[str, list[str]]:
    """Return the creator's token and the uuids of the units."""
    api = Api(session, f"http://127.0.0.1:{gateway.http_port}{API}")
    reply = await api.post("/users/auth", {"credentials": "root-admin", "password": PASSWORD})
    admin = api.with_token(reply.body["token"])
    _, repo = await make_repo(admin, git.url("sample"), "sample-repo")
    uuids: list[str] = []
    for batch in range(UNITS // BATCH):
        units = [
            {
                "repo_uuid": repo["uuid"],
                "visibility_level": "Public",
                "name": f"unit-{batch}-{number}",
                "is_auto_update_from_repo_unit": True,
            }
            for number in range(BATCH)
        ]
        made = await admin.call(
            "POST", "/units/batch", json={"units": units}, headers={"Idempotency-Key": f"batch-{batch}"}
        )
        uuids += [unit["uuid"] for unit in made.body["units"]]
    return admin.token or "", uuids


@asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        git = stack.enter_context(GitServer(folder / "git"))
        commit = _program(git, folder / "work")
        login = ("--login", "root-admin", "--password-stdin")
        made = run_command(folder, "user", "create-admin", *login, stdin=f"{PASSWORD}\n")
        if made.returncode:
            raise RuntimeError(made.stderr)
        gateway = stack.enter_context(GatewayProcess(folder, PU_GIT_ALLOW_PRIVATE="true"))
        await asyncio.to_thread(gateway.wait_until_started)
        async with ClientSession() as session:
            token, uuids = await _make_units(session, gateway, git)
        head = f"HTTP/1.1\r\nHost: 127.0.0.1\r\nx-auth-token: {token}\r\n\r\n"
        requests = {
            kind: [f"GET {API}/units/firmware/{kind}/{uuid} {head}" for uuid in uuids] for kind in ("tar", "tgz", "zip")
        }
        yield Stage(gateway, requests, git, commit)


def _cpu(pid: int) -> float:
    """Processor seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, name: str) -> float:
    """A line of /proc/<pid>/status in MB (10^6 bytes)."""
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(rows[name].split()[0]) * 1024 / 1e6


def _forget_peak(pid: int) -> None:
    """Let the peak of the memory begin here."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _made(gateway: GatewayProcess) -> list[str]:
    """Return what the log says was made: `tar` when the commit was packed, else what was made of that."""
    lines = [line for line in (*gateway.output, *gateway.errors) if "firmware.archive.made" in line]
    return [found[1] for line in lines if (found := re.search(r"\bstem\W+([a-z0-9-]+)", line))]


async def _press(stage: Stage, client: Client, kind: str) -> Outcome:
    """Download until every unit has had its turn."""
    requests = stage.requests[kind]
    seconds, body, latencies = 0.0, 0, list[float]()
    while len(latencies) < UNITS:
        turn = requests[len(latencies) :] + requests[: len(latencies)]
        outcome = await client.run(Job(stage.gateway.http_port, turn, CONNECTIONS, SECONDS))
        if outcome.failed:
            raise RuntimeError(f"{kind}: {outcome.failed} failed: {outcome.first_failure}")
        latencies += outcome.latencies
        seconds, body = seconds + outcome.seconds, outcome.body
    return Outcome(seconds, sorted(latencies), 0, body, "")


async def _measure_kind(stage: Stage, client: Client, kind: str, naive: float) -> AsyncIterator[Figure | str]:
    name = f"archives.{kind}"
    first = await client.run(Job(stage.gateway.http_port, stage.requests[kind][:1], 1, 0.0001))
    yield Figure(f"{name}.first", first.latencies[-1] * 1000, "ms")
    cpu = _cpu(stage.pid)
    outcome = await _press(stage, client, kind)
    count = len(outcome.latencies)
    cpu = (_cpu(stage.pid) - cpu) * 1000 / count
    yield f"{name}: answers of {outcome.body / 1000:.1f} kB, {count} downloads"
    yield Figure(f"{name}.rate", count / outcome.seconds, "1/s")
    yield Figure(f"{name}.cpu", cpu, "ms")
    yield Figure(f"{name}.p95", percentile(outcome.latencies, 0.95) * 1000, "ms")
    yield Figure(f"{name}.naive", naive, "ms")
    yield Figure(f"{name}.gain", naive / cpu, "x")


def _own(number: int) -> dict[str, bytes]:
    values = {"PU_AUTH_TOKEN": f"{number:0160}", **{f"PU_KEY_{key}": "a value" for key in range(15)}}
    return {"env.json": json.dumps(values, indent=4).encode(), "schema.json": json.dumps(values, indent=4).encode()}


def _pack_naively(plan: PackPlan, kind: str, own: dict[str, bytes]) -> None:
    out = io.BytesIO()
    plan.write(out, lambda: None)
    data = out.getvalue() + b"".join(own.values()) + bytes(10_240)
    if kind == "tgz":
        machine = zlib.compressobj(9, zlib.DEFLATED, 9)
        data = machine.compress(data) + machine.flush()
    elif kind == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for number in range(FILES):
                archive.writestr(f"{number}", data[number * SIZE // FILES : (number + 1) * SIZE // FILES])
        data = packed.getvalue()
    hashlib.sha256(data).digest()


def _spent() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


async def _naive(stage: Stage, folder: Path) -> dict[str, float]:
    """Return the processor milliseconds of one archive in each format, with the whole commit packed for it alone."""
    limits = {"max_size": 50 * 1024 * 1024, "allow_private": True, "allow_file": (), "timeout": 60.0}
    mirrors = MirrorCache(folder / "mirrors", **limits)
    registry: UUID = uuid4()
    await mirrors.sync(registry, stage.git.url("sample"), None)
    threads = ThreadWork()
    found = {}
    for kind in ("tar", "tgz", "zip"):
        begun = _spent()
        for number in range(NAIVE):
            plan = await pack_tree(
                mirrors.history,
                mirrors.mirror(registry),
                stage.commit,
                max_size=mirrors.max_size,
                threads=threads,
                scratch=folder,
            )
            _pack_naively(plan, kind, _own(number))
            plan.close()
        found[kind] = (_spent() - begun) * 1000 / NAIVE
    await threads.close()
    await mirrors.close()
    return found


async def measure(names: set[str]) -> AsyncIterator[Figure | str]:
    """Make the units, download all their archives, yield settings and figures."""
    yield (
        f"archives: {UNITS} units of one repo, {FILES} files of {SIZE / 1000:.0f} kB, one gateway process on SQLite, "
        f"{CONNECTIONS} connections for {SECONDS:.0f} s; tgz with wbits 9 and level 9"
    )
    yield "archives: cpu is that of the gateway and git per download; first is the first download of that format"
    yield f"archives: naive is the processor time of git, packing, compression and SHA-256 without HTTP, {NAIVE} times"
    with tempfile.TemporaryDirectory(prefix="pepeunit-bench-") as place:
        async with _stage(Path(place)) as stage:
            naive = await _naive(stage, Path(place))
            client = Client()
            before = _memory(stage.pid, "VmRSS")
            _forget_peak(stage.pid)
            try:
                for kind in ("tar", "tgz", "zip"):
                    if f"archives.{kind}" in names:
                        async for item in _measure_kind(stage, client, kind, naive[kind]):
                            yield item
            finally:
                client.close()
            made = _made(stage.gateway)
            yield f"archives: made were {', '.join(made)}; {before:.1f} MB of memory before the downloads"
            yield Figure("archives.builds", made.count("tar"), "per commit", Goal("<=", 1))
            yield Figure("archives.stems", len(made), "per commit", Goal("<=", 3))
            yield Figure("archives.memory", _memory(stage.pid, "VmHWM"), "MB")
