"""The gateway's own MQTT session: it receives what the platform reads, and publishes commands.

MQTT 5 over mosquitto's UNIX socket, a session that survives everything (never clean, never expiring). A message is
acknowledged after the handler returned; an acknowledgement belongs to the connection its message came by and is
never sent over another one, because there each connection has a client object of its own.
Source: mosquitto.md "The gateway's own session", protocol/broker.md 6.1 (whose QoS 0 and clean session are W24).
"""

import asyncio
import random
from pathlib import Path

import structlog

from pepeunit_gateway.broker.link import Link, LinkError
from pepeunit_gateway.broker.pending import Pending
from pepeunit_gateway.broker.port import MessageHandler
from pepeunit_gateway.errors import MqttError

__all__ = ["GatewaySession"]

log = structlog.get_logger(__name__)

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_STABLE = 30.0  # seconds of connection after which the back-off begins anew
_PUBLISH_WINDOW = 16  # below mosquitto's Receive Maximum of 20
_MAX_PUBLISHERS = 10_000  # callers that may wait for the window


class GatewaySession:
    """Keeps one link to mosquitto, opening a new one with back-off whenever it is lost."""

    def __init__(
        self,
        *,
        socket_path: Path,
        password: str,
        subscriptions: tuple[str, ...],
        keepalive: int,
        max_pending: int,
        on_message: MessageHandler,
    ) -> None:
        self._socket_path = socket_path
        self._password = password
        self._subscriptions = subscriptions
        self._keepalive = keepalive
        self._on_message = on_message
        self._link: Link | None = None
        self._connected = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._window = asyncio.Semaphore(_PUBLISH_WINDOW)
        self._publishers = 0
        self._pending = Pending(max_pending)

    async def start(self, *, time_limit: float) -> None:
        """Connect and subscribe; returns when both are done.

        Raises:
            TimeoutError: not within `time_limit` seconds.
        """
        self._runner = asyncio.get_running_loop().create_task(self._run())
        async with asyncio.timeout(time_limit):
            await self._connected.wait()

    async def stop(self, *, time_limit: float) -> None:
        """Stop reading, let the handlers finish for `time_limit` seconds, disconnect; safe to call twice.

        What is not acknowledged by then stays in mosquitto's queue and comes at the next start.
        """
        self._pending.close()
        try:
            async with asyncio.timeout(time_limit):
                await self._pending.wait_none()
        except TimeoutError:
            log.warning("broker.session.unfinished", messages=self._pending.count)
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
            self._runner = None

    @property
    def connected(self) -> bool:
        """Whether the broker has given us our session, subscriptions included."""
        return self._connected.is_set()

    async def until_connected(self) -> None:
        """Wait until the broker has given us our session, subscriptions included."""
        await self._connected.wait()

    async def publish(self, topic: str, payload: bytes, *, time_limit: float) -> bool:
        """Publish with QoS 1 and wait for the acknowledgement; tell whether anybody was subscribed to the topic.

        Raises:
            MqttError: not connected, too many callers wait, or no answer in time. The message may have arrived.
        """
        if self._publishers >= _MAX_PUBLISHERS:
            raise MqttError("Too many publishes are waiting for the broker; try again later")
        self._publishers += 1
        try:
            async with asyncio.timeout(time_limit), self._window:
                await self._connected.wait()
                if self._link is None:
                    raise MqttError("The broker is not connected; try again later")
                return await self._link.publish(topic, payload)
        except TimeoutError:
            raise MqttError(f"The broker did not acknowledge within {time_limit:g} s; try again later") from None
        except LinkError as error:
            raise MqttError(f"The connection to the broker was lost before it acknowledged: {error}") from error
        finally:
            self._publishers -= 1

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            link = Link(on_message=self._on_message, pending=self._pending)
            started = loop.time()
            try:
                await link.open(self._socket_path, self._password, self._keepalive)
                await link.subscribe(self._subscriptions)
                self._link = link
                self._connected.set()
                log.info("broker.session.connected", session_present=link.session_present)
                await link.lost.wait()
                log.warning("broker.session.lost")
            except LinkError as error:
                log.warning("broker.session.failed", error=str(error))
            except Exception:  # root of the task: gmqtt's surprises must not end the session for good
                log.exception("broker.session.failed")
            finally:
                self._connected.clear()
                self._link = None
                await link.close()
            pause = _FIRST_PAUSE if loop.time() - started > _STABLE else min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, keeps no secret
