"""Every message for the platform, from the broker to the database. See `Ingest`."""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random, SystemRandom
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pepeunit_gateway.datapipe.batch import Batch
from pepeunit_gateway.datapipe.complaints import Complaints
from pepeunit_gateway.datapipe.confirmations import Confirmations, StateHandler
from pepeunit_gateway.datapipe.counters import IngestCounters
from pepeunit_gateway.datapipe.live import LiveNode, LivePipes
from pepeunit_gateway.datapipe.messages import BadMessageError, parse_logs, parse_state
from pepeunit_gateway.datapipe.policies import keep
from pepeunit_gateway.datapipe.stages import Drop, NodeState, evaluate
from pepeunit_gateway.datapipe.writer import BatchWriter, describe
from pepeunit_gateway.errors import PepeunitError
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.telemetry import TelemetryStore
from pepeunit_gateway.topics import BaseTopic, DestinationTopicType, at_present_domain, parse_topic

__all__ = ["Ingest", "IngestConfig", "IngestStoppedError", "StateHandler"]

_BACKLOG_BATCHES = 8
_RETRY_RELOAD = 5.0
_CANCEL_LIMIT = 1.0

log = structlog.get_logger(__name__)


class IngestStoppedError(PepeunitError):
    """The message was not stored because the gateway ends; the broker must deliver it again."""


@dataclass(frozen=True, slots=True)
class IngestConfig:
    """Limits of the ingest; times in seconds, sizes in bytes."""

    domain: str
    previous_domains: tuple[str, ...] = ()
    max_payload: int = 262_144
    flush_interval: float = 0.25
    flush_size: int = 1000
    sync_interval: float = 60.0
    log_expiration: int = 86_400
    stop_grace: float = 3.0


class Ingest:
    """Takes messages, returns when they are stored (B17, W60).

    A batch is written when `flush_size` messages (or rows) are collected, or `flush_interval` after its first one.
    While one is written the next collects; beyond eight times `flush_size` waiting messages, further ones wait for
    room before they are judged. The arrival of a message is its time, whatever it waits for.
    """

    def __init__(
        self,
        database: Database,
        store: TelemetryStore,
        config: IngestConfig,
        *,
        clock: Callable[[], datetime],
        on_state: StateHandler,
        on_home: Callable[[UUID], None] | None = None,
        random: Random | None = None,
    ) -> None:
        self.counters = IngestCounters()
        self._config, self._clock = config, clock
        self._live = LivePipes(database, config.domain)
        self._confirmations = Confirmations(on_state)
        self._on_home = on_home if config.previous_domains else None
        self._random = random or SystemRandom()
        self._writer = BatchWriter(store, self.counters, random=self._random, on_awaited=self._confirmations.add)
        self._complaints = Complaints()
        self._room = asyncio.Semaphore(_BACKLOG_BATCHES * config.flush_size)
        self._queued = 0  # messages that wait for room
        self._batch: Batch | None = None
        self._writing: Batch | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = asyncio.Event()
        self._stale = asyncio.Event()
        self._closing = asyncio.Event()
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Load the pipes of all active nodes and begin to write."""
        await self._live.reload()
        self._confirmations.start()
        self._tasks = [
            asyncio.create_task(self._flush_loop(), name="datapipe-flush"),
            asyncio.create_task(self._reload_loop(), name="datapipe-reload"),
        ]
        log.info("datapipe.started", pipes=len(self._live))

    async def stop(self) -> None:
        """Write what was taken and let every waiting `on_message` return.

        If the database stays away for `stop_grace` seconds, the waiting messages fail with IngestStoppedError and are
        delivered again after the next start.
        """
        self._closing.set()
        self._writer.hurry()
        self._due.set()
        await self._confirmations.stop()
        if self._tasks:
            flushing, reloading = self._tasks
            reloading.cancel()
            await asyncio.wait({flushing}, timeout=self._config.stop_grace)
            self._give_up()
            flushing.cancel()
            await asyncio.wait({flushing, reloading}, timeout=_CANCEL_LIMIT)
            self._tasks = []
        self._closed = True

    async def refresh(self, node_uuids: Iterable[UUID]) -> None:
        """Read the pipes of these nodes anew; call it after a configuration was changed or a node removed.

        If the database does not answer, everything is read again a little later.
        """
        try:
            await self._live.refresh(node_uuids)
        except (SQLAlchemyError, OSError) as error:
            log.warning("datapipe.refresh.failed", reason=describe(error), action="all pipes are read again soon")
            self._stale.set()

    def refresh_all(self) -> None:
        """Have every pipe read anew, now; call it where a change may have been missed."""
        self._stale.set()

    async def on_message(self, topic: str, payload: bytes) -> None:
        """Judge one message; return when it is committed or needs no row.

        Any number may wait at once. A message that is bad, filtered or for nobody returns at once.

        Raises:
            IngestStoppedError: it was not stored and must be delivered again.
        """
        if self._closing.is_set():
            raise IngestStoppedError("the gateway is stopping; deliver the message again")
        now = self._clock()
        self.counters.received += 1
        self._queued += 1
        try:
            await self._room.acquire()
        finally:
            self._queued -= 1
            if self._closing.is_set():
                self._due.set()  # the flush loop looks whether anyone is still queued
        if self._closed:
            raise IngestStoppedError("the gateway has stopped; deliver the message again")
        batch = self._batch or Batch()
        if not self._take(topic, payload, now, batch):
            self._room.release()
            return
        batch.messages += 1
        self._schedule(batch)
        await batch.written()

    def _take(self, topic: str, payload: bytes, now: datetime, batch: Batch) -> bool:
        """Put what the message says into `batch`; tell whether there was anything to store."""
        came = topic
        topic = at_present_domain(topic, self._config.domain, self._config.previous_domains)
        node = self._live.get(topic)
        if node is not None:
            return self._take_value(node, payload, now, batch)
        match parse_topic(self._config.domain, topic):
            case BaseTopic(DestinationTopicType.OUTPUT_BASE_TOPIC, unit, "state/pepeunit" | "log/pepeunit" as name):
                if self._on_home is not None and came == topic:
                    self._on_home(unit)
                return self._take_report(unit, name, payload, now, batch)
        self.counters.unknown += 1
        return False

    def _take_report(self, unit: UUID, name: str, payload: bytes, now: datetime, batch: Batch) -> bool:
        if len(payload) > self._config.max_payload:
            self._complain(unit, name, "the payload is too large")
            return False
        try:
            if name == "state/pepeunit":
                batch.add_state(parse_state(unit, payload, now))
                return True
            return self._take_logs(unit, name, payload, now, batch)
        except BadMessageError as error:
            self._complain(unit, name, error.message)
            return False

    def _take_value(self, node: LiveNode, payload: bytes, now: datetime, batch: Batch) -> bool:
        if len(payload) > self._config.max_payload:
            self._complain(node.unit_uuid, str(node.node_uuid), "the payload is too large")
            return False
        drop, value = evaluate(node.pipe, node.state, payload, now)
        if drop is None:
            keep(node.pipe, node.node_uuid, value, now, batch)
            node.state = NodeState(now, value)
            return True
        if drop is Drop.BAD_TEXT:
            self._complain(node.unit_uuid, str(node.node_uuid), "the payload is not UTF-8 or holds NUL")
        else:
            self.counters.dropped[drop.value] += 1
        return False

    def _take_logs(self, unit: UUID, name: str, payload: bytes, now: datetime, batch: Batch) -> bool:
        keep_for = timedelta(seconds=self._config.log_expiration)
        logs = parse_logs(unit, payload, now, keep_for=keep_for, random_bits=secrets.randbits)
        if logs.bad:
            self.counters.bad_log_items += logs.bad
            self._complain(unit, name, f"{logs.bad} of its items are not log lines", whole=not logs.rows)
        if logs.rows:
            batch.logs.extend(logs.rows)
            batch.seen[unit] = now
        return bool(logs.rows)

    def _complain(self, unit: UUID, where: str, reason: str, *, whole: bool = True) -> None:
        self.counters.bad += whole
        if self._complaints.due(unit, asyncio.get_running_loop().time()):
            log.warning("datapipe.message.bad", unit=str(unit), where=where, reason=reason)

    def _schedule(self, batch: Batch) -> None:
        """Make sure that `batch` will be written in time."""
        if self._batch is None:
            self._batch = batch
            self._timer = asyncio.get_running_loop().call_later(self._config.flush_interval, self._due.set)
        if self._closing.is_set() or batch.messages >= self._config.flush_size or batch.rows >= self._config.flush_size:
            self._due.set()

    async def _flush_loop(self) -> None:
        while not (self._closing.is_set() and self._batch is None and not self._queued):
            await self._due.wait()
            self._due.clear()
            batch, self._batch = self._batch, None
            if self._timer is not None:
                self._timer.cancel()
            if batch is None:
                continue
            self._writing = batch
            try:
                await self._writer.write(batch.content())
                self._finish(batch)
            except Exception:
                # the root of a task: whatever it was, these messages are not acknowledged and the next batch is tried
                log.exception("datapipe.flush.failed", messages=batch.messages)
                self._finish(batch, IngestStoppedError("the batch could not be written; deliver the message again"))
            self._writing = None

    def _finish(self, batch: Batch, failure: IngestStoppedError | None = None) -> None:
        if failure is None:
            self.counters.flushes += 1
            self.counters.stored += batch.messages
        batch.finish(failure)
        for _ in range(batch.messages):
            self._room.release()

    def _give_up(self) -> None:
        """Fail what could not be written before the end."""
        self._closed = True
        left = [batch for batch in (self._writing, self._batch) if batch is not None]
        if not left and not self._queued:
            return
        lost = sum(batch.messages for batch in left) + self._queued
        log.error(
            "datapipe.stop.unwritten", messages=lost, action="the broker delivers them again after the next start"
        )
        for batch in left:
            self._finish(batch, IngestStoppedError("the database did not answer; deliver the message again"))
        for _ in range(self._queued):
            self._room.release()

    async def _reload_loop(self) -> None:
        pause = self._config.sync_interval
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._stale.wait()
            except TimeoutError:
                pass
            self._stale.clear()
            try:
                await self._live.reload()
                pause = self._config.sync_interval
            except Exception as error:  # noqa: BLE001 - the root of a task: the pipes in memory go on working
                log.warning("datapipe.reload.failed", reason=describe(error))
                pause = _RETRY_RELOAD * self._random.uniform(0.5, 1.0)
