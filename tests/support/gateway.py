"""The real gateway for integration tests: in this process, on free loopback ports and a data folder of its own.

    async with GatewayUnderTest(tmp_path) as gateway, GitServer(...) as server:
        admin = await gateway.admin()
        alice = await gateway.user("alice")
        reply = await alice.post("/repos", {...})
        assert reply.status == 201, reply.body

Everything is real: the database of the moment (tests/support/databases.py), mosquitto behind the front door, git
mirrors. `settings` overrides PU_* values by their field names.
"""

import io
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from pepeunit_gateway.app import Gateway
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.settings import Settings
from tests.support.databases import address_for
from tests.support.ports import free_port

__all__ = ["PASSWORD", "Api", "GatewayUnderTest", "Reply"]

PASSWORD = "correct-horse-9"
_TIMEOUT = ClientTimeout(total=30)


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end; `body` is its JSON, or its bytes where it is none."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def detail(self) -> Any:
        return self.body["detail"]


class Api:
    """One caller of the REST API; paths are below its prefix."""

    def __init__(self, session: ClientSession, base: str, token: str | None = None, uuid: str = "") -> None:
        self._session = session
        self._base = base
        self.token = token
        self.uuid = uuid

    def with_token(self, token: str | None) -> "Api":
        """The same API for somebody else."""
        return Api(self._session, self._base, token)

    async def call(self, method: str, path: str, **options: Any) -> Reply:
        headers = dict(options.pop("headers", {}))
        if self.token is not None:
            headers["x-auth-token"] = self.token
        async with self._session.request(method, self._base + path, headers=headers, **options) as answer:
            body: Any = await answer.read()
            if answer.content_type == "application/json" and body:
                body = json.loads(body)
            return Reply(answer.status, body, answer.headers)

    async def get(self, path: str, params: Any = None) -> Reply:
        return await self.call("GET", path, params=params)

    async def head(self, path: str, params: Any = None) -> Reply:
        return await self.call("HEAD", path, params=params)

    async def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        return await self._send("POST", path, body, **options)

    async def patch(self, path: str, body: Any = None, **options: Any) -> Reply:
        return await self._send("PATCH", path, body, **options)

    async def _send(self, method: str, path: str, body: Any, **options: Any) -> Reply:
        if body is None:
            return await self.call(method, path, **options)
        content = io.BytesIO(json.dumps(body).encode())  # a stream, because bodies may be large
        return await self.call(method, path, data=content, headers={"Content-Type": "application/json"}, **options)

    async def delete(self, path: str, **options: Any) -> Reply:
        return await self.call("DELETE", path, **options)

    async def made(self, path: str, body: Any) -> dict[str, Any]:
        """POST and return the new entity; anything but 201 fails the test."""
        reply = await self.post(path, body)
        assert reply.status == 201, (path, reply.status, reply.body)
        entity: dict[str, Any] = reply.body
        return entity


class GatewayUnderTest:
    """A gateway and a way to call it; use as `async with`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.given = Settings(
            **{
                "data_dir": folder,
                "http_port": free_port(),
                "mqtt_port": free_port(),
                "git_allow_private": True,
                "min_interval_sync_repository": 0.0,
                "sqlalchemy_database_url": address_for(folder),
                **settings,
            }
        )
        self._stack = AsyncExitStack()
        self._admin: Api | None = None
        self.gateway: Gateway
        self.nobody: Api

    @property
    def settings(self) -> Settings:
        """The effective settings, with what was derived and generated."""
        return self.gateway.settings

    @property
    def registry(self) -> Registry:
        return self.gateway.registry

    @property
    def mqtt_port(self) -> int:
        return self.given.mqtt_port

    @property
    def origin(self) -> str:
        return f"{'http' if self.given.tls_cert is None else 'https'}://127.0.0.1:{self.given.http_port}"

    def _connector(self) -> TCPConnector:
        """Over HTTPS the authority at the end of PU_TLS_CERT is trusted."""
        cert = self.given.tls_cert
        return TCPConnector(ssl=True if cert is None else ssl.create_default_context(cafile=cert))

    async def __aenter__(self) -> Self:
        self.gateway = await self._stack.enter_async_context(Gateway(self.given))
        session = await self._stack.enter_async_context(ClientSession(timeout=_TIMEOUT, connector=self._connector()))
        self.nobody = Api(session, self.origin + self.given.api_prefix)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def close_later(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call `close` before the gateway stops."""
        self._stack.push_async_callback(close)

    async def admin(self) -> Api:
        """The first Admin, made as `pepeunit gateway user create-admin` makes it."""
        if self._admin is None:
            user = await self.registry.users.create_admin("root-admin", PASSWORD)
            self._admin = await self.login("root-admin", str(user.uuid))
        return self._admin

    async def login(self, login: str, uuid: str) -> Api:
        reply = await self.nobody.post("/users/auth", {"credentials": login, "password": PASSWORD})
        assert reply.status == 200, reply.body
        api = self.nobody.with_token(reply.body["token"])
        api.uuid = uuid
        return api

    async def user(self, login: str) -> Api:
        """A new user, logged in."""
        made = await (await self.admin()).made("/users", {"login": login, "password": PASSWORD})
        return await self.login(login, made["uuid"])

    async def unit(self, owner: Api, unit_uuid: str) -> Api:
        """The unit itself: with the token of its env.json."""
        reply = await owner.get(f"/units/env/{unit_uuid}")
        assert reply.status == 200, reply.body
        api = self.nobody.with_token(reply.body["PU_AUTH_TOKEN"])
        api.uuid = unit_uuid
        return api
