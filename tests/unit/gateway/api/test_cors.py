"""Pages of other origins: nothing unless allowed, and then exactly what the Fetch standard asks for."""

import pytest

from pepeunit_gateway.settings import Settings
from tests.support.served import served
from tests.unit.gateway.api.sample import KNOWN, sample_app

PATH = f"/pepeunit/api/v1/things/{KNOWN}"
PAGE = "https://app.example.org"
ASKS = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "x-auth-token, content-type"}


async def _ask(origins, method="GET", path=PATH, **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    app = sample_app(Settings(domain="localhost", cors_origins=origins))
    async with served(app) as session, session.request(method, path, headers=sent) as answer:
        found = {name: value for name, value in answer.headers.items() if name.startswith("Access-Control")}
        return answer.status, found, answer.headers.get("Vary")


async def test_by_default_no_page_may_read_answers():
    assert await _ask("", Origin=PAGE) == (200, {}, None)
    status, found, _ = await _ask("", "OPTIONS", Origin=PAGE, **ASKS)
    assert (status, found) == (405, {})


async def test_an_allowed_page_may_read_answers_and_the_headers_it_needs():
    status, found, vary = await _ask(f"http://localhost:3000, {PAGE}", Origin=PAGE)
    assert (status, vary) == (200, "Origin")
    assert found["Access-Control-Allow-Origin"] == PAGE
    exposed = found["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Request-ID", "Repr-Digest", "Retry-After", "Content-Length", "ETag", "Content-Range"} <= set(exposed)
    assert "Access-Control-Allow-Credentials" not in found


@pytest.mark.parametrize("path", ["/nowhere", f"{PATH}?x=1", "/pepeunit/api/v1/things/kitchen"])
async def test_an_allowed_page_may_read_failures_too(path):
    _, found, vary = await _ask(PAGE, path=path, Origin=PAGE)
    assert (found["Access-Control-Allow-Origin"], vary) == (PAGE, "Origin")


async def test_a_stream_is_marked_too():
    _, found, _ = await _ask("*", path="/pepeunit/api/v1/things/stream/good", Origin=PAGE)
    assert found["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("origin", ["https://evil.example.org", "https://app.example.org.evil", f"{PAGE}:8443", "null"])
async def test_another_page_may_read_nothing(origin):
    assert await _ask(PAGE, Origin=origin) == (200, {}, "Origin")
    status, found, _ = await _ask(PAGE, "OPTIONS", Origin=origin, **ASKS)
    assert (status, found) == (204, {})


async def test_a_program_without_a_page_is_told_that_answers_differ_by_origin():
    assert await _ask(PAGE) == (200, {}, "Origin")


async def test_all_pages_are_allowed_by_an_asterisk():
    status, found, vary = await _ask("*", Origin=PAGE)
    assert (status, found["Access-Control-Allow-Origin"], vary) == (200, "*", None)


@pytest.mark.parametrize("path", [PATH, "/pepeunit/api/v1/things", "/pepeunit", "/pepeunit/api/v1/openapi.json"])
async def test_a_preflight_is_answered_for_every_route(path):
    status, found, vary = await _ask(PAGE, "OPTIONS", path, Origin=PAGE, **ASKS)
    assert status == 204
    assert found["Access-Control-Allow-Origin"] == PAGE
    assert found["Access-Control-Allow-Methods"] == "GET, HEAD, POST, PATCH, DELETE"
    assert found["Access-Control-Allow-Headers"] == (
        "x-auth-token, content-type, idempotency-key, range, if-range, if-none-match"
    )
    assert found["Access-Control-Max-Age"] == "600"
    assert vary == "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


async def test_a_preflight_for_a_path_that_does_not_exist_is_404():
    status, _, _ = await _ask(PAGE, "OPTIONS", "/nowhere", Origin=PAGE, **ASKS)
    assert status == 404


async def test_options_without_a_page_stays_an_unknown_method():
    status, _, _ = await _ask(PAGE, "OPTIONS")
    assert status == 405
