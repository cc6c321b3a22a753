"""The front door: the public MQTT port, who is behind it, and what each may do at this moment.

Source: design.md "The broker on one machine", decisions.md 10, 21.
"""

import asyncio
import errno
import secrets
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import structlog

from pepeunit_gateway.access.grants import Grants
from pepeunit_gateway.broker.config import ManagedBrokerConfig
from pepeunit_gateway.broker.connack import DisconnectCode
from pepeunit_gateway.broker.device import DeviceSession
from pepeunit_gateway.broker.port import Authenticator, ConnectRefused, Identity, RefuseReason
from pepeunit_gateway.broker.upstream import BrokerAwayError
from pepeunit_gateway.broker.walker import Rights, WalkerLimits
from pepeunit_gateway.errors import StartError

__all__ = ["FrontDoor"]

log = structlog.get_logger(__name__)

_BACKLOG = 1024
_WAITING_ROOM = 1024  # connections over max_clients that may still hear "unavailable"
_MAX_IDENTIFY = 3  # tries, when a unit's rights change while they are being loaded
_STOP_TIMEOUT = 0.5
_KEEPALIVE_IDLE = 120  # seconds of silence before the kernel asks whether a device is still there


class FrontDoor:
    """Accepts devices, checks each CONNECT and keeps the live sessions by unit."""

    def __init__(
        self,
        config: ManagedBrokerConfig,
        authenticate: Authenticator,
        socket_path: Path,
        *,
        until_heard: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._until_heard = until_heard
        self.socket_path = socket_path
        self.connect_timeout = config.connect_timeout
        self.stall_timeout = config.stall_timeout
        self.max_client_id_len = config.max_client_id_len
        self.limits = WalkerLimits(config.max_packet_size, config.max_qos)
        self._config = config
        self._authenticate = authenticate
        self._port = config.listen_port
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._connections: set[DeviceSession] = set()
        self._empty = asyncio.Event()
        self._units: defaultdict[UUID, set[DeviceSession]] = defaultdict(set)
        # Changes of rights since the oldest CONNECT under way: what was loaded before one of them is stale.
        self._clock = 0
        self._changed: dict[UUID, int] = {}
        self._all_changed = 0
        self._identifying = 0

    # --- the server ---

    @property
    def port(self) -> int:
        """The port that devices connect to; a free one is known after `bind`."""
        return self._port

    @property
    def connections(self) -> int:
        """Clients that are connected at this moment."""
        return len(self._connections)

    async def until_heard(self) -> None:
        """Wait until mosquitto knows the gateway's subscriptions: a new one forgets what comes before that.

        Raises:
            BrokerAwayError: not within `connect_timeout`.
        """
        if self._until_heard is None:
            return
        try:
            async with asyncio.timeout(self.connect_timeout):
                await self._until_heard()
        except TimeoutError:
            raise BrokerAwayError from None

    async def bind(self) -> None:
        """Take the port, so that a start fails before anything else was started.

        Raises:
            StartError: occupied, not allowed, or no address of this machine.
        """
        host, port = self._config.listen_host, self._config.listen_port
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, kind, protocol, _, address in dict.fromkeys(found):
                sock = socket.socket(family, kind, protocol)
                self._sockets.append(sock)
                sock.settimeout(0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((address[0], self._port, *address[2:]))
                self._port = int(sock.getsockname()[1])
                sock.listen(_BACKLOG)
        except OSError as error:
            self._close_sockets()
            raise StartError(_bind_message(host, port, error)) from error

    async def serve(self) -> None:
        """Accept devices from now on."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            self._servers.append(await loop.create_server(lambda: DeviceSession(self), sock=sock, backlog=_BACKLOG))

    async def stop(self) -> None:
        """Close the port and end every session; returns when all connections are closed."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._close_sockets()
        for abort in (False, True):
            for session in tuple(self._connections):
                session.end("shutting_down", code=DisconnectCode.SERVER_SHUTTING_DOWN, abort=abort)
                if abort:
                    session.drop()
            if not self._connections:
                break
            self._empty.clear()
            try:
                async with asyncio.timeout(_STOP_TIMEOUT):
                    await self._empty.wait()
            except TimeoutError:
                log.info("broker.door.slow_clients", count=len(self._connections))

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    # --- what sessions ask of the door ---

    def admit(self, session: DeviceSession) -> bool:
        """Count a new connection in; False if there are so many that it gets no answer."""
        self._connections.add(session)
        return len(self._connections) <= self._config.max_clients + _WAITING_ROOM

    def new_client_id(self) -> str:
        """Return an id for a client that sent none."""
        return secrets.token_hex(8)

    def rights_of(self, grants: Grants) -> Rights:
        """Encode grants as the walkers compare them."""
        return Rights.of(grants, max_topic_levels=self._config.max_topic_levels)

    async def identify(self, session: DeviceSession, token: str, client_id: str) -> Identity:
        """Ask who connects, and register the session with the rights that hold at this moment.

        Raises:
            ConnectRefused: as the authenticator says; UNAVAILABLE when the door is full.
        """
        if len(self._connections) > self._config.max_clients:
            raise ConnectRefused(RefuseReason.UNAVAILABLE)
        if not token:
            raise ConnectRefused(RefuseReason.BAD_CREDENTIALS)
        self._identifying += 1
        try:
            for _ in range(_MAX_IDENTIFY):
                asked = self._clock
                identity = await self._authenticate(token, client_id)
                if max(self._changed.get(identity.unit_uuid, 0), self._all_changed) <= asked:
                    session.identified(identity)
                    self._units[identity.unit_uuid].add(session)
                    return identity
            raise ConnectRefused(RefuseReason.UNAVAILABLE)
        finally:
            self._identifying -= 1
            if not self._identifying:
                self._changed.clear()

    def forget(self, session: DeviceSession) -> None:
        """Drop an ended session from its unit."""
        if session.unit_uuid is not None and session.unit_uuid in self._units:
            self._units[session.unit_uuid].discard(session)
            if not self._units[session.unit_uuid]:
                del self._units[session.unit_uuid]

    def closed(self, session: DeviceSession) -> None:
        """Count a connection out."""
        self._connections.discard(session)
        if not self._connections:
            self._empty.set()

    # --- what the gateway asks of the door ---

    def grant(self, unit_uuid: UUID, grants: Grants) -> None:
        """Replace the set of a unit in every live session."""
        rights = self.rights_of(grants)
        for session in self._changing(unit_uuid):
            session.change_rights(rights)

    def end_unit(self, unit_uuid: UUID, reason: str) -> None:
        """Close every session of a unit at once, also one whose CONNECT is still being checked."""
        for session in self._changing(unit_uuid):
            session.end(reason, abort=True)

    def look_again(self) -> dict[UUID, int]:
        """Return the lowest generation of each unit's sessions; a CONNECT that is being checked is checked anew."""
        self._clock += 1
        self._all_changed = self._clock
        return {unit: min(session.generation for session in sessions) for unit, sessions in self._units.items()}

    def has(self, unit_uuid: UUID) -> bool:
        """Tell whether a unit has a live session."""
        return unit_uuid in self._units

    def hears(self, unit_uuid: UUID, topic: str) -> bool:
        """Tell whether a live session of a unit is subscribed to a topic."""
        wanted = topic.encode()
        return any(wanted in session.subscribed for session in self._units.get(unit_uuid, ()))

    def _changing(self, unit_uuid: UUID) -> tuple[DeviceSession, ...]:
        self._clock += 1
        if self._identifying:
            self._changed[unit_uuid] = self._clock
        return tuple(self._units.get(unit_uuid, ()))


def _bind_message(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    if isinstance(error, socket.gaierror):
        return f"PU_MQTT_LISTEN_HOST={host} is no address: {error.strerror}. Name an address of this machine."
    if error.errno == errno.EADDRINUSE:
        return (
            f"The MQTT address {where} is already in use. Stop the other program (perhaps a mosquitto service: "
            "`systemctl stop mosquitto`), or choose another port with PU_MQTT_PORT."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"PU_MQTT_LISTEN_HOST={host} is no address of this machine. Use 0.0.0.0 to listen on all of them."
    if error.errno == errno.EACCES:
        return f"No permission to listen on {where}. Choose a port above 1023 with PU_MQTT_PORT."
    return f"Cannot listen for MQTT on {where} (PU_MQTT_LISTEN_HOST, PU_MQTT_PORT): {error.strerror}."
