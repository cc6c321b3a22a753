"""mosquitto's side of one device at the door: its CONNACK is edited, everything after it passes untouched."""

import asyncio
from typing import TYPE_CHECKING, cast

import structlog

from pepeunit_gateway.broker.connack import Terms, connack_with_terms, cut_connack
from pepeunit_gateway.broker.packets import MalformedPacketError

if TYPE_CHECKING:
    from pepeunit_gateway.broker.device import DeviceSession

__all__ = ["DeviceUpstream"]

log = structlog.get_logger(__name__)


class DeviceUpstream(asyncio.Protocol):
    """The connection to mosquitto of one device; edits the CONNACK and passes everything after it."""

    transport: asyncio.Transport

    def __init__(self, session: "DeviceSession", level: int, terms: Terms) -> None:
        self.accepted = False
        self.full = False
        self._session = session
        self._level = level
        self._terms = terms
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.accepted:
            self._session.from_broker(data)
            return
        self._received += data
        try:
            cut = cut_connack(self._received)
            if cut is None:
                return
            body, rest = cut
            connack = connack_with_terms(body, self._level, self._terms)
        except MalformedPacketError:
            log.warning("broker.upstream.bad_connack")
            self.transport.abort()
            return
        self._received = b""
        self.accepted = True
        self._session.accepted()
        self._session.from_broker(connack + rest)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature of asyncio
        self._session.broker_lost()

    def pause_writing(self) -> None:
        self.full = True
        self._session.broker_full(full=True)

    def resume_writing(self) -> None:
        self.full = False
        self._session.broker_full(full=False)
