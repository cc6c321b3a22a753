"""One device at the front door: its CONNECT, its way to mosquitto, its end.

    device --TCP--> DeviceSession --PacketWalker--> DeviceUpstream --UNIX--> mosquitto
           <------- untouched after CONNACK -----------------

Each side that cannot take more pauses the reading of the other, so at most one transport buffer (64 KiB and one read)
is held in each direction. Source: design.md "The broker on one machine", mosquitto.md "The door".
"""

import asyncio
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

import structlog

from pepeunit_gateway.broker.connack import (
    DisconnectCode,
    Terms,
    disconnect,
    refusal,
)
from pepeunit_gateway.broker.connect import Connect, broker_client_id, cut_connect, parse_connect, upstream_connect
from pepeunit_gateway.broker.device_upstream import DeviceUpstream
from pepeunit_gateway.broker.packets import MQTT_311, MalformedPacketError
from pepeunit_gateway.broker.port import ConnectRefused, Identity, RefuseReason
from pepeunit_gateway.broker.upstream import BrokerAwayError, open_upstream
from pepeunit_gateway.broker.walker import PacketWalker, Rights, SessionEndedError

if TYPE_CHECKING:
    from uuid import UUID

    from pepeunit_gateway.broker.door import FrontDoor

__all__ = ["DeviceSession"]

log = structlog.get_logger(__name__)

_LINGER = 5.0  # seconds in which the last bytes of a closed connection may leave
_LOGGED_TOPIC = 160  # characters of a denied topic that are logged


class _State(Enum):
    CONNECT = auto()  # nothing but the CONNECT is read
    OPENING = auto()  # the CONNECT is being checked; reading is paused
    OPEN = auto()
    ENDED = auto()


class DeviceSession(asyncio.Protocol):
    """The protocol object of one connection; it ends for good when either side does."""

    def __init__(self, door: "FrontDoor") -> None:
        self.unit_uuid: UUID | None = None
        self.generation = 0
        self._door = door
        self._state = _State.CONNECT
        self._received = b""
        self._level = MQTT_311
        self._rights: Rights | None = None
        self._walker: PacketWalker | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._upstream: DeviceUpstream | None = None
        self._denied_told = False

    # --- what the door does with a session ---

    @property
    def subscribed(self) -> AbstractSet[bytes]:
        """The granted topics that the device asked mosquitto for."""
        return frozenset() if self._walker is None else self._walker.subscribed

    def change_rights(self, rights: Rights) -> None:
        """Let `rights` count from the next packet on; end the session if it listens to what is no longer granted."""
        self._rights = rights
        if self._walker is not None:
            self._walker.rights = rights
            if not self._walker.subscribed <= rights.subscribe:
                self.end("right_lost", abort=True)

    def end(self, reason: str, *, code: DisconnectCode | None = None, abort: bool = False) -> None:
        """End both sides. With `abort` nothing that is still buffered leaves."""
        if self._state is _State.ENDED:
            return
        accepted = self._upstream is not None and self._upstream.accepted
        self._state = _State.ENDED
        self._received = b""
        for timer in (self._timer, self._stalled):
            if timer is not None:
                timer.cancel()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        if self._upstream is not None:
            _close(self._upstream.transport, abort=abort)
        if code is not None and accepted and not abort:
            self._transport.write(disconnect(self._level, code))
        _close(self._transport, abort=abort)
        self._door.forget(self)
        if self.unit_uuid is not None:
            log.debug("broker.device.disconnected", unit=str(self.unit_uuid), reason=reason)

    def drop(self) -> None:
        """Close the device's connection without waiting for its last bytes."""
        self._transport.abort()

    # --- the device's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(self._door.connect_timeout, self._too_slow)
        if not self._door.admit(self):
            self.end("too_many_connections", abort=True)

    def data_received(self, data: bytes) -> None:
        if self._state is _State.OPEN:
            self._forward(data)
        elif self._state is not _State.ENDED:
            self._received += data
            if self._state is _State.CONNECT:
                self._read_connect()

    def eof_received(self) -> None:
        self.end("closed_by_device")

    def connection_lost(self, exc: Exception | None) -> None:
        self.end("connection_lost" if exc else "closed_by_device")
        self._door.closed(self)

    def pause_writing(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.pause_reading()
        if self._stalled is None:
            self._stalled = asyncio.get_running_loop().call_later(self._door.stall_timeout, self._not_reading)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if self._upstream is not None:
            self._upstream.transport.resume_reading()

    def _not_reading(self) -> None:
        log.info("broker.device.stalled", unit=str(self.unit_uuid), seconds=self._door.stall_timeout)
        self.end("not_reading", abort=True)

    def _too_slow(self) -> None:
        if self._state is _State.CONNECT:
            self.end("no_connect", abort=True)
        else:
            self._refuse(RefuseReason.UNAVAILABLE)

    def _forward(self, data: bytes) -> None:
        if self._walker is None or self._upstream is None:
            return
        try:
            self._upstream.transport.write(self._walker.feed(data))
        except SessionEndedError as ended:
            self._upstream.transport.write(ended.output)
            if ended.code is not None:
                log.info("broker.device.protocol", unit=str(self.unit_uuid), code=ended.code.name)
            self.end("disconnect" if ended.code is None else ended.code.name.lower(), code=ended.code)

    # --- CONNECT ---

    def _read_connect(self) -> None:
        try:
            cut = cut_connect(self._received)
            if cut is None:
                return
            body, self._received = cut
            connect = parse_connect(body, max_client_id_len=self._door.max_client_id_len)
        except MalformedPacketError:
            self.end("malformed_connect", abort=True)
        except ConnectRefused as refused:
            self._level = _level_of(body)
            self._refuse(refused.reason)
        else:
            self._level = connect.level
            self._state = _State.OPENING
            self._transport.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._open(connect))

    async def _open(self, connect: Connect) -> None:
        try:
            client_id = connect.client_id or self._door.new_client_id()
            identity = await self._door.identify(self, connect.token, client_id)
            await self._open_upstream(connect, client_id, identity)
        except ConnectRefused as refused:
            self._refuse(refused.reason)
        except BrokerAwayError:
            self._refuse(RefuseReason.UNAVAILABLE)
        except Exception:  # root of the task: the authenticator is the app's
            log.exception("broker.device.connect_failed")
            self._refuse(RefuseReason.UNAVAILABLE)

    async def _open_upstream(self, connect: Connect, client_id: str, identity: Identity) -> None:
        terms = Terms(
            expiry_overridden=connect.session_expiry > 0,
            assigned_client_id=None if connect.client_id else client_id,
            max_packet_size=self._door.limits.max_packet_size,
        )
        _, upstream = await open_upstream(
            self._door.socket_path,
            lambda: DeviceUpstream(self, connect.level, terms),
            time_limit=self._door.connect_timeout,
        )
        try:
            await self._door.until_heard()
        except BaseException:
            upstream.transport.abort()
            raise
        if self._state is not _State.OPENING or self._rights is None:
            upstream.transport.abort()
            return
        self._upstream = upstream
        upstream.transport.write(upstream_connect(connect, broker_client_id(identity.unit_uuid, client_id)))
        self._walker = PacketWalker(connect.level, self._rights, self._door.limits, self._tell_denied)
        self._state = _State.OPEN
        early, self._received = self._received, b""
        if early:
            self._forward(early)
        if self._state is _State.OPEN and not upstream.full:
            self._transport.resume_reading()

    def identified(self, identity: Identity) -> None:
        """Take the identity on; called by the door in the same step in which it registers the session."""
        self.unit_uuid = identity.unit_uuid
        self.generation = identity.generation
        self._rights = self._door.rights_of(identity.grants)

    def _refuse(self, reason: RefuseReason) -> None:
        if self._state is _State.ENDED:
            return
        address = self._transport.get_extra_info("peername")
        log.info("broker.device.refused", reason=reason.value, address=address[0] if address else None)
        self._transport.write(refusal(self._level, reason))
        self.end("refused")

    def _tell_denied(self, topic: bytes) -> None:
        if not self._denied_told:
            self._denied_told = True
            text = topic[:_LOGGED_TOPIC].decode(errors="replace")
            log.info("broker.device.denied", unit=str(self.unit_uuid), topic=text, note="first of this session")

    # --- mosquitto's side ---

    def from_broker(self, data: bytes) -> None:
        self._transport.write(data)

    def accepted(self) -> None:
        """Note that mosquitto's CONNACK is through: the deadline of CONNECT no longer counts."""
        if self._timer is not None:
            self._timer.cancel()
        log.debug("broker.device.connected", unit=str(self.unit_uuid))

    def broker_full(self, *, full: bool) -> None:
        if self._state is _State.OPEN:
            if full:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def broker_lost(self) -> None:
        if self._upstream is not None and not self._upstream.accepted:
            self._refuse(RefuseReason.UNAVAILABLE)
        self.end("closed_by_broker")


def _level_of(body: bytes) -> int:
    """Return the protocol level that a refused CONNECT named; its head has been checked."""
    return body[6] if body.startswith(b"\x00\x04MQTT") else MQTT_311


def _close(transport: asyncio.Transport, *, abort: bool) -> None:
    if abort:
        transport.abort()
    elif not transport.is_closing():
        transport.close()
        asyncio.get_running_loop().call_later(_LINGER, transport.abort)
