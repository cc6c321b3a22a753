"""Every message for the platform, from the broker to the database. See `Ingest`."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.telemetry import TelemetryStore

__all__ = ["Ingest", "IngestConfig", "StateHandler"]

StateHandler = Callable[[UUID, str | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """Limits of the ingest; times in seconds, sizes in bytes."""

    domain: str
    max_payload: int = 262_144
    flush_interval: float = 0.25
    flush_size: int = 1000
    sync_interval: float = 60.0
    log_expiration: int = 86_400


class Ingest:
    """Takes messages, returns when they are stored."""

    def __init__(
        self,
        database: Database,
        store: TelemetryStore,
        config: IngestConfig,
        *,
        clock: Callable[[], datetime],
        on_state: StateHandler,
    ) -> None:
        self._database, self._store, self._config = database, store, config
        self._clock, self._on_state = clock, on_state

    async def start(self) -> None:
        """Load the pipes of all active nodes and begin to write."""

    async def stop(self) -> None:
        """Write what was taken and let every waiting `on_message` return."""

    async def refresh(self, node_uuids: Iterable[UUID]) -> None:
        """Read the pipes of these nodes anew; call it after a configuration was changed or a node removed."""

    async def on_message(self, topic: str, payload: bytes) -> None:
        """Judge one message; return when it is committed or needs no row, raise when it must be delivered again."""
