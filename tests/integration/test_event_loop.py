"""Nothing slow runs on the event loop: whatever is slow delays only who waits for it."""

import asyncio
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from random import Random

import pytest
import yaml
from aiohttp import FormData
from sqlalchemy import Engine, Pool, event
from structlog.testing import capture_logs

from pepeunit_gateway.datapipe import service
from pepeunit_gateway.datapipe.ingest import Ingest, IngestConfig
from pepeunit_gateway.storage.tables import unit_logs, units
from pepeunit_gateway.storage.telemetry import TelemetryStore
from tests.support.field_unit import FieldUnit, eventually
from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of
from tests.support.telemetry import add_unit, config, row_of, rows_of

DOMAIN = "example.org"
LIMIT = 30


@pytest.fixture
async def stage(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        yield stage


async def nothing(*_: object) -> None:
    """Stands where a unit's report is judged."""


def ingest_of(database, judge=nothing):
    limits = IngestConfig(domain=DOMAIN, flush_interval=0.01)
    return Ingest(
        database, TelemetryStore(database), limits, clock=lambda: datetime.now(UTC), on_state=judge, random=Random(1)
    )


@contextmanager
def listening(target: type, name: str, listener) -> Iterator[None]:
    event.listen(target, name, listener)
    try:
        yield
    finally:
        event.remove(target, name, listener)


async def test_w41_a_message_that_waits_for_the_database_leaves_the_loop_free(database):
    """W41: the lock is let go by this loop; a statement that held the loop would wait for it in vain."""
    unit = await add_unit(database)
    ingest, begun = ingest_of(database), asyncio.Event()
    holder = sqlite3.connect(database.url.database, isolation_level=None)
    await ingest.start()
    try:
        holder.execute("BEGIN IMMEDIATE")
        with listening(Engine, "begin", lambda _: begun.set()), capture_logs() as logs:
            async with asyncio.timeout(LIMIT):
                message = asyncio.create_task(ingest.on_message(*state(unit, 1)))
                await begun.wait()
                holder.execute("ROLLBACK")
                await message
        assert logs == [], "the first try succeeded"
    finally:
        holder.close()
        await ingest.stop()
    assert json.loads((await row_of(database, units, unit))["unit_state_dict"])["freq"] == 1


def state(unit, freq):
    return f"{DOMAIN}/output_base_topic/{unit}/state/pepeunit", json.dumps({"freq": freq}).encode()


async def test_w41_no_message_opens_a_connection_of_its_own(database):
    """W41: a hundred log messages, one after the other, use the connections that are there."""
    unit = await add_unit(database)
    ingest, opened = ingest_of(database), []
    await ingest.start()
    try:
        async with asyncio.timeout(LIMIT):
            await ingest.on_message(*state(unit, 1))
            with listening(Pool, "connect", lambda *_: opened.append(1)):
                for number in range(100):
                    line = json.dumps({"level": "Info", "text": str(number)}).encode()
                    await ingest.on_message(f"{DOMAIN}/output_base_topic/{unit}/log/pepeunit", line)
    finally:
        await ingest.stop()
    assert (len(await rows_of(database, unit_logs)), opened) == (100, [])


async def test_w41_a_report_that_git_must_judge_delays_no_message(database):
    """W41: the judge of updates never comes back, and what units send is stored all the same."""
    judging, unit = asyncio.Event(), await add_unit(database, firmware_update_status="RequestSent")

    async def hang(*_: object) -> None:
        judging.set()
        await asyncio.Event().wait()

    ingest = ingest_of(database, hang)
    await ingest.start()
    try:
        async with asyncio.timeout(LIMIT):
            await ingest.on_message(*state(unit, 1))
            await judging.wait()
            await ingest.on_message(*state(unit, 2))
    finally:
        await ingest.stop()
    assert json.loads((await row_of(database, units, unit))["unit_state_dict"])["freq"] == 2


async def test_w42_a_fetch_that_takes_long_freezes_neither_rest_nor_the_broker(stage):
    """W42: one clone froze the worker with its MQTT client and its check of rights."""
    made = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    fault = stage.git.fault
    fault.release = threading.Event()
    fault.arrived.clear()
    path = f"/repository_registry/update_local_repository/{stage.registry['uuid']}"
    fetching = asyncio.create_task(stage.alice.patch(path))
    try:
        async with asyncio.timeout(LIMIT):
            assert await asyncio.to_thread(fault.arrived.wait, LIMIT)
            assert (await stage.bob.get("/repos")).body["count"] == 1
            unit = await FieldUnit.connect(stage.gateway, stage.alice, made["uuid"])
            await unit.report("a" * 40)

            async def stored():
                return (await stage.alice.get(f"/units/{made['uuid']}")).body["current_commit_version"]

            await eventually(stored, "a" * 40)
        assert not fetching.done()
    finally:
        fault.release.set()
        reply = await fetching
    assert reply.status == 204


async def test_w43_a_broker_that_hangs_delays_only_who_sets_a_value(stage):
    """W43: a PATCH that publishes waits for the broker, and nobody waits for that PATCH."""
    made = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    node = (await nodes_of(stage.alice, made["uuid"]))["set_fan/pepeunit"]["uuid"]
    mosquitto = stage.gateway.gateway.broker.broker_pid
    os.kill(mosquitto, signal.SIGSTOP)
    try:
        setting = asyncio.create_task(stage.alice.patch(f"/unit_nodes/set_state_input/{node}", {"state": "on"}))
        async with asyncio.timeout(LIMIT):
            assert (await stage.bob.get("/units")).body["count"] == 1
            assert (await stage.alice.patch(f"/unit_nodes/{node}", {"max_connections": 3})).status == 200
        assert not setting.done()
    finally:
        os.kill(mosquitto, signal.SIGCONT)
    assert (await setting).status == 200


@pytest.mark.parametrize(("route", "reader"), [("check", "check_config"), ("set", "parse_config")])
async def test_w43_a_document_that_takes_long_to_read_delays_nobody_else(stage, monkeypatch, route, reader):
    """W43: the configuration of a pipe is read in a thread, which here waits for an answer to somebody else."""
    made = await make_unit(stage.alice, stage.repo["uuid"], "unit-1")
    node = (await nodes_of(stage.alice, made["uuid"]))["temperature/pepeunit"]["uuid"]
    real, reading, answered, in_time = getattr(service, reader), threading.Event(), threading.Event(), []

    @wraps(real)
    def slow(*arguments, **options):
        reading.set()
        in_time.append(answered.wait(LIMIT))
        return real(*arguments, **options)

    monkeypatch.setattr(service, reader, slow)
    form = FormData()
    form.add_field("data", yaml.safe_dump(config().model_dump(mode="json", exclude_none=True)), filename="c.yaml")
    path = f"/unit_nodes/{route}_data_pipe_config?uuid={node}"
    sending = asyncio.create_task(stage.alice.call("POST", path, data=form))
    assert await asyncio.to_thread(reading.wait, LIMIT)
    assert (await stage.bob.get("/units")).status == 200
    answered.set()
    assert ((await sending).status, in_time) == (204 if route == "set" else 200, [True])
