"""PostgreSQL is killed and started again under a gateway that runs: nothing is lost, and it heals by itself."""

import asyncio
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from aiohttp import ClientSession
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from structlog.testing import capture_logs

from pepeunit_gateway.datapipe.ingest import Ingest, IngestConfig
from pepeunit_gateway.errors import StartError
from pepeunit_gateway.storage import bulk
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.outages import is_busy
from pepeunit_gateway.storage.tables import units, window_entry
from pepeunit_gateway.storage.telemetry import Awaited, TelemetryBatch, TelemetryStore
from pepeunit_gateway.storage.upgrade import upgrade
from tests.support.gateway import GatewayUnderTest
from tests.support.postgres import PostgresServer
from tests.support.telemetry import add_node, add_unit, config, rows_of

LIMIT = 60
NOT_READY = "503: 2: Service Unavailable: the database does not answer"
AWAY = f"{NOT_READY}; try again in 5 seconds"
WINDOW = config(policy={"policy_type": "TimeWindow", "time_window_size": 3600}).model_dump_json()


@pytest.fixture
def server():
    with PostgresServer(fsync=True) as server:
        yield server


@pytest.fixture
async def database(server, tmp_path):
    opened = Database(server.create_database("fleet"), busy_timeout=0.2)
    await upgrade(opened, tmp_path)
    yield opened
    await opened.close()


async def _recovered(gateway: GatewayUnderTest) -> int:
    """Ask until the answer is no 503; return how many were."""
    refused = 0
    async with asyncio.timeout(LIMIT):
        while (await gateway.nobody.get("/units")).status != 200:
            refused += 1
    return refused


async def test_a_server_that_is_killed_is_503_and_its_return_is_noticed_at_once(server, tmp_path):
    url = server.create_database("fleet").render_as_string(hide_password=False)
    async with GatewayUnderTest(tmp_path, sqlalchemy_database_url=url) as gateway:
        alice = await gateway.user("alice")
        assert [(await gateway.nobody.get("/units")).status for _ in range(3)] == [200] * 3
        for _ in range(2):
            await asyncio.to_thread(server.kill)
            replies = await asyncio.gather(
                *(gateway.nobody.get("/units") for _ in range(10)),
                alice.patch(f"/users/{alice.uuid}", {"login": "alicia"}),
            )
            assert {reply.status for reply in replies} == {503}
            assert all(reply.headers["Retry-After"] == "5" for reply in replies)
            assert {reply.detail for reply in replies} == {AWAY}
            async with ClientSession() as session, session.get(f"{gateway.origin}/readyz") as probe:
                assert (probe.status, await probe.json()) == (503, {"detail": NOT_READY})
            server.start()
            assert await _recovered(gateway) == 0
        assert (await alice.patch(f"/users/{alice.uuid}", {"login": "alicia"})).status == 200


class WatchedStore(TelemetryStore):
    """Tells of every write that failed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.failed = asyncio.Event()

    async def write_batch(self, batch: TelemetryBatch) -> list[Awaited]:
        try:
            return await super().write_batch(batch)
        except SQLAlchemyError:
            self.failed.set()
            raise


def kill_before(step: str, database: Database, server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the server once, before the first statement, the first COPY or the first commit of a batch."""
    if step != "copy":
        names = {"statement": "before_cursor_execute", "commit": "commit"}
        event.listen(database._writer.sync_engine, names[step], lambda *_: server.kill(), once=True)
        return
    real = bulk.copy_rows

    async def copy_rows(*arguments: Any) -> None:
        monkeypatch.setattr(bulk, "copy_rows", real)
        server.kill()
        await real(*arguments)

    monkeypatch.setattr(bulk, "copy_rows", copy_rows)


@pytest.mark.parametrize("step", ["statement", "copy", "commit"])
async def test_messages_wait_for_a_server_that_was_killed_and_none_is_lost_b6_w60(server, database, step, monkeypatch):
    unit = await add_unit(database)
    node = await add_node(database, unit, WINDOW)
    store = WatchedStore(database)
    kill_before(step, database, server, monkeypatch)
    limits = IngestConfig(domain="example.org", flush_interval=0.01, flush_size=25)
    ingest = Ingest(
        database, store, limits, clock=lambda: datetime.now(UTC), on_state=lambda *_: None, random=Random(1)
    )  # fmt: skip
    await ingest.start()
    with capture_logs() as logs:
        async with asyncio.timeout(LIMIT):
            numbers = [str(number) for number in range(500)]
            messages = [ingest.on_message(f"example.org/{node}/pepeunit", number.encode()) for number in numbers]
            waiting = asyncio.gather(*messages)
            await store.failed.wait()
            store.failed.clear()
            await store.failed.wait()
            assert not waiting.done()
            server.start()
            await waiting
        await ingest.stop()
    assert [row["state"] for row in await rows_of(database, window_entry)] == numbers
    assert (ingest.counters.stored, ingest.counters.refused_rows) == (500, 0)
    events = [entry["event"] for entry in logs if entry["event"].startswith("datapipe.")]
    assert events == ["datapipe.database.unavailable", "datapipe.database.recovered"]


async def test_what_was_committed_before_a_power_cut_is_there_after_it(server, database):
    for _ in range(20):
        await add_unit(database)
    await asyncio.to_thread(server.kill)
    server.start()
    later = Database(database.url)  # connections of before may not know yet that they are none
    try:
        async with later.read() as connection:
            assert (await connection.execute(select(func.count()).select_from(units))).scalar_one() == 20
    finally:
        await later.close()


async def test_a_start_without_a_server_fails_with_a_message_and_succeeds_when_it_is_there(server, tmp_path):
    url = server.create_database("fleet").render_as_string(hide_password=False)
    server.stop()
    with pytest.raises(StartError, match=r"does not answer.*PU_SQLALCHEMY_DATABASE_URL"):
        async with GatewayUnderTest(tmp_path, sqlalchemy_database_url=url):
            pass
    server.start()
    async with GatewayUnderTest(tmp_path, sqlalchemy_database_url=url, db_pool_size=5) as gateway:
        assert (await gateway.nobody.get("/units")).status == 200
        assert gateway.registry.context.database.connections_limit() == {"read": 5, "write": 2}


async def _update(database: Database, first: object, second: object, met: asyncio.Barrier) -> None:
    async with database.write() as connection:
        await connection.execute(units.update().where(units.c.uuid == first).values(name=f"renamed-{first}"))
        await met.wait()
        await connection.execute(units.update().where(units.c.uuid == second).values(name=f"renamed-{second}"))


async def test_a_deadlock_is_a_busy_database(server, database):
    server.query("fleet", "ALTER SYSTEM SET deadlock_timeout = '10ms'")
    server.query("fleet", "SELECT pg_reload_conf()")
    patient = Database(database.url, busy_timeout=30)
    one, two, met = await add_unit(database), await add_unit(database), asyncio.Barrier(2)
    try:
        outcomes = await asyncio.gather(
            _update(patient, one, two, met), _update(patient, two, one, met), return_exceptions=True
        )
    finally:
        await patient.close()
    (failed,) = [outcome for outcome in outcomes if outcome is not None]
    assert is_busy(failed)


async def test_a_lock_that_others_hold_is_a_busy_database(database):
    unit = await add_unit(database)
    change = units.update().where(units.c.uuid == unit).values(name="other")
    async with database.write() as holder:
        await holder.execute(change)
        with pytest.raises(Exception, match="lock timeout") as caught:
            async with database.write() as connection:
                await connection.execute(change)
    assert is_busy(caught.value)
    async with database.act():
        with pytest.raises(Exception, match="lock timeout") as caught:
            async with database.act():
                pass
    assert is_busy(caught.value)


async def _hold_until_ended(server: PostgresServer, database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("SELECT 1"))
        server.query(
            "fleet", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pepeunit'"
        )
        await connection.execute(text("SELECT 2"))


async def test_connections_that_the_operator_ends_are_replaced(server, database):
    """One that is in use at the moment fails; that request is told to come again."""
    await add_unit(database)
    with pytest.raises(DBAPIError) as caught:
        await _hold_until_ended(server, database)
    assert is_busy(caught.value)
    await add_unit(database)
    async with database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(units))).scalar_one() == 2
