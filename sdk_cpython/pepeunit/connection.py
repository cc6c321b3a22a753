"""One MQTT connection, from CONNECT to its end, driven by the event loop. Source: protocol/device.md 2.1 and 4.

paho does the protocol. Its socket is watched by the loop, so nothing polls and no thread runs; only opening the socket
(name lookup, TCP, TLS) happens in a thread. A connection is used once; the session makes a new one.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from .env import Env, token_uuid
from .errors import SessionError
from .tls import tls_context
from .worker import Workers

__all__ = ["Connection", "Endpoint"]

_MISC_INTERVAL = 1.0
_TOPICS_PER_PACKET = 50
_IN_FLIGHT = 20
_QUEUED = 64
_DENIED = 0x80
_MIN_KEEPALIVE = 5
_MAX_KEEPALIVE = 65535
# What paho calls the ends of a connection, and what they mean here.
_ENDS = {
    "Unspecified error": "the broker closed the connection",
    "Keep alive timeout": "the broker stopped answering",
    "Protocol error": "the broker sent what is no MQTT",
}


@dataclass(frozen=True)
class Endpoint:
    """Where and as whom to connect."""

    host: str
    port: int
    keepalive: int
    unit_uuid: str
    token: str = field(repr=False)
    tls: bool = False
    ca_cert: str = field(default="", repr=False)

    @classmethod
    def of(cls, env: Env) -> "Endpoint":
        token = env.text("PU_AUTH_TOKEN")
        return cls(
            host=env.text("PU_MQTT_HOST"),
            port=env.number("PU_MQTT_PORT", 1883),
            keepalive=min(max(env.number("PU_MQTT_KEEPALIVE", 60), _MIN_KEEPALIVE), _MAX_KEEPALIVE),
            unit_uuid=token_uuid(token),
            token=token,
            tls=env.flag("PU_MQTT_TLS"),
            ca_cert=env.text("PU_CA_CERT"),
        )


class Connection:
    """`open`, then `subscribe`, `unsubscribe` and `publish`; `lost` is done when the connection has ended."""

    def __init__(
        self,
        endpoint: Endpoint,
        workers: Workers,
        on_message: Callable[[str, bytes], None],
        *,
        timeout: float = 15.0,
    ) -> None:
        self._endpoint = endpoint
        self._workers = workers
        self._on_message = on_message
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._welcome: asyncio.Future[None] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[list[int]]] = {}
        self._acknowledged: dict[int, asyncio.Future[None]] = {}
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self._abandoned = False
        self._ticker: asyncio.TimerHandle | None = None
        self._client = self._make_client()

    async def open(self) -> None:
        """Connect and wait for the broker's CONNACK. Raises SessionError."""
        endpoint = self._endpoint
        if endpoint.tls:
            self._client.tls_set_context(tls_context(endpoint.ca_cert))
        try:
            await self._workers.run(self._dial, time_limit=self._timeout, abort=self._abandon)
            async with asyncio.timeout(self._timeout):
                await self._welcome
        except TimeoutError:
            self.abort("no answer in time")
            raise SessionError(f"the broker at {endpoint.host}:{endpoint.port} does not answer") from None
        except (OSError, ValueError) as error:
            self.abort("not reachable")
            raise SessionError(f"the broker at {endpoint.host}:{endpoint.port} is not reachable: {error}") from None
        except BaseException:
            self.abort("given up")
            raise

    async def subscribe(self, topics: Collection[str]) -> set[str]:
        """Subscribe with QoS 1; the topics that the broker denied. Raises SessionError if it does not answer."""
        denied: set[str] = set()
        for chunk in _chunks(sorted(topics)):
            code, mid = self._client.subscribe([(topic, 1) for topic in chunk])
            granted = await self._answer(code, mid)
            denied |= {topic for topic, value in zip(chunk, granted, strict=False) if value >= _DENIED}
        return denied

    async def unsubscribe(self, topics: Collection[str]) -> None:
        """Unsubscribe. Raises SessionError if the broker does not answer."""
        for chunk in _chunks(sorted(topics)):
            code, mid = self._client.unsubscribe(chunk)
            await self._answer(code, mid)

    async def publish(self, topic: str, payload: bytes) -> bool:
        """Publish with QoS 1; True when the broker has acknowledged, False if that is not certain."""
        async with self._slots:
            if self.lost.done():
                return False
            info = self._client.publish(topic, payload, qos=1)
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return False
            done = self._acknowledged.setdefault(info.mid, self._loop.create_future())
            try:
                async with asyncio.timeout(self._timeout):
                    await done
            except TimeoutError:
                self.abort("a message was not acknowledged in time")
                return False
            except SessionError:
                return False
            finally:
                self._acknowledged.pop(info.mid, None)
            return True

    async def close(self) -> None:
        """Say goodbye and end."""
        if not self.lost.done():
            self._client.disconnect()
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.shield(self.lost)
        self.abort("closed")

    def abort(self, reason: str) -> None:
        """End now, without a goodbye."""
        self._abandon()
        self._end(reason)
        sock = self._client.socket()
        if sock is not None:
            self._unwatch(sock)
            with suppress(OSError):
                sock.close()

    def _make_client(self) -> mqtt.Client:
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._endpoint.unit_uuid,
            protocol=mqtt.MQTTv311,
            clean_session=True,
            reconnect_on_failure=False,
        )
        client.username_pw_set(self._endpoint.token, "")
        client.connect_timeout = self._timeout
        client.max_inflight_messages_set(_IN_FLIGHT)
        client.max_queued_messages_set(_QUEUED)
        client.on_socket_open = lambda _client, _data, sock: self._call(self._watch, sock)
        client.on_socket_close = lambda _client, _data, sock: self._call(self._unwatch, sock)
        client.on_socket_register_write = lambda _client, _data, sock: self._call(self._watch_write, sock)
        client.on_socket_unregister_write = lambda _client, _data, sock: self._call(self._unwatch_write, sock)
        client.on_connect = self._connected
        client.on_disconnect = lambda _client, _data, _flags, code, _more: self._call(self._end, _end_of(str(code)))
        client.on_subscribe = lambda _client, _data, mid, codes, _more: self._answered(mid, codes)
        client.on_unsubscribe = lambda _client, _data, mid, codes, _more: self._answered(mid, codes)
        client.on_publish = lambda _client, _data, mid, _code, _more: self._published(mid)
        client.on_message = self._received
        return client

    def _dial(self) -> None:
        """In a thread: open the socket and hand the CONNECT to the loop."""
        self._client.connect(self._endpoint.host, self._endpoint.port, self._endpoint.keepalive)
        if self._abandoned and (sock := self._client.socket()) is not None:
            sock.close()

    def _abandon(self) -> None:
        self._abandoned = True

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        """Run `function` in the loop: paho calls back from the dialling thread as well."""
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            function(*args)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def _watch(self, sock: Any) -> None:
        if self._abandoned or sock.fileno() < 0:
            return
        self._loop.add_reader(sock, self._readable, sock)
        self._tick()

    def _unwatch(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
        if self._ticker is not None:
            self._ticker.cancel()

    def _watch_write(self, sock: Any) -> None:
        if not self._abandoned and sock.fileno() >= 0:
            self._loop.add_writer(sock, self._client.loop_write)

    def _unwatch_write(self, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock)

    def _readable(self, sock: Any) -> None:
        self._client.loop_read()
        # TLS may hold decrypted bytes that no selector reports.
        while hasattr(sock, "pending") and sock.fileno() >= 0 and sock.pending():
            self._client.loop_read()

    def _tick(self) -> None:
        """Keep-alive: pings, and notices a broker that does not answer them."""
        if not self.lost.done():
            self._client.loop_misc()
            self._ticker = self._loop.call_later(_MISC_INTERVAL, self._tick)

    def _connected(self, _client: mqtt.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if self._welcome.done():
            return
        if code.is_failure:
            self._welcome.set_exception(SessionError(f"the broker refuses the unit: {code}"))
        else:
            self._welcome.set_result(None)

    def _received(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        with suppress(UnicodeDecodeError):  # a topic that is no text is none of ours
            self._on_message(message.topic, bytes(message.payload))

    def _answered(self, mid: int, codes: Iterable[Any]) -> None:
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result([code.value for code in codes])

    def _published(self, mid: int) -> None:
        done = self._acknowledged.get(mid)
        if done is not None and not done.done():
            done.set_result(None)

    async def _answer(self, code: MQTTErrorCode, mid: int | None) -> list[int]:
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None or self.lost.done():
            raise SessionError("the connection to the broker was lost")
        answer = self._answers.setdefault(mid, self._loop.create_future())
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        except TimeoutError:
            self.abort("a subscription was not answered in time")
            raise SessionError("the broker does not answer a subscription") from None
        finally:
            self._answers.pop(mid, None)

    def _end(self, reason: str) -> None:
        """Tell everyone who waits that nothing more will come."""
        if not self.lost.done():
            self.lost.set_result(reason)
        error = SessionError(reason)
        everyone: list[asyncio.Future[Any]] = [self._welcome, *self._answers.values(), *self._acknowledged.values()]
        for waiting in everyone:
            if not waiting.done():
                waiting.set_exception(error)
                # Whoever waits gets it; where nobody does, it is no mistake.
                waiting.exception()


def _end_of(code: str) -> str:
    return _ENDS.get(code, f"the connection to the broker ended: {code}")


def _chunks(topics: list[str]) -> Iterable[list[str]]:
    rest = iter(topics)
    while chunk := list(islice(rest, _TOPICS_PER_PACKET)):
        yield chunk
