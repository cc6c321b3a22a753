"""The composition root: the only place that knows every part. Start in order, stop in reverse."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Self

import structlog
from sqlalchemy import text

from pepeunit_gateway.api.listener import bind_api, close_sockets, serve
from pepeunit_gateway.api.prometheus import Instruments
from pepeunit_gateway.api.server import create_app
from pepeunit_gateway.broker.managed import ManagedBroker
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.port import Bus
from pepeunit_gateway.bus.subscription import Source, Subscription
from pepeunit_gateway.certificates import ServerCertificate
from pepeunit_gateway.datapipe.ingest import Ingest
from pepeunit_gateway.datapipe.service import Pipes
from pepeunit_gateway.errors import MqttError
from pepeunit_gateway.instruments import make_instruments
from pepeunit_gateway.jobs.access_follower import follow_access, follow_removals, renew_grants
from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.field_pipes import tell_field_pipes
from pepeunit_gateway.jobs.figures import JobFigures
from pepeunit_gateway.jobs.outbox_sender import OutboxSender
from pepeunit_gateway.jobs.periodic import keep_running, run_periodically
from pepeunit_gateway.jobs.repository_poll import RepositoryPoll
from pepeunit_gateway.jobs.runner import follow_requests
from pepeunit_gateway.jobs.work import make_runners
from pepeunit_gateway.parts import broker_config, holder_of, ingest_config, make_context, utc_now
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.device_login import DeviceLogin
from pepeunit_gateway.registry.job_runs import JobName
from pepeunit_gateway.registry.outbox import Command
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.addresses import keep_addresses
from pepeunit_gateway.storage.data_folder import database_url, hold_folder, make_folder, prepare_folder
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.database_place import DatabasePlace, check_place, keep_place
from pepeunit_gateway.storage.key_prints import accept_keys, check_keys
from pepeunit_gateway.storage.upgrade import upgrade
from pepeunit_gateway.topics import BackendTopicCommand

__all__ = ["Gateway", "open_registry", "settle_keys"]

log = structlog.get_logger(__name__)

_PUBLISH_TIMEOUT = 5.0
_LOOK_INTERVAL = 60.0
_CERTIFICATE_INTERVAL = 10.0


async def _no_broker(topic: str, payload: bytes) -> None:
    del topic, payload
    raise MqttError("the gateway is not running")


@asynccontextmanager
async def _open_database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(database_url(settings), pool_size=settings.db_pool_size)
    try:
        await upgrade(database, settings.data_dir)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_registry(settings: Settings) -> AsyncIterator[Registry]:
    """Open the data folder for one command of the operator; works beside a running gateway.

    Raises:
        StartError: the folder or the database cannot be used, or other keys belong to it.
    """
    check_place(settings)
    settings = prepare_folder(settings)
    async with _open_database(settings) as database:
        context = make_context(settings, database)
        await check_keys(database, settings)
        keep_place(settings, first_only=True)
        await context.bus.start()
        try:
            yield Registry(context, _no_broker)
        finally:
            await context.bus.stop()
            await context.catch_ups.close()
            await context.mirrors.close()


async def settle_keys(settings: Settings, *, whatever_it_was: bool = False) -> None:
    """Note in the database that the present keys are its own.

    Args:
        settings: of the data folder.
        whatever_it_was: also where neither the present nor the previous keys are those it was written with.

    Raises:
        StartError: as `open_registry`.
    """
    check_place(settings)
    settings = prepare_folder(settings)
    async with _open_database(settings) as database:
        make_context(settings, database)  # which refuses keys that cannot be used at all
        await (accept_keys if whatever_it_was else check_keys)(database, settings)


class Gateway:
    """One running gateway: `async with Gateway(settings) as gateway`, then wait for whatever ends it."""

    def __init__(self, settings: Settings) -> None:
        self._given = settings
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.settings = settings
        self.late_units = 0
        self.previous_database: DatabasePlace | None = None
        self.registry: Registry
        self.broker: ManagedBroker

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        """Everything that starts is put on the stack at once, so that a failure halfway leaves nothing behind.

        Raises:
            StartError: with a message for a person.
        """
        self._stack.enter_context(hold_folder(make_folder(self._given)))
        settings = self.settings = prepare_folder(self._given)
        certificate = _certificate(settings)
        sockets = bind_api(settings.http_host, settings.http_port)
        self._stack.callback(close_sockets, sockets)
        database = Database(database_url(settings), pool_size=settings.db_pool_size)
        self._stack.push_async_callback(database.close)
        await upgrade(database, settings.data_dir)
        context = make_context(settings, database)
        await check_keys(database, settings, domain=settings.domain)
        self._stack.push_async_callback(context.mirrors.close)
        self._stack.push_async_callback(context.catch_ups.close)
        feeds = _Feeds(context.bus)
        await context.bus.start()
        self._stack.push_async_callback(context.bus.stop)
        self.registry = Registry(context, self._publish)
        late = await self.registry.moves.load()
        self.late_units = len(late)
        previous = tuple(sorted({unit.told_domain for unit in late}))
        ingest = Ingest(
            database,
            context.telemetry,
            ingest_config(settings, previous),
            clock=context.clock,
            on_state=self.registry.verdicts.judge,
            on_home=self.registry.moves.reported,
        )
        await ingest.start()
        self._stack.push_async_callback(ingest.stop)
        login = DeviceLogin(context, self.registry.agents)
        self.broker = ManagedBroker(broker_config(settings, previous), login, ingest.on_message)
        await self.broker.start()
        self._stack.push_async_callback(self.broker.stop)
        duty, figures = Duty(context, holder_of(settings)), JobFigures(JobName)
        instruments = make_instruments(context, self.broker, ingest.counters, duty, figures)
        await self._serve(context, instruments, sockets, None if certificate is None else certificate.context)
        self._stack.push_async_callback(context.archives.close)
        keep_addresses(self._given, settings)
        self.previous_database = keep_place(settings)
        await self._start_jobs(context, ingest, feeds, duty, figures)
        if certificate is not None:
            self._repeat("certificate", _CERTIFICATE_INTERVAL, partial(_renew, certificate, context))

    async def _start_jobs(
        self, context: Context, ingest: Ingest, feeds: "_Feeds", duty: Duty, figures: JobFigures
    ) -> None:
        alone = not context.bus.shared
        self._stack.push_async_callback(duty.stop)
        await duty.keep()
        poll_interval = self.settings.repo_poll_interval
        poll = RepositoryPoll(self.registry, poll_interval, duty=None if alone else duty)
        self._stack.push_async_callback(poll.stop)
        self._stack.push_async_callback(self._stop_tasks)
        sender = OutboxSender(
            self.registry.outbox,
            partial(self._deliver, context),
            feeds.queued,
            hears=self.broker.hears,
            is_up=lambda: self.broker.connected,
            duty=None if alone else duty,
        )
        self._spawn("duty", duty.run)
        self._spawn("access", partial(follow_access, context, self.broker, feeds.access))
        self._spawn("removals", partial(follow_removals, context, self.broker, feeds.removed))
        self._spawn("pipes", partial(_follow_nodes, ingest, feeds.nodes))
        self._spawn("outbox", sender.run)
        self._spawn("moves", self.registry.moves.run)
        self._spawn("fetches", poll.keep_time)
        self._spawn("pushes", partial(poll.follow_pushes, self.registry.webhooks.pushes))
        self._spawn("news", partial(poll.listen, feeds.repositories))
        self._spawn("own-news", partial(poll.follow_own, feeds.own_repositories))
        if feeds.own_nodes is not None:
            self._spawn("field-pipes", partial(tell_field_pipes, context, feeds.own_nodes))
        runners = make_runners(context, poll, duty, figures)
        self._spawn("requests", partial(follow_requests, feeds.jobs, runners))
        for runner in runners:
            self._spawn(runner.plan.name.value, runner.run)
        # what a gateway that died between a commit and its publication, or the command line, never said
        self._repeat("look", _LOOK_INTERVAL, partial(_look_again, feeds.access, feeds.removed))

    async def _serve(
        self, context: Context, instruments: Instruments, sockets: list[socket.socket], tls: ssl.SSLContext | None
    ) -> None:
        pipes = Pipes(self.registry, context.telemetry)
        app = create_app(self.settings, self.registry, pipes, partial(_ready, context, self.broker), instruments)
        runner = await serve(app, sockets, tls)
        self._stack.push_async_callback(runner.cleanup)

    async def _publish(self, topic: str, payload: bytes) -> None:
        await self.broker.publish(topic, payload, timeout=_PUBLISH_TIMEOUT)

    async def _deliver(self, context: Context, command: Command) -> bool:
        """Publish a command and tell whether its unit was subscribed.

        One that makes a unit subscribe anew comes after the rights it will need.
        """
        if command.command is BackendTopicCommand.SCHEMA_UPDATE:
            await renew_grants(context, self.broker, command.unit_uuid)
        return await self.broker.publish(command.topic, command.payload, timeout=_PUBLISH_TIMEOUT)

    def _spawn(self, name: str, act: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(keep_running(name, act), name=name))

    def _repeat(self, name: str, interval: float, act: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.create_task(run_periodically(name, interval, act), name=name))

    async def _stop_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _ready(context: Context, broker: ManagedBroker) -> dict[str, str]:
    """Raise if the database does not answer or the broker is away; without Redis a gateway goes on alone."""
    if not broker.connected:
        raise MqttError("the broker is being restarted")
    async with context.database.read() as connection:
        await connection.execute(text("SELECT 1"))
    if not context.settings.redis_url.get_secret_value():
        return {}
    return {"redis": "connected" if context.bus.connected else "away"}


async def _follow_nodes(ingest: Ingest, changed: Subscription) -> None:
    async for news in changed:
        if news.everything:
            ingest.refresh_all()
        else:
            await ingest.refresh(news.uuids)


def _certificate(settings: Settings) -> ServerCertificate | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return ServerCertificate(settings.tls_cert, settings.tls_key, utc_now())


async def _renew(certificate: ServerCertificate, context: Context) -> None:
    await asyncio.to_thread(certificate.renew, context.clock())


async def _look_again(*subscriptions: Subscription) -> None:
    for subscription in subscriptions:
        subscription.miss()


class _Feeds:
    """The changes that the jobs follow; subscribed before anything can change, so that none is missed."""

    def __init__(self, bus: Bus) -> None:
        self.access = bus.subscribe(Change.ACCESS)
        self.removed = bus.subscribe(Change.UNIT_REMOVED)
        self.nodes = bus.subscribe(Change.NODE)
        self.queued = bus.subscribe(Change.OUTBOX)
        self.repositories = bus.subscribe(Change.REPOSITORY, source=Source.OTHERS)
        self.own_repositories = bus.subscribe(Change.REPOSITORY, source=Source.OWN)
        self.jobs = bus.subscribe(Change.JOB)
        self.own_nodes = bus.subscribe(Change.NODE, source=Source.OWN) if bus.shared else None
