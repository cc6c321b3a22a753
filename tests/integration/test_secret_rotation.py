"""`pepeunit gateway rotate-secret-key`: what it says, and that a running gateway's tokens outlive it (W4)."""

import json
import urllib.error
import urllib.request

from tests.support.databases import address_for
from tests.support.gateway_process import GatewayProcess, run_command

BOTH_DATABASES = True

PASSWORD = "correct-horse-9"


def call(gateway, path, *, token=None, body=None):
    """The status and the JSON of an answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway.http_port}/pepeunit/api/v1{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **({"x-auth-token": token} if token else {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, None


def test_tokens_outlive_the_change_of_the_key_and_end_when_the_old_one_is_dropped(tmp_path):
    here = {"PU_SQLALCHEMY_DATABASE_URL": address_for(tmp_path)}
    create = ("user", "create-admin", "--login", "boss-1", "--password-stdin")
    done = run_command(tmp_path, *create, stdin=PASSWORD, **here)
    assert done.returncode == 0, done.stderr
    login = {"credentials": "boss-1", "password": PASSWORD}
    with GatewayProcess(tmp_path, **here) as gateway:
        gateway.wait_until_started()
        old = call(gateway, "/users/auth", body=login)[1]["token"]
        done = run_command(tmp_path, "rotate-secret-key", **here)
        assert done.returncode == 0, done.stderr
        assert "gateway rotate-secret-key --drop-previous" in done.stdout
        assert call(gateway, "/users", token=old)[0] == 200, "it counts from the next start"
        ports = {"PU_HTTP_PORT": str(gateway.http_port), "PU_MQTT_PORT": str(gateway.mqtt_port)}
        assert gateway.stop() == 0
    with GatewayProcess(tmp_path, **ports, **here) as gateway:
        gateway.wait_until_started()
        assert call(gateway, "/users", token=old)[0] == 200
        new = call(gateway, "/users/auth", body=login)[1]["token"]
        assert run_command(tmp_path, "rotate-secret-key", **here).returncode == 1
        assert run_command(tmp_path, "rotate-secret-key", "--drop-previous", **here).returncode == 0
        assert gateway.stop() == 0
    with GatewayProcess(tmp_path, **ports, **here) as gateway:
        gateway.wait_until_started()
        assert (call(gateway, "/users", token=old)[0], call(gateway, "/users", token=new)[0]) == (401, 200)
        assert gateway.stop() == 0
    kept = json.loads((tmp_path / "data" / "secrets.json").read_text())
    assert kept["secret_key"] not in done.stdout + done.stderr
