"""`pepeunit gateway …` as a process: what it prints, how it ends, what it says when it cannot start."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing
from uuid import UUID, uuid4

import pytest

from tests.support.gateway_process import GatewayProcess, children_named, environment, run_command

PASSWORD = "correct-horse-9"


def log_in(gateway: GatewayProcess, login: str, password: str = PASSWORD) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{gateway.http_port}/pepeunit/api/v1/users/auth",
        data=json.dumps({"credentials": login, "password": password}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_gateway_starts_tells_the_way_and_stops_with_everything_it_started(tmp_path, number):
    with GatewayProcess(tmp_path) as gateway:
        block = gateway.wait_until_started()
        origin = f"http://127.0.0.1:{gateway.http_port}"
        for part in (
            f"API          {origin}/pepeunit/api/v1",
            f"OpenAPI      {origin}/pepeunit/docs",
            f"MQTT         127.0.0.1:{gateway.mqtt_port}",
            f"Data         {tmp_path}/data",
        ):
            assert part in block
        assert gateway.answers("/readyz") == 200
        assert gateway.answers("/pepeunit/docs") == 200
        assert gateway.answers("/pepeunit/api/v1/openapi.json") == 200
        assert len(children_named("mosquitto", tmp_path)) == 1
        assert gateway.stop(number) == 0
        assert children_named("mosquitto", tmp_path) == []
    rest = "\n".join(gateway.output)
    assert "gateway user create-admin --login" in rest
    assert "PU_HTTP_HOST=0.0.0.0" in rest
    assert '"event": "gateway.stopped"' in gateway.errors[-1], gateway.errors


def test_an_admin_is_made_beside_the_running_gateway_and_found_by_the_second_start(tmp_path):
    with GatewayProcess(tmp_path) as gateway:
        gateway.wait_until_started()
        assert log_in(gateway, "boss-1") == 401
        done = run_command(tmp_path, "user", "create-admin", "--login", "boss-1", "--password-stdin", stdin=PASSWORD)
        assert done.returncode == 0, done.stderr
        assert UUID(done.stdout.strip())
        assert done.stderr == f"Admin boss-1 is made in the data folder {tmp_path}/data\n"
        assert log_in(gateway, "boss-1") == 200
        ports = {"PU_HTTP_PORT": str(gateway.http_port), "PU_MQTT_PORT": str(gateway.mqtt_port)}
        assert gateway.stop() == 0
    with GatewayProcess(tmp_path, **ports) as gateway:
        gateway.wait_until_started()
        assert log_in(gateway, "boss-1") == 200
        assert log_in(gateway, "boss-1", "wrong-password") == 401
        assert gateway.stop() == 0
    assert "create-admin" not in "\n".join(gateway.output), "there is an Admin: nobody need make the first one"


@pytest.mark.parametrize(
    ("login", "password", "said"),
    [
        ("abc", PASSWORD, "4 to 20 characters"),
        ("with space", PASSWORD, "only ASCII letters"),
        ("boss-1", "short", "8 to 100 characters"),
        ("boss-1", "Umläute-9", "ASCII"),
    ],
)
def test_a_bad_login_or_password_of_an_admin_is_told_and_nobody_is_made(tmp_path, login, password, said):
    done = run_command(tmp_path, "user", "create-admin", "--login", login, "--password-stdin", stdin=password)
    assert done.returncode == 1
    assert said in done.stderr
    assert password not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_login_that_is_taken_is_told(tmp_path):
    for code in (0, 1):
        done = run_command(tmp_path, "user", "create-admin", "--login", "boss-1", "--password-stdin", stdin=PASSWORD)
        assert done.returncode == code
    assert "boss-1 is taken" in done.stderr


@pytest.mark.parametrize("variable", ["PU_HTTP_PORT", "PU_MQTT_PORT"])
def test_an_occupied_port_is_one_clear_message_and_nothing_stays_behind(tmp_path, variable):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with GatewayProcess(tmp_path, **{variable: str(taken.getsockname()[1])}) as gateway:
            assert gateway.process.wait(30) == 1
    message = gateway.errors[-1]
    assert message.startswith("pepeunit gateway: ")
    assert variable in message
    assert str(taken) not in message
    assert not any("Traceback" in line for line in gateway.errors)
    assert gateway.output == []
    assert children_named("mosquitto", tmp_path) == []
    assert not (tmp_path / "data" / "addresses.json").exists()


def test_a_second_gateway_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path):
    with GatewayProcess(tmp_path) as first:
        first.wait_until_started()
        kept = (tmp_path / "data" / "addresses.json").read_text()
        with GatewayProcess(tmp_path, PU_DOMAIN="other.example:9", PU_MQTT_HOST="other.example") as second:
            assert second.process.wait(30) == 1
        assert (tmp_path / "data" / "addresses.json").read_text() == kept
        assert f"process {first.process.pid}" in second.errors[-1]
        assert first.answers("/readyz") == 200
        assert first.stop() == 0


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"PU_BROKER": "emqx"}, ["PU_BROKER"]),
        ({"PU_SQLALCHEMY_DATABASE_URL": "postgresql://u:hidden-word@127.0.0.1:9/d"}, ["PU_SQLALCHEMY_DATABASE_URL"]),
        ({"PU_SQLALCHEMY_DATABASE_URL": "mysql://u:hidden-word@127.0.0.1:9/d"}, ["PU_SQLALCHEMY_DATABASE_URL"]),
        ({"PU_REDIS_URL": "memcached://:hidden-word@127.0.0.1:9/0"}, ["PU_REDIS_URL"]),
        ({"PU_CLICKHOUSE_DATABASE_URL": "clickhouse+native://u:hidden-word@h/d"}, ["PU_CLICKHOUSE_DATABASE_URL"]),
        ({"PU_HTTP_PORT": "none", "PU_MQTT_KEEPALIVE": "0"}, ["PU_HTTP_PORT", "PU_MQTT_KEEPALIVE"]),
        ({"PU_ENCRYPT_KEY": "bm90IGEga2V5"}, ["PU_ENCRYPT_KEY"]),
    ],
)
def test_settings_that_cannot_be_honoured_stop_the_start(tmp_path, variables, named):
    done = run_command(tmp_path, "run", **variables)
    assert done.returncode == 1
    assert done.stdout == ""
    for name in named:
        assert name in done.stderr
    assert "hidden-word" not in done.stderr
    assert "Traceback" not in done.stderr


def test_variables_without_effect_are_named_in_one_warning(tmp_path):
    with GatewayProcess(tmp_path, PU_TELEGRAM_TOKEN="hidden-word", PU_WORKER_COUNT="4") as gateway:
        gateway.wait_until_started()
        assert gateway.stop() == 0
    warnings = [json.loads(line) for line in gateway.errors if "settings.unknown" in line]
    assert [warning["variables"] for warning in warnings] == [["PU_TELEGRAM_TOKEN", "PU_WORKER_COUNT"]]
    assert not any("hidden-word" in line for line in gateway.errors)


def test_the_effective_settings_are_printed_without_secrets(tmp_path):
    secret = "a-secret-of-the-operator-with-32-characters"
    done = run_command(tmp_path, "config", PU_SECRET_KEY=secret, PU_HTTP_PORT="8099")
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout)
    assert (values["PU_HTTP_PORT"], values["PU_DOMAIN"]) == (8099, "127.0.0.1:8099")
    assert set(values["PU_SECRET_KEY"]) == {"*"}
    assert secret not in done.stdout + done.stderr


def test_an_unprivileged_user_without_a_right_to_the_data_folder_gets_a_clear_message(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    # imported before the privileges go: the interpreter itself may lie where nobody else can read
    script = (
        "import os, sys\n"
        "import pepeunit_gateway.cli\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "else: os.chmod(os.environ['PU_DATA_DIR'], 0o555)\n"
        "sys.exit(pepeunit_gateway.cli.main(['run']))\n"
    )
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(tmp_path, {}),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert f"The data folder {folder} cannot be written" in done.stderr
    assert "PU_DATA_DIR" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_a_broker_that_dies_is_replaced_and_the_gateway_is_ready_again(tmp_path):
    with GatewayProcess(tmp_path) as gateway:
        gateway.wait_until_started()
        (old,) = children_named("mosquitto", tmp_path)
        os.kill(old, signal.SIGKILL)
        seen = set()
        while (status := gateway.answers("/readyz")) != 200 or children_named("mosquitto", tmp_path) in ([], [old]):
            seen.add(status)
        assert seen <= {200, 503}
        assert any("broker.mosquitto.died" in line for line in gateway.errors)
        assert gateway.stop() == 0
    assert children_named("mosquitto", tmp_path) == []


def test_a_start_on_another_port_tells_where_it_listens_and_what_devices_are_told(tmp_path):
    with GatewayProcess(tmp_path) as first:
        first.wait_until_started()
        assert first.stop() == 0
    with GatewayProcess(tmp_path) as second:
        block = second.wait_until_started()
        assert f"API          http://127.0.0.1:{second.http_port}/pepeunit/api/v1" in block
        assert f"Devices are told http://127.0.0.1:{first.http_port} and MQTT 127.0.0.1:{second.mqtt_port}" in block
        assert second.stop() == 0


def make_unit(folder):
    with closing(sqlite3.connect(folder / "data" / "pepeunit.sqlite3")) as file, file:
        file.execute(
            "INSERT INTO units (uuid, name, create_datetime, last_update_datetime) VALUES (?, 'porch', ?, ?)",
            (uuid4().hex, "2026-01-01 00:00:00", "2026-01-01 00:00:00"),
        )


def test_a_changed_domain_is_told_until_it_is_the_old_one_again(tmp_path):
    seen = []
    for domain in ("one.example:80", "two.example:80", "two.example:80", "one.example:80"):
        with GatewayProcess(tmp_path, PU_DOMAIN=domain) as gateway:
            seen.append("1 units use a previous PU_DOMAIN" in gateway.wait_until_started())
            assert gateway.stop() == 0
        if len(seen) == 1:
            make_unit(tmp_path)
    assert seen == [False, True, True, False]
