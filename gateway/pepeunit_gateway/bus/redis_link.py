"""The connections to Redis, and whether it answers at this moment.

While it does not, nobody waits for it: the first call that fails says so, and the others are refused at once until the
reader of the change stream has reached Redis again.
"""

import asyncio
from typing import Any

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from pepeunit_gateway.bus.port import BusAwayError
from pepeunit_gateway.errors import SettingsError

__all__ = ["RedisLink"]

log = structlog.get_logger(__name__)

_CALL_LIMIT = 1.0
_BLOCK_MARGIN = 2.0
_CONNECTIONS = 8
_COMPLAINT_INTERVAL = 60.0
_NO_KEY = "pepeunit:nothing"
_GONE = (RedisConnectionError, RedisTimeoutError, ReadOnlyError, MasterDownError, OSError, TimeoutError)
"""What it says when it is away: nothing at all, that it still loads its data, or that another is the master now."""

_READ_ONLY_IN_SCRIPT = "READONLY"  # of Redis 5 and 6; newer ones answer as to any other command


class RedisLink:
    """One Redis. `call` is for short commands, `wait` for one that blocks; each has its own connections.

    Args:
        url: of PU_REDIS_URL; its password is in no log line and no error.

    Raises:
        SettingsError: the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        try:
            self._calls = _client(url, _CONNECTIONS, _CALL_LIMIT)
            self._waits = _client(url, 1, _CALL_LIMIT)
        except (TypeError, ValueError, RedisError):
            raise SettingsError(
                "PU_REDIS_URL cannot be used: write redis://host:6379/0, rediss:// for TLS, or unix:///path/of/socket; "
                "unset it to run one gateway without Redis"
            ) from None
        self.up = asyncio.Event()
        self._known_away = False
        self._next_complaint = 0.0

    async def call(self, *command: Any) -> Any:
        """Run a command within a second.

        Raises:
            BusAwayError: at once while Redis is known to be away; else after a second, or when it refuses.
        """
        if not self.up.is_set():
            raise BusAwayError("Redis is away")
        try:
            return await self.probe(*command)
        except _GONE as error:
            self.lost(error)
            raise BusAwayError("Redis is away") from None
        except RedisError as error:  # it answered, but would not: full, a key of another type
            if _READ_ONLY_IN_SCRIPT in str(error):
                self.lost(error)
            else:
                self._complain(error)
            raise BusAwayError("Redis refused") from None

    async def probe(self, *command: Any) -> Any:
        """Run a command within a second, whether or not Redis is known to be away.

        Raises:
            RedisError, OSError, TimeoutError: as they come.
        """
        async with asyncio.timeout(_CALL_LIMIT):
            return await self._calls.execute_command(*command)  # type: ignore[no-untyped-call]

    async def check(self) -> None:
        """See whether it takes what it is told: a replica answers too, but only to readers.

        Raises:
            RedisError, OSError, TimeoutError: as they come.
        """
        await self.probe("UNLINK", _NO_KEY)

    async def wait(self, seconds: float, *command: Any) -> Any:
        """Run a command that itself blocks for up to `seconds`.

        Raises:
            RedisError, OSError, TimeoutError: as they come.
        """
        async with asyncio.timeout(seconds + _BLOCK_MARGIN):
            return await self._waits.execute_command(*command)  # type: ignore[no-untyped-call]

    def lost(self, error: BaseException) -> None:
        """Note that Redis is away; said once in the log."""
        self.up.clear()
        if not self._known_away:
            self._known_away = True
            log.warning(
                "bus.away",
                reason=f"{type(error).__name__}: {error}",
                hint="the gateway goes on; other gateways hear of changes when the Redis of PU_REDIS_URL is back",
            )

    def found(self) -> None:
        """Note that Redis answers."""
        if self._known_away:
            log.info("bus.back")
        self._known_away = False
        self.up.set()

    async def drop(self) -> None:
        """Close every connection; the next call opens new ones."""
        self.up.clear()
        for client in (self._calls, self._waits):
            await client.connection_pool.disconnect(inuse_connections=True)

    async def close(self) -> None:
        """Close every connection for good."""
        self.up.clear()
        for client in (self._calls, self._waits):
            await client.aclose(close_connection_pool=True)

    def _complain(self, error: RedisError) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINT_INTERVAL
            log.warning(
                "bus.refused", reason=str(error), hint="look at the Redis of PU_REDIS_URL: its memory, its role"
            )


def _client(url: str, connections: int, limit: float) -> Redis:
    pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=limit,
        socket_connect_timeout=limit,
        socket_timeout=None,  # each command has a limit of its own
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        client_name="pepeunit",
    )
    pool.connection_class(**pool.connection_kwargs)  # so that an unknown option shows here, not at the first command
    return Redis.from_pool(pool)
