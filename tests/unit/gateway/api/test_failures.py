"""How errors become answers."""

import logging

import pytest
import structlog

from tests.support.served import served
from tests.unit.gateway.api.sample import KNOWN, sample_app

BASE = "/pepeunit/api/v1/things"
AUTH = {"x-auth-token": "me"}


@pytest.fixture
async def client():
    async with served(sample_app()) as session:
        yield session


def _body(name):
    return {"name": name, "password": "12345678"}


@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [
        ("taken", 409, "409: 3: User Validation Error: the name is taken"),
        ("forbidden", 403, "403: 1: No Access: not you"),
        ("busy", 429, "429: 17: Too Many Requests: too many"),
        ("stopping", 503, "503: 3: User Validation Error: the gateway stops"),
    ],
)
async def test_business_errors_have_the_detail_form(client, name, status, detail):
    async with client.post(BASE, json=_body(name), headers=AUTH) as answer:
        assert (answer.status, await answer.json()) == (status, {"detail": detail})
        assert answer.headers.get("Retry-After") == {429: "7", 503: "5"}.get(status)


async def test_an_unknown_entity_is_404(client):
    other = str(KNOWN).replace("1", "2")
    async with client.get(f"{BASE}/{other}") as answer:
        assert answer.status == 404
        assert await answer.json() == {"detail": f"404: 2: Not Found: there is no thing {other}"}


async def test_an_unknown_route_is_404_in_the_same_form(client):
    async with client.get("/nowhere") as answer:
        assert answer.status == 404
        assert (await answer.json())["detail"] == "404: 2: Not Found: there is no /nowhere; see the OpenAPI document"
        assert answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", BASE, "GET, HEAD, POST"),
        ("PUT", f"{BASE}/{KNOWN}", "DELETE, GET, HEAD, PATCH"),
        ("GET", f"{BASE}/upload", "POST"),
        ("DELETE", f"{BASE}/log_list", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_and_says_what_is_allowed(client, method, path, allowed):
    """Also where the last part of the path could be taken for an entity's uuid."""
    async with client.request(method, path) as answer:
        detail = f"405: 2: Method Not Allowed: {method} is not possible here, only {allowed}"
        assert (answer.status, await answer.json()) == (405, {"detail": detail})
        assert answer.headers["Allow"] == allowed


async def test_an_unforeseen_error_is_logged_once_and_answered_with_the_requests_id_only(client):
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as events:
        async with client.patch(f"{BASE}/{KNOWN}") as answer:
            body = await answer.json()
    request_id = answer.headers["X-Request-ID"]
    assert answer.status == 500
    assert body == {"detail": f"500: 0: Internal Server Error: request {request_id}"}
    assert [(event["event"], event["request_id"]) for event in events] == [("api.request.failed", request_id)]
    assert events[0]["route"] == f"{BASE}/{{uuid}}"
    assert str(KNOWN) not in str({**events[0], "exc_info": None})


async def test_tokens_and_bodies_never_reach_the_log(client, caplog):
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as events:
        for name in ("taken", "lamp"):
            async with client.post(BASE, json=_body(name), headers={"x-auth-token": "token-of-mine"}):
                pass
    assert "token-of-mine" not in str(events) + caplog.text
    assert "12345678" not in str(events) + caplog.text
