"""The managed broker: a mosquitto of our own, its front door, and the gateway's session, behind the port's verbs.

Source: design.md "The broker on one machine".
"""

import resource
from collections.abc import Mapping
from uuid import UUID

import structlog

from pepeunit_gateway.access.grants import Grants
from pepeunit_gateway.broker.config import ManagedBrokerConfig
from pepeunit_gateway.broker.door import FrontDoor
from pepeunit_gateway.broker.mosquitto import Mosquitto
from pepeunit_gateway.broker.port import Authenticator, MessageHandler
from pepeunit_gateway.broker.session import GatewaySession
from pepeunit_gateway.errors import StartError

__all__ = ["ManagedBroker", "ManagedBrokerConfig", "file_limit"]

log = structlog.get_logger(__name__)

_SESSION_TIMEOUT = 10.0
_DRAIN_TIMEOUT = 1.5  # seconds for handlers under way at a stop; the rest comes again at the next start
_FILES_PER_DEVICE = 2
_OTHER_FILES = 1024
_FEW_DEVICES = 1000  # fewer are worth a warning; ordinary machines have room for more


class ManagedBroker:
    """The adapter of `BrokerPort` for one machine. Starts once."""

    def __init__(self, config: ManagedBrokerConfig, authenticate: Authenticator, on_message: MessageHandler) -> None:
        self._config = config
        self._mosquitto = Mosquitto(config.directory, config.executable)
        self._session = GatewaySession(
            socket_path=self._mosquitto.socket_path,
            password=self._mosquitto.password,
            subscriptions=config.subscriptions,
            keepalive=config.keepalive,
            max_pending=config.max_pending,
            on_message=on_message,
        )
        self._heard_pid: int | None = None  # the mosquitto that knows our subscriptions
        self._door = FrontDoor(config, authenticate, self._mosquitto.socket_path, until_heard=self._until_heard)

    @property
    def port(self) -> int:
        """The public port of the front door, known after `start`."""
        return self._door.port

    @property
    def broker_pid(self) -> int | None:
        """The pid of mosquitto, for measuring; None while it is not running."""
        return self._mosquitto.pid

    @property
    def connected(self) -> bool:
        """Whether messages flow at this moment; False while mosquitto is being restarted."""
        return self._session.connected

    @property
    def sessions(self) -> int:
        """Connections of units and other clients at this moment."""
        return self._door.connections

    async def start(self) -> None:
        """Take the port, start mosquitto, connect the gateway's session, open the door.

        Raises:
            StartError: see `BrokerPort.start`; everything that was started has been stopped again.
        """
        try:
            await self._door.bind()
            _raise_file_limit(self._config.max_clients)
            await self._mosquitto.start()
            try:
                await self._session.start(time_limit=_SESSION_TIMEOUT)
            except TimeoutError:
                raise StartError("mosquitto runs but gave the gateway no session; see the log lines before") from None
            self._heard_pid = self._mosquitto.pid
            await self._door.serve()
        except BaseException:
            await self.stop()
            raise
        log.info("broker.started", port=self.port, broker_pid=self.broker_pid)

    async def stop(self) -> None:
        """Close the door, finish what is being handled, stop mosquitto; safe to call twice."""
        try:
            await self._door.stop()
            await self._session.stop(time_limit=_DRAIN_TIMEOUT)
        finally:
            await self._mosquitto.stop()

    async def grant(self, unit_uuid: UUID, grants: Grants) -> None:
        """See `BrokerPort.grant`."""
        self._door.grant(unit_uuid, grants)

    async def revoke(self, unit_uuid: UUID) -> None:
        """See `BrokerPort.revoke`. The authenticator refuses the unit from now on; the door ends what is there."""
        self._door.end_unit(unit_uuid, "revoked")

    async def connected_units(self) -> Mapping[UUID, int]:
        """See `BrokerPort.connected_units`."""
        return self._door.look_again()

    def has(self, unit_uuid: UUID) -> bool:
        """Tell whether a unit is connected."""
        return self._door.has(unit_uuid)

    def hears(self, unit_uuid: UUID, topic: str) -> bool:
        """Tell whether a unit is connected and subscribed to a topic."""
        return self._door.hears(unit_uuid, topic)

    async def kick(self, unit_uuid: UUID) -> None:
        """See `BrokerPort.kick`."""
        self._door.end_unit(unit_uuid, "kicked")

    async def publish(self, topic: str, payload: bytes, *, timeout: float) -> bool:  # noqa: ASYNC109 - the port's signature
        """See `BrokerPort.publish`."""
        return await self._session.publish(topic, payload, time_limit=timeout)

    async def _until_heard(self) -> None:
        """Wait until the mosquitto that runs knows our subscriptions; it keeps them while our session is away."""
        while self._heard_pid != (pid := self._mosquitto.pid):
            await self._session.until_connected()
            self._heard_pid = pid


def file_limit(hard: int, max_clients: int) -> tuple[int, int]:
    """Return how many files to ask for and how many devices fit into them, two files each.

    Args:
        hard: the most that may be asked for, RLIM_INFINITY for any number.
        max_clients: the devices to make room for.
    """
    wanted = max_clients * _FILES_PER_DEVICE + _OTHER_FILES
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return wanted, max_clients
    return hard, max(0, hard - _OTHER_FILES) // _FILES_PER_DEVICE


def _raise_file_limit(max_clients: int) -> None:
    """Raise the soft limit of open files to what `max_clients` devices need, as far as the machine lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit, devices = file_limit(hard, max_clients)
    if devices < max_clients:
        tell = log.debug
        if devices < max_clients // 2:
            tell = log.warning if devices < _FEW_DEVICES else log.info
        tell("broker.files.limited", limit=limit, devices=devices, note="raise it with ulimit -n or LimitNOFILE=")
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
