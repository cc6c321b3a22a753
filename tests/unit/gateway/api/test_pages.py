"""Document, page, card and probes."""

import asyncio
import re

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from pepeunit_gateway.api import pages
from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.outages import DatabaseAwayError
from tests.support.served import served
from tests.unit.gateway.api.sample import sample_app


@pytest.fixture
async def client():
    async with served(sample_app()) as session:
        yield session


async def test_the_page_needs_nothing_but_this_server(client):
    async with client.get("/pepeunit/docs") as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(links) == 4
    for link in links:
        assert link.startswith("/pepeunit/docs/static/")
        async with client.get(link) as answer:
            assert answer.status == 200
            assert await answer.read()
    assert "<script>" not in text


@pytest.mark.parametrize("path", ["/", "/pepeunit/docs/"])
async def test_whoever_asks_for_the_root_is_led_to_the_page(client, path):
    async with client.get(path, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/pepeunit/docs")
    async with client.get(path) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")


async def test_a_token_that_was_put_into_the_page_stays_there(client):
    async with client.get("/pepeunit/docs/static/start.js") as answer:
        assert "persistAuthorization: true" in await answer.text()


async def test_the_start_script_names_the_document(client):
    async with client.get("/pepeunit/docs/static/start.js") as answer:
        assert 'url: "/pepeunit/api/v1/openapi.json"' in await answer.text()
    async with client.get("/pepeunit/api/v1/openapi.json") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", ["swagger-editor.js", "..%2f__init__.py", "nothing"])
async def test_only_the_files_of_the_page_are_served(client, name):
    async with client.get(f"/pepeunit/docs/static/{name}") as answer:
        assert answer.status == 404


async def test_the_prefixes_come_from_the_settings():
    settings = Settings(domain="example.test:8080", app_prefix="", api_v1_prefix="/v9")
    async with served(sample_app(settings)) as client:
        for path in ("/", "/docs", "/v9/openapi.json", "/v9/things"):
            async with client.get(path) as answer:
                assert answer.status == 200, path


async def test_the_card_tells_what_is_switched_on(client):
    async with client.get("/pepeunit") as answer:
        card = await answer.json()
    assert set(card) == {
        "name", "version", "description", "license", "authors",
        "swagger", "graphql", "grafana", "telegram_bot", "feature_flags",
    }  # fmt: skip
    assert card["name"] == "pepeunit"
    assert "fleets of small devices" in card["description"]
    assert "SDK" not in card["description"], "it is about this gateway, not about the package it comes in"
    assert card["license"] == "Apache-2.0"
    assert card["swagger"] == "http://localhost/pepeunit/docs"
    assert card["feature_flags"] == {
        "pu_ff_telegram_bot_enable": False,
        "pu_ff_grafana_integration_enable": False,
        "pu_ff_datapipe_enable": True,
        "pu_ff_datapipe_default_last_value_enable": True,
        "pu_ff_prometheus_enable": True,
    }


async def test_health_and_readiness_answer_at_the_root(client):
    for path in ("/healthz", "/readyz"):
        async with client.get(path) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (StartError("the broker is down"), "503: 2: Service Unavailable: the broker is down"),
        (
            RuntimeError("secret"),
            "503: 2: Service Unavailable: a part of the gateway fails; the log of the gateway tells which",
        ),
        (DatabaseAwayError("secret"), "503: 2: Service Unavailable: the database does not answer"),
        (PoolTimeoutError("secret"), "503: 2: Service Unavailable: the database is busy"),
    ],
)
async def test_a_part_that_is_not_ready_makes_503(error, detail):
    async def readiness():
        raise error

    async with served(sample_app(readiness=readiness)) as client, client.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (503, {"detail": detail})


async def test_a_readiness_check_that_hangs_is_cut_off(monkeypatch):
    monkeypatch.setattr(pages, "_READINESS_TIMEOUT", 0.05)

    async def readiness():
        await asyncio.Event().wait()

    async with served(sample_app(readiness=readiness)) as client, client.get("/readyz") as answer:
        assert answer.status == 503


def test_missing_files_of_the_page_are_a_clear_start_error(monkeypatch):
    monkeypatch.setattr(pages, "find_spec", lambda _name: None)
    with pytest.raises(StartError, match=r"pip install '\.\[gateway\]' in a checkout"):
        sample_app()


async def test_a_part_that_may_be_away_is_named_and_fails_nothing():
    async def readiness():
        return {"redis": "away"}

    async with served(sample_app(readiness=readiness)) as client, client.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ready", "redis": "away"})
