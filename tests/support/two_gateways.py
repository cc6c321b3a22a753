"""Two gateways as operators run them: two processes on one PostgreSQL and one Redis.

Each has its own data folder, ports and mosquitto; they share the keys and the domain. `two_gateways_inside.py` has two
in this process.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout

from tests.support.databases import session_databases
from tests.support.field_unit import FieldUnit
from tests.support.gateway import PASSWORD, Api
from tests.support.gateway_process import GatewayProcess, run_command
from tests.support.git_server import GitServer, WorkTree
from tests.support.polling import until
from tests.support.redis import RedisServer
from tests.support.sample_program import make_repo, make_unit, sample_tree

__all__ = ["Pair", "Served", "two_gateways"]

_API = "/pepeunit/api/v1"
_numbers = count(1)


@dataclass(frozen=True)
class Served:
    """One of the two: its process, and REST at it without a token."""

    process: GatewayProcess
    session: ClientSession
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def mqtt_port(self) -> int:
        return self.process.mqtt_port

    @property
    def _origin(self) -> str:
        return f"http://127.0.0.1:{self.process.http_port}"

    @property
    def nobody(self) -> Api:
        return Api(self.session, self._origin + _API)

    def close_later(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call `close` before the gateway stops."""
        self.stack.push_async_callback(close)

    async def login(self, login: str, uuid: str = "", password: str = PASSWORD) -> Api:
        reply = await self.nobody.post("/users/auth", {"credentials": login, "password": password})
        assert reply.status == 200, reply.body
        api = self.nobody.with_token(reply.body["token"])
        api.uuid = uuid
        return api

    async def redis(self) -> str:
        """What /readyz says of Redis: connected or away."""
        async with self.session.get(f"{self._origin}/readyz") as reply:
            return str((await reply.json())["redis"])

    def kill(self) -> None:
        """`kill -9`."""
        self.process.process.kill()
        self.process.process.wait(10)

    def fence(self) -> int:
        """The number of the lease that it took last, as its log tells; 0 if it never took one."""
        events = [json.loads(line) for line in self.process.errors if line.startswith("{")]
        return max((event["fence"] for event in events if event["event"] == "duty.taken"), default=0)


@dataclass(frozen=True)
class Pair:
    """`admin` and `alice` talk to the first gateway; she owns the Repo, whose program is in `tree`."""

    one: Served
    second: Served
    redis: RedisServer
    database: str
    tree: WorkTree
    admin: Api
    alice: Api
    registry: str
    repo: str

    @property
    def gateways(self) -> tuple[Served, Served]:
        return self.one, self.second

    def other(self, gateway: Served) -> Served:
        return self.second if gateway is self.one else self.one

    def at(self, gateway: Served, api: Api) -> Api:
        """The same caller at one of the gateways."""
        moved = gateway.nobody.with_token(api.token)
        moved.uuid = api.uuid
        return moved

    def there(self, api: Api) -> Api:
        """The same caller at the second gateway."""
        return self.at(self.second, api)

    async def user(self) -> tuple[str, Api]:
        """A new user, logged in at the first gateway, and their login."""
        login = f"user-{next(_numbers)}"
        made = await self.admin.made("/users", {"login": login, "password": PASSWORD})
        return login, await self.one.login(login, made["uuid"])

    async def unit_at(self, gateway: Served) -> FieldUnit:
        """A unit of Alice, made at the first gateway and connected to one of them."""
        made = await make_unit(self.alice, self.repo, f"unit-{next(_numbers)}")
        return await FieldUnit.connect(gateway, self.at(gateway, self.alice), made["uuid"])

    async def unit_here(self) -> FieldUnit:
        return await self.unit_at(self.one)

    async def unit_there(self) -> FieldUnit:
        return await self.unit_at(self.second)

    async def query(self, statement: str) -> list[str]:
        """Ask the database that both have; return its rows."""
        return (await asyncio.to_thread(session_databases.server.query, self.database, statement)).splitlines()

    async def on_duty(self, *, after: int = 0) -> Served:
        """Wait for a lease with a higher number than `after`; return the gateway that took the last."""

        async def fences() -> list[int]:
            return [gateway.fence() for gateway in self.gateways]

        found = await until(fences, lambda numbers: max(numbers) > after)
        return self.gateways[found.index(max(found))]


def _variables(url: str, redis: RedisServer) -> dict[str, str]:
    """What both are told."""
    return {
        "PU_SQLALCHEMY_DATABASE_URL": url,
        "PU_REDIS_URL": redis.url,
        "PU_SECRET_KEY": "the same key in every gateway of the test",
        "PU_ENCRYPT_KEY": base64.b64encode(bytes(range(32))).decode(),
        "PU_DOMAIN": "pepeunit.test",
        "PU_GIT_ALLOW_PRIVATE": "true",
        "PU_MIN_INTERVAL_SYNC_REPOSITORY": "0",
        "PU_REPO_POLL_INTERVAL": "3600",
    }


@asynccontextmanager
async def _served(folder: Path, variables: dict[str, str]) -> AsyncIterator[Served]:
    with GatewayProcess(folder, **variables) as process:
        async with ClientSession(timeout=ClientTimeout(total=30)) as session, AsyncExitStack() as clients:
            yield Served(process, session, clients)


async def _people(one: Served, second: Served, url: str) -> tuple[Api, Api, str, str]:
    """Make Alice, a registry and a Repo of hers, and let the second gateway fetch it."""
    admin = await one.login("root-admin")
    made = await admin.made("/users", {"login": "alice", "password": PASSWORD})
    alice = await one.login("alice", made["uuid"])
    registry, repo = await make_repo(alice, url, "sample-repo")
    there = second.nobody.with_token(alice.token)

    async def status() -> int:
        path = f"/repository_registry/branch_commits/{registry['uuid']}"
        return (await there.get(path, {"repo_branch": "main"})).status

    await until(status, lambda found: found == 200)
    return admin, alice, registry["uuid"], repo["uuid"]


@asynccontextmanager
async def two_gateways(folder: Path, redis: RedisServer, **variables: str) -> AsyncIterator[Pair]:
    """Start both, and make Alice with a program that both know; `variables` are told to both."""
    for name in ("database", "one", "two"):
        (folder / name).mkdir()
    async with AsyncExitStack() as stack:
        stack.enter_context(session_databases.using("postgresql"))
        url = session_databases.url_for(folder / "database")
        variables = {**_variables(url.render_as_string(hide_password=False), redis), **variables}
        create = ("user", "create-admin", "--login", "root-admin", "--password-stdin")
        done = await asyncio.to_thread(run_command, folder / "one", *create, stdin=f"{PASSWORD}\n", **variables)
        assert done.returncode == 0, done.stderr
        git = stack.enter_context(GitServer(folder / "git"))
        tree = sample_tree(git, folder / "work")
        one = await stack.enter_async_context(_served(folder / "one", variables))
        second = await stack.enter_async_context(_served(folder / "two", variables))
        for gateway in (one, second):
            await asyncio.to_thread(gateway.process.wait_until_started)
        admin, alice, registry, repo = await _people(one, second, git.url("sample"))
        yield Pair(one, second, redis, str(url.database), tree, admin, alice, registry, repo)
