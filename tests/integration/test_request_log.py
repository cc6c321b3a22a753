"""The log of a running gateway: one JSON object a line, one line an answer, and nothing secret in it."""

import http.client
import json
import re
import socket

import pytest

from tests.support.gateway_process import GatewayProcess, run_command

PASSWORD = "hidden-word-in-9-a-Password"
SECRETS = ("hidden-word", "eyJ")
BASE = "/pepeunit/api/v1"


@pytest.fixture(scope="module", params=["INFO", "DEBUG"])
def log(request, tmp_path_factory):
    """Everything a gateway said while it was asked all sorts of things, and its level."""
    folder = tmp_path_factory.mktemp("log")
    variables = {
        "PU_LOG_FORMAT": "json",
        "PU_MIN_LOG_LEVEL": request.param,
        "PU_TRUSTED_PROXIES": "127.0.0.1",
        "PU_METRICS_TOKEN": "hidden-word-of-prometheus",
        "PU_SECRET_KEY": "hidden-word-that-signs-tokens-0123456789",
    }
    with GatewayProcess(folder, **variables) as gateway:
        gateway.wait_until_started()
        done = run_command(
            folder, "user", "create-admin", "--login", "boss-1", "--password-stdin", stdin=PASSWORD, **variables
        )
        assert done.returncode == 0, done.stderr
        _talk(gateway.http_port)
        assert gateway.stop() == 0
        return request.param, gateway.output, gateway.errors


def _ask(port, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    sent = {"X-Forwarded-For": "203.0.113.9", **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.request(method, path, None if body is None else json.dumps(body), sent)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def _talk(port):
    login = {"credentials": "boss-1", "password": PASSWORD}
    status, content = _ask(port, "POST", f"{BASE}/users/auth", login)
    assert status == 200
    token = json.loads(content)["token"]
    assert token.startswith("eyJ")
    calls = [
        ("POST", f"{BASE}/users/auth", {**login, "password": "hidden-word-that-is-wrong"}, {}),
        ("POST", f"{BASE}/users/auth?password=hidden-word", "hidden-word", {}),
        ("POST", f"{BASE}/users", {"login": "alice", "password": PASSWORD}, {"x_auth_token": token}),
        ("POST", f"{BASE}/users", {"login": 7, "password": ["hidden-word"]}, {"x_auth_token": token}),
        ("GET", f"{BASE}/users?token={token}&search_string=hidden-word", None, {"x_auth_token": token}),
        ("GET", f"{BASE}/users", None, {"x_auth_token": "hidden-word"}),
        ("GET", f"{BASE}/users", None, {"x_auth_token": token[:-3] + "abc"}),
        ("GET", f"/nowhere/{token}", None, {"Cookie": "session=hidden-word", "Authorization": "Bearer hidden-word"}),
        ("GET", f"{BASE}/units/hidden-word", None, {"Referer": "http://hidden-word/"}),
        ("GET", "/pepeunit/metrics", None, {"Authorization": "Bearer hidden-word-of-prometheus"}),
        ("POST", f"{BASE}/repository_registry", {
            "platform": "Git", "repository_url": "https://user:hidden-word@127.0.0.1/a.git",
            "is_public_repository": False, "credentials": {"username": "u", "pat_token": "hidden-word"},
        }, {"x_auth_token": token}),
    ]  # fmt: skip
    for method, path, body, headers in calls:
        assert _ask(port, method, path, body, X_Request_ID="given-by-the-proxy", **headers)[0] < 500
    for broken in (
        b"GET / HTTP/1.1\r\nx-auth-token: hidden-word\x00\r\n\r\n",
        b"hidden-word\r\n\r\n",
        b"GET /hidden-word HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nx-auth-token: " + b"hidden-word" * 2000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: hidden-word\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall(broken)
            assert b" 400 " in raw.recv(1000)


def _requests(errors):
    lines = [json.loads(line) for line in errors]
    return [line for line in lines if line["event"] == "api.request"]


def test_every_line_is_an_object_with_a_time_a_level_and_an_event(log):
    _, _, errors = log
    lines = [json.loads(line) for line in errors]
    assert all({"time", "level", "event"} <= line.keys() for line in lines)


def test_no_secret_is_ever_said(log):
    _, output, errors = log
    for secret in SECRETS:
        assert not [line for line in (*output, *errors) if secret in line]


def test_an_answer_is_one_line_that_says_who_asked_what(log):
    _, _, errors = log
    (made,) = [line for line in _requests(errors) if line["status"] == 201]
    assert re.fullmatch("[0-9a-f-]{36}", made.pop("agent_uuid"))
    assert made.pop("ms") > 0
    assert made.pop("bytes") > 0
    assert made.pop("time")
    assert made == {
        "event": "api.request", "level": "info", "method": "POST", "route": f"{BASE}/users", "status": 201,
        "client": "203.0.113.9", "scheme": "http", "agent": "User", "request_id": "given-by-the-proxy",
    }  # fmt: skip


def test_reads_that_go_well_are_details_and_what_fails_or_changes_is_not(log):
    level, _, errors = log
    told = {(line["method"], line["status"], line["level"]) for line in _requests(errors)}
    assert {("POST", 200, "info"), ("GET", 401, "info"), ("GET", 404, "info")} <= told
    assert (("GET", 200, "debug") in told) == (level == "DEBUG")
    assert ("GET", 200, "info") not in told


def test_a_path_that_does_not_exist_is_not_written_down(log):
    _, _, errors = log
    assert [line["route"] for line in _requests(errors) if line["status"] == 404] == ["none"]


def test_what_is_no_http_is_one_line_without_its_content(log):
    _, _, errors = log
    assert len([line for line in errors if '"api.request.malformed"' in line]) == 5
