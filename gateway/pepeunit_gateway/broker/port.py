"""What the rest of the gateway knows of a broker: five verbs, one handler, one authenticator.

Source: design.md "The broker on one machine", decisions.md 1, 8, 10.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from pepeunit_gateway.access.grants import Grants

__all__ = ["Authenticator", "BrokerPort", "ConnectRefused", "Identity", "MessageHandler", "RefuseReason"]


class RefuseReason(StrEnum):
    """Why a CONNECT is refused; `broker/connack.py` maps each to the codes of MQTT 3.1.1 and 5."""

    PROTOCOL = "protocol"
    CLIENT_ID = "client_id"
    UNAVAILABLE = "unavailable"
    BAD_CREDENTIALS = "bad_credentials"
    NOT_AUTHORIZED = "not_authorized"
    WILL = "will"
    AUTH_METHOD = "auth_method"


class ConnectRefused(Exception):  # noqa: N818 - a verdict about a client, not an error of the gateway
    """A CONNECT is refused. Carries the reason only: nothing of a token may reach a log."""

    def __init__(self, reason: RefuseReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Identity:
    """Who connected, what it may publish and receive at this moment, and the generation of its token."""

    unit_uuid: UUID
    grants: Grants
    generation: int = 0


Authenticator = Callable[[str, str], Awaitable[Identity]]
"""`await authenticate(token, client_id)`: verify the token, apply the rule for client ids, load the grants.

`client_id` is what the client sent, or the id that the door assigned if it sent none (rule: decisions.md 10).

Raises:
    ConnectRefused: with the reason that the client is told.
"""

MessageHandler = Callable[[str, bytes], Awaitable[None]]
"""`await on_message(topic, payload)`: returns after the commit; the broker is acknowledged after that.

Many calls may wait at the same time, so that a batch can form. If one raises, its message is not acknowledged and
comes again after a reconnect with back-off: raise for what may heal (a database away), never for a bad payload.
A message of QoS 0 comes once.
"""


class BrokerPort(Protocol):
    """A broker as the gateway uses it. Two adapters: managed mosquitto, EMQX."""

    async def start(self) -> None:
        """Be ready for devices and for `publish` when this returns.

        Raises:
            StartError: with a message for a person.
        """

    async def stop(self) -> None:
        """End every session and everything that was started; safe to call twice."""

    async def grant(self, unit_uuid: UUID, grants: Grants) -> None:
        """Replace the whole set of a unit, effective with its next packet.

        A live session that is subscribed to a topic which is no longer in the set ends.
        """

    async def revoke(self, unit_uuid: UUID) -> None:
        """Take every right from a unit that is deleted, blocked or has lost its token, and end its sessions."""

    async def connected_units(self) -> Mapping[UUID, int]:
        """Return the connected units, each with the lowest generation among the tokens of its sessions.

        For one who may have missed changes and looks at everyone again: a unit whose CONNECT is being checked at this
        moment is not in it, and is checked anew.
        """

    async def kick(self, unit_uuid: UUID) -> None:
        """Close every session of a unit at once; it may connect again."""

    async def publish(self, topic: str, payload: bytes, *, timeout: float) -> bool:  # noqa: ASYNC109 - a limit per call is the contract
        """Publish with QoS 1, return when the broker has acknowledged, and tell whether anybody was subscribed.

        Raises:
            MqttError: not connected, or no acknowledgement within `timeout` seconds. The message may have arrived.
        """
