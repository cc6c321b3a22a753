# mypy: disable-error-code="no-untyped-call"
# gmqtt carries no types; this module is the only one that calls it.
"""One connection of the gateway's session to mosquitto, made of one gmqtt client that is used once.

gmqtt's own reconnect is switched off: a connection that is lost is replaced by a new client, so whatever belonged to
the old one (acknowledgements above all) can only go to the old socket, which is closed.
Source: mosquitto.md "The gateway's own session".
"""

import asyncio
import logging
import random
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import gmqtt
import structlog
from gmqtt.mqtt.connection import MQTTConnection
from gmqtt.mqtt.handler import MQTTConnectError
from gmqtt.mqtt.protocol import MQTTProtocol

from pepeunit_gateway.broker.mosquitto_files import GATEWAY_USER
from pepeunit_gateway.broker.pending import Pending
from pepeunit_gateway.broker.port import MessageHandler
from pepeunit_gateway.broker.upstream import BrokerAwayError, open_upstream

__all__ = ["Link", "LinkError"]

log = structlog.get_logger(__name__)

_CLIENT_ID = "gateway-main"
_NEVER = 0xFFFFFFFF  # session expiry
_ANSWER_TIMEOUT = 10.0  # seconds for CONNACK and SUBACK
_CLOSE_TIMEOUT = 1.0
_FAILED_PAUSE = 1.0  # seconds between a handler's failure and the reconnect that brings its message again
_REFUSED = 0x80
_NO_SUBSCRIBER = 0x10  # a reason code of PUBACK

# gmqtt reports each of its own packets; what matters is reported by this module.
_quiet = logging.getLogger("gmqtt")


class LinkError(Exception):
    """The connection could not be made, was lost, or mosquitto refused."""


class Link:
    """One connection: open it, subscribe, publish, and wait for `lost`. It is never opened again."""

    def __init__(self, *, on_message: MessageHandler, pending: Pending) -> None:
        self.lost = asyncio.Event()
        self.session_present = False
        self._on_message = on_message
        self._pending = pending
        self._failed = False
        self._unacknowledged = _Unacknowledged()
        self._suback: asyncio.Future[tuple[int, ...]] | None = None
        self._client: _Client | None = None

    async def open(self, socket_path: Path, password: str, keepalive: int) -> None:
        """Connect and wait for CONNACK.

        Raises:
            LinkError: not reachable, refused, or no answer within 10 s.
        """
        _quiet.setLevel(logging.ERROR)
        client = self._client = _Client(socket_path, self._pending, self._unacknowledged)
        client.set_auth_credentials(GATEWAY_USER, password)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received
        client.on_subscribe = self._subscribed
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                await client.connect(str(socket_path), keepalive=keepalive)
        except (BrokerAwayError, MQTTConnectError, OSError, TimeoutError) as error:
            raise LinkError(f"no session with mosquitto: {error or type(error).__name__}") from error

    async def subscribe(self, filters: tuple[str, ...]) -> None:
        """Subscribe with QoS 1; harmless where the session already has the filters.

        Raises:
            LinkError: refused, lost, or no answer within 10 s.
        """
        if self._client is None or not filters:
            return
        self._suback = asyncio.get_running_loop().create_future()
        self._client.subscribe([gmqtt.Subscription(topic, qos=1) for topic in filters])
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT):
                granted = await self._suback
        except TimeoutError as error:
            raise LinkError("mosquitto did not answer SUBSCRIBE") from error
        if any(code >= _REFUSED for code in granted):
            raise LinkError(f"mosquitto refused a subscription: {granted}")

    async def publish(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 1 and wait for the acknowledgement, however long it takes; tell whether anybody subscribed.

        Raises:
            LinkError: lost before the acknowledgement, or too many publishes without one.
        """
        if self._client is None or self.lost.is_set():
            raise LinkError("the connection is closed")
        try:
            self._client.publish(topic, payload, qos=1)
        except OverflowError as error:
            raise LinkError("too many publishes without an acknowledgement") from error
        return await self._unacknowledged.latest

    def abort(self) -> None:
        """Close the socket now; what is not acknowledged comes again over another link."""
        if self._client is not None and self._client.transport is not None:
            self._client.transport.abort()
        self._end()

    async def close(self) -> None:
        """Disconnect in order if the connection still stands; release everything.

        Waits until mosquitto has closed its side: only then has it seen the last acknowledgements, and may be stopped.
        """
        if self._client is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                if not self.lost.is_set() and self._client.say_goodbye():
                    await self.lost.wait()
                if self._client.transport is not None:
                    await self._client.disconnect()
        except TimeoutError:
            self.abort()
        self._end()

    def _end(self) -> None:
        self.lost.set()
        error = LinkError("the connection was lost")
        self._unacknowledged.fail(error)
        if self._suback is not None and not self._suback.done():
            self._suback.set_exception(error)

    # --- what gmqtt calls ---

    def _connected(self, _client: object, flags: int, _code: int, _properties: object) -> None:
        self.session_present = bool(flags & 1)

    def _disconnected(self, _client: object, _packet: object, _error: object = None) -> None:
        self._end()

    def _subscribed(self, _client: object, _mid: int, granted: tuple[int, ...], _properties: object) -> None:
        if self._suback is not None and not self._suback.done():
            self._suback.set_result(granted)

    async def _received(self, _client: object, topic: str, payload: bytes, qos: int, _properties: object) -> int:
        """Handle one message; gmqtt acknowledges when this returns, over the client that received it."""
        done = False
        self._pending.enter()
        try:
            await self._on_message(topic, payload)
            done = True
        except asyncio.CancelledError:
            # Root of the task. Raising here would only make gmqtt's callback complain; no acknowledgement leaves,
            # because the socket is closed before this returns.
            self.abort()
        except Exception:  # root of the task: the handler is the app's
            log.exception("broker.message.failed", topic=topic, size=len(payload), qos=qos)
        finally:
            self._pending.leave()
        if not done and qos:
            self._reconnect_soon()
            await self.lost.wait()
        return 0

    def _reconnect_soon(self) -> None:
        if not self._failed:
            self._failed = True
            pause = _FAILED_PAUSE * random.uniform(0.5, 1.5)  # noqa: S311 - spreads retries, keeps no secret
            asyncio.get_running_loop().call_later(pause, self.abort)


class _Unacknowledged:
    """Stands in for gmqtt's storage of unacknowledged publishes: it tells each publisher, and resends nothing."""

    is_empty = True

    def __init__(self) -> None:
        self.latest: asyncio.Future[bool]
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._unheard: int | None = None

    def push_message(self, mid: int, _packet: bytes) -> None:
        self.latest = self._waiting[mid] = asyncio.get_running_loop().create_future()

    def note_unheard(self, mid: int) -> None:
        """Note that nobody is subscribed to the topic of the message that is acknowledged next."""
        self._unheard = mid

    def remove_message_by_mid(self, mid: int) -> None:
        future = self._waiting.pop(mid, None)
        if future is not None and not future.done():
            future.set_result(mid != self._unheard)
        self._unheard = None

    def fail(self, error: LinkError) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()

    async def wait_empty(self) -> None:
        """Nothing is ever resent, so there is nothing to wait for."""

    def clear(self) -> None:
        """A new client has nothing to clear."""

    def get_all(self) -> list[tuple[int, bytes]]:
        return []


class _Client(gmqtt.Client):
    """A gmqtt client over a UNIX socket that is connected once."""

    def __init__(self, socket_path: Path, pending: Pending, storage: _Unacknowledged) -> None:
        super().__init__(
            _CLIENT_ID,
            clean_session=False,
            optimistic_acknowledgement=False,
            persistent_storage=storage,
            logger=_quiet,
            session_expiry_interval=_NEVER,
        )
        self.transport: asyncio.Transport | None = None
        self._reader: _Protocol | None = None
        self._socket_path = socket_path
        self._pending = pending
        self._storage = storage
        handler: Any = self._package_handler  # gmqtt has no public way to the reason code of a PUBACK
        self._take_puback = handler._handle_puback_packet  # noqa: SLF001
        handler._handle_puback_packet = self._puback  # noqa: SLF001

    def _puback(self, command: int, body: bytes) -> None:
        """Look at the reason code, which gmqtt does not tell, then let gmqtt handle the packet."""
        if len(body) > 2 and body[2] == _NO_SUBSCRIBER:  # noqa: PLR2004 - the identifier comes first
            self._storage.note_unheard(int.from_bytes(body[:2], "big"))
        self._take_puback(command, body)

    def say_goodbye(self) -> bool:
        """Send DISCONNECT and read on only to see the end; False if there is no connection."""
        if self.transport is None or self._reader is None or self._connection is None or self.transport.is_closing():
            return False
        self._connection.send_disconnect()
        self._reader.discard()
        self.transport.resume_reading()
        return True

    async def reconnect(self, delay: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of gmqtt
        """Do nothing: the session makes a new link."""

    # The one method that opens; host, port and ssl mean nothing to a UNIX socket.
    async def _create_connection(self, host: Any, port: Any, ssl: Any, clean_session: Any, keepalive: Any) -> Any:  # noqa: ARG002 - gmqtt's signature
        handler = self._package_handler
        factory = partial(
            _Protocol, self._pending, connection_state=self._connection_state, id_generator=handler.id_generator
        )
        self.transport, self._reader = await open_upstream(self._socket_path, factory, time_limit=_ANSWER_TIMEOUT)
        return MQTTConnection(
            self.transport, self._reader, clean_session, keepalive, package_handler=handler, logger=self._logger
        )


class _Protocol(MQTTProtocol):
    """gmqtt's reader, which reads on only while there is room for more messages."""

    def __init__(self, pending: Pending, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pending = pending
        self._discarding = False

    def discard(self) -> None:
        """Drop whatever still comes; nothing of it is acknowledged."""
        self._discarding = True

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        if not self._discarding:
            super().data_received(data)

    def eof_received(self) -> bool:
        """Close when mosquitto has closed, also while nothing is read for want of room."""
        super().eof_received()
        return False

    async def read(self, n: int = -1) -> bytes:
        """Read when there is room; waiting for room is no sign of a dead peer."""
        await self._pending.wait_open()
        connection: Any = self._connection  # None at the first read
        if connection is not None:
            connection._last_data_in = time.monotonic()  # noqa: SLF001 - gmqtt has no public way
        return cast("bytes", await super().read(n))
