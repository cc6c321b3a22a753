"""Two gateways in this process on one PostgreSQL and one Redis, for tests that look into them.

tests/support/two_gateways.py has two as operators run them.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.support.databases import session_databases
from tests.support.field_unit import FieldUnit
from tests.support.gateway import Api, GatewayUnderTest
from tests.support.polling import until
from tests.support.redis import RedisServer
from tests.support.rest_world import World, world
from tests.support.sample_program import make_unit

__all__ = ["Pair", "two_gateways"]


@dataclass(frozen=True)
class Pair:
    """`one.alice` and the others talk to the first gateway; `second` is the other one."""

    one: World
    second: GatewayUnderTest
    redis: RedisServer

    @property
    def gateways(self) -> tuple[GatewayUnderTest, GatewayUnderTest]:
        return self.one.gateway, self.second

    def there(self, api: Api) -> Api:
        """The same caller at the second gateway."""
        moved = self.second.nobody.with_token(api.token)
        moved.uuid = api.uuid
        return moved

    async def unit_there(self, name: str) -> FieldUnit:
        """A unit of Alice, made at the first gateway and connected to the second."""
        made = await make_unit(self.one.alice, self.one.repo["uuid"], name)
        return await FieldUnit.connect(self.second, self.there(self.one.alice), made["uuid"])

    async def unit_here(self, name: str) -> FieldUnit:
        """A unit of Alice, connected to the first gateway."""
        made = await make_unit(self.one.alice, self.one.repo["uuid"], name)
        return await FieldUnit.connect(self.one.gateway, self.one.alice, made["uuid"])


@asynccontextmanager
async def two_gateways(folder: Path, redis: RedisServer, **settings: Any) -> AsyncIterator[Pair]:
    """Start both; `settings` are those of both."""
    (folder / "database").mkdir()
    with session_databases.using("postgresql"):
        url = session_databases.url_for(folder / "database").render_as_string(hide_password=False)
        shared = {
            "sqlalchemy_database_url": url,
            "redis_url": redis.url,
            "secret_key": "the same key in every gateway of the test",
            "encrypt_key": base64.b64encode(bytes(range(32))).decode(),
            "domain": "pepeunit.test",
            "repo_poll_interval": 3600,
            **settings,
        }
        async with world(folder / "one", **shared) as one, GatewayUnderTest(folder / "two", **shared) as second:
            mirrors, registry = second.registry.context.mirrors, UUID(one.registry["uuid"])

            async def fetched() -> bool:
                return mirrors.exists(registry)

            await until(fetched, bool)
            yield Pair(one, second, redis)
