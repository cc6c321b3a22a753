"""A gateway as operators run it, with many units of one Repo that follow it, for pushes to all of them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from aiohttp import ClientSession, ClientTimeout
from sqlalchemy import select
from sqlalchemy.engine import make_url

from pepeunit_gateway.access.tokens import unit_token
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.own_tables import outbox
from tests.support.gateway import PASSWORD, Api
from tests.support.gateway_process import GatewayProcess, children_named, run_command
from tests.support.git_server import GitServer, WorkTree
from tests.support.sample_program import make_repo, sample_tree
from tests.support.unit_crowd import UnitCrowd

__all__ = ["PushStage", "Turn", "push_stage"]

_API = "/pepeunit/api/v1"
_SECRET = "the secret key of a gateway under test"
_BATCH = 100


class Turn(NamedTuple):
    """When a command was written down, and when it is to go out."""

    queued: datetime
    due: datetime


@dataclass
class PushStage:
    """`process` is the gateway that runs at the moment; `tokens` are of all units."""

    folder: Path
    tree: WorkTree
    variables: dict[str, str]
    process: GatewayProcess
    registry: str = ""
    repo: str = ""
    token: str = ""
    tokens: dict[UUID, str] = field(default_factory=dict)

    def crowd(self, count: int | None = None) -> UnitCrowd:
        """So many of the units, or all, not connected yet."""
        chosen = dict(islice(self.tokens.items(), count))
        return UnitCrowd(self.process.mqtt_port, self.variables["PU_DOMAIN"], chosen)

    def push(self, text: str) -> str:
        """Commit and push a change; return the commit."""
        commit = self.commit(text)
        self.tree.push()
        return commit

    def commit(self, text: str) -> str:
        """Commit a change; nobody hears of it before the push."""
        self.tree.write("main.py", f"print({text!r})\n")
        return self.tree.commit(text)

    def kill(self) -> None:
        """`kill -9` of the gateway."""
        self.process.process.kill()
        self.process.process.wait(10)

    def kill_broker(self) -> None:
        """`kill -9` of mosquitto."""
        (pid,) = children_named("mosquitto", self.folder)
        os.kill(pid, signal.SIGKILL)

    def restart(self) -> None:
        """Start the gateway anew on the same folder and ports."""
        self.process.__exit__()
        ports = {"PU_HTTP_PORT": str(self.process.http_port), "PU_MQTT_PORT": str(self.process.mqtt_port)}
        self.process = GatewayProcess(self.folder, **{**self.variables, **ports})
        self.process.wait_until_started()

    async def turns(self, commit: str) -> dict[UUID, Turn]:
        """When the Update of each unit to a commit was queued and due; sent ones are kept."""
        url = self.variables["PU_SQLALCHEMY_DATABASE_URL"] or f"sqlite+aiosqlite:///{self.folder}/data/pepeunit.sqlite3"
        database = Database(make_url(url))
        try:
            async with database.read() as connection:
                rows = await connection.execute(select(outbox).where(outbox.c.payload.contains(commit)))
                return {row.unit_uuid: Turn(row.create_datetime, row.next_attempt_datetime) for row in rows}
        finally:
            await database.close()

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[Api]:
        """REST as the units' owner."""
        async with ClientSession(timeout=ClientTimeout(total=30)) as session:
            yield Api(session, f"http://127.0.0.1:{self.process.http_port}{_API}", self.token or None)

    async def fill(self, url: str, count: int) -> None:
        """Make the owner, the registry, the Repo and the units."""
        async with self.owner() as api:
            reply = await api.post("/users/auth", {"credentials": "root-admin", "password": PASSWORD})
            self.token = reply.body["token"]
            owner = api.with_token(self.token)
            registry, repo = await make_repo(owner, url, "sample-repo")
            self.registry, self.repo = registry["uuid"], repo["uuid"]
            unit = {"repo_uuid": self.repo, "visibility_level": "Public", "is_auto_update_from_repo_unit": True}
            for first in range(0, count, _BATCH):
                numbers = range(first, min(first + _BATCH, count))
                body = {"units": [{**unit, "name": f"unit-{number:04}"} for number in numbers]}
                made = await owner.call(
                    "POST", "/units/batch", json=body, headers={"Idempotency-Key": f"units-from-{first}"}
                )
                assert made.status == 201, made.body
                for one in made.body["units"]:
                    uuid = UUID(one["uuid"])
                    self.tokens[uuid] = unit_token(uuid, secret=_SECRET, generation=0)


@contextmanager
def push_stage(folder: Path, database: str, count: int, **variables: str) -> Iterator[PushStage]:
    """Start a gateway on a database (an address, or empty for a file in its folder) and make `count` units."""
    variables = {
        "PU_SQLALCHEMY_DATABASE_URL": database,
        "PU_SECRET_KEY": _SECRET,
        "PU_DOMAIN": "pepeunit.test",
        "PU_GIT_ALLOW_PRIVATE": "true",
        "PU_MIN_INTERVAL_SYNC_REPOSITORY": "0",
        **variables,
    }
    create = ("user", "create-admin", "--login", "root-admin", "--password-stdin")
    done = run_command(folder, *create, stdin=f"{PASSWORD}\n", **variables)
    assert done.returncode == 0, done.stderr
    with GitServer(folder / "git") as git:
        tree = sample_tree(git, folder / "work")
        stage = PushStage(folder, tree, variables, GatewayProcess(folder, **variables))
        try:
            stage.process.wait_until_started()
            _run(stage.fill(git.url("sample"), count))
            yield stage
        finally:
            stage.process.__exit__()


def _run(work: Coroutine[None, None, None]) -> None:
    """Run it in a thread of its own: the caller may be inside a loop that runs."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()
