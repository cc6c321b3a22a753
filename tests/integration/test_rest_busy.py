"""A database that others hold: over HTTP that is 503 for now, no fault of the gateway."""

import logging

import pytest
import structlog
from sqlalchemy import text

from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.api.server import assemble
from pepeunit_gateway.settings import Settings
from tests.support.databases import held, open_database
from tests.support.served import served
from tests.support.telemetry import add_unit

BOTH_DATABASES = True

DETAIL = "503: 2: Service Unavailable: the database is busy; try again in 5 seconds"


async def _ready():
    return None


def _app(database):
    table = RouteTable("/rows", tag="Rows")

    @table.post("", token=Token.NONE)
    async def add_row() -> None:
        """Write one."""
        await add_unit(database)

    @table.get("", token=Token.NONE)
    async def count_rows() -> int:
        """Count them."""
        async with database.read() as connection:
            return (await connection.execute(text("SELECT count(*) FROM units"))).scalar_one()

    @table.delete("", token=Token.NONE)
    async def drop_nothing() -> None:
        """Fails, and not because anybody is busy."""
        async with database.write() as connection:
            await connection.execute(text("DELETE FROM nowhere"))

    return assemble(Settings(domain="localhost", app_prefix="", api_v1_prefix="/v1"), [table], {}, _ready)


@pytest.fixture
async def database(tmp_path):
    async with open_database(tmp_path, busy_timeout=0.05) as opened:
        yield opened


async def test_a_lock_of_another_process_is_503_with_retry_after_and_one_line_in_the_log(database, caplog):
    caplog.set_level(logging.WARNING)
    async with served(_app(database)) as client:
        async with held(database):
            with structlog.testing.capture_logs() as events:
                async with client.post("/v1/rows") as answer:
                    assert (answer.status, await answer.json()) == (503, {"detail": DETAIL})
                    assert answer.headers["Retry-After"] == "5"
            async with client.get("/v1/rows") as answer:
                assert (answer.status, await answer.json()) == (200, 0)
        async with client.post("/v1/rows") as answer:
            assert answer.status == 204
    (event,) = events
    assert (event["event"], event["log_level"], event["route"]) == ("api.database.busy", "warning", "/v1/rows")
    assert "exc_info" not in event
    assert caplog.text == ""


async def test_another_fault_of_the_database_stays_500(database):
    async with served(_app(database)) as client, client.delete("/v1/rows") as answer:
        assert answer.status == 500
        assert "Retry-After" not in answer.headers
