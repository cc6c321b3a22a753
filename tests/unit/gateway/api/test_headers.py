"""What every answer carries, and where a request's id comes from."""

import pytest

from pepeunit_gateway.settings import Settings
from tests.support.served import served
from tests.unit.gateway.api.sample import KNOWN, sample_app

BASE = "/pepeunit/api/v1/things"


async def _headers(path, trusted="", **headers):
    app = sample_app(Settings(domain="localhost", trusted_proxies=trusted))
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with served(app) as session, session.get(path, headers=sent) as answer:
        return answer.headers


@pytest.mark.parametrize("path", [BASE, "/nowhere", f"{BASE}/stream/good", f"{BASE}/kitchen", "/pepeunit", "/healthz"])
async def test_every_answer_is_kept_out_of_caches_and_guesses(path):
    headers = await _headers(path)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "pepeunit"
    assert len(headers["X-Request-ID"]) == 32


async def test_what_never_changes_may_be_cached():
    assert (await _headers("/pepeunit/docs/static/swagger-ui.css"))["Cache-Control"] == "public, max-age=86400"


async def test_the_page_of_the_document_loads_and_sends_nothing_elsewhere():
    headers = await _headers("/pepeunit/docs")
    policy = headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in policy
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("trusted", "given", "taken"),
    [
        ("127.0.0.1", "0f8fad5b-d9cb-469f-a165-70867728950e", True),
        ("127.0.0.1", "a" * 64, True),
        ("127.0.0.1", "a" * 65, False),
        ("127.0.0.1", 'x" injected', False),
        ("127.0.0.1", "é", False),
        ("192.0.2.1", "0f8fad5b-d9cb-469f-a165-70867728950e", False),
        ("", "0f8fad5b-d9cb-469f-a165-70867728950e", False),
    ],
)
async def test_an_id_is_taken_from_a_trusted_proxy_where_it_is_well_formed(trusted, given, taken):
    headers = await _headers(f"{BASE}/{KNOWN}", trusted, X_Request_ID=given)
    assert (headers["X-Request-ID"] == given) is taken
