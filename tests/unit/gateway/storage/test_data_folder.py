"""What the data folder keeps, and what it refuses."""

import json
import os
import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import read_settings
from pepeunit_gateway.storage.addresses import keep_addresses
from pepeunit_gateway.storage.data_folder import hold_folder, prepare_folder


def prepare(folder, **variables):
    given = {"PU_DATA_DIR": str(folder), **variables}
    settings = read_settings(given, folder.parent)
    final = prepare_folder(settings)
    keep_addresses(settings, final)
    return final


def test_the_first_start_makes_secrets_that_later_starts_find_w40_b18(tmp_path):
    """W40, B18."""
    folder = tmp_path / "deep" / "data"
    first, second = prepare(folder), prepare(folder)
    assert len(first.secret_key.get_secret_value()) >= 32
    assert first.secret_key == second.secret_key
    assert first.encrypt_key == second.encrypt_key
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_given_secret_wins_and_is_not_written_down(tmp_path):
    given = "a-secret-of-the-operator-with-32-characters"
    settings = prepare(tmp_path / "data", PU_SECRET_KEY=given)
    assert settings.secret_key.get_secret_value() == given
    assert given not in (tmp_path / "data" / "secrets.json").read_text()


def test_addresses_are_derived_once_and_kept(tmp_path):
    """decisions.md 19."""
    first = prepare(tmp_path / "data", PU_HTTP_PORT="8099")
    assert (first.domain, first.mqtt_host, first.secure) == ("127.0.0.1:8099", "127.0.0.1", False)
    with capture_logs() as logs:
        second = prepare(tmp_path / "data", PU_HTTP_PORT="9000")
    assert second.domain == "127.0.0.1:8099"
    assert [entry["event"] for entry in logs] == ["settings.address.moved"]


def test_an_address_that_the_machine_has_lost_is_told_and_changes_nothing(tmp_path):
    """decisions.md 19."""
    folder = tmp_path / "data"
    folder.mkdir()
    kept = {"domain": "203.0.113.7:8080", "mqtt_host": "203.0.113.7", "secure": False}
    (folder / "addresses.json").write_text(json.dumps(kept))
    with capture_logs() as logs:
        settings = prepare(folder)
    assert (settings.domain, settings.mqtt_host) == ("203.0.113.7:8080", "203.0.113.7")
    assert [(entry["event"], entry["variable"]) for entry in logs] == [
        ("settings.address.gone", "PU_DOMAIN"),
        ("settings.address.gone", "PU_MQTT_HOST"),
    ]
    assert json.loads((folder / "addresses.json").read_text()) == kept


def test_a_deliberate_change_is_kept_for_later_starts(tmp_path):
    prepare(tmp_path / "data")
    prepare(tmp_path / "data", PU_DOMAIN="devices.example", PU_MQTT_HOST="mqtt.example", PU_SECURE="true")
    with capture_logs():
        later = prepare(tmp_path / "data")
    assert (later.domain, later.mqtt_host, later.http_type) == ("devices.example", "mqtt.example", "https")


def test_a_start_that_did_not_come_to_listen_keeps_no_address(tmp_path):
    given = {"PU_DATA_DIR": str(tmp_path / "data"), "PU_HTTP_PORT": "8099"}
    assert prepare_folder(read_settings(given, tmp_path)).domain == "127.0.0.1:8099"
    assert prepare(tmp_path / "data", PU_HTTP_PORT="9000").domain == "127.0.0.1:9000"


def test_a_command_of_the_operator_keeps_and_compares_no_address(tmp_path):
    given = {"PU_DATA_DIR": str(tmp_path / "data"), "PU_HTTP_PORT": "9000"}
    assert prepare_folder(read_settings(given, tmp_path)).domain == "127.0.0.1:9000"
    prepare(tmp_path / "data", PU_HTTP_PORT="8099")
    with capture_logs() as logs:
        settings = prepare_folder(read_settings(given, tmp_path))
    assert (settings.domain, logs) == ("127.0.0.1:8099", [])


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"'])
def test_a_damaged_file_stops_the_start_and_is_not_overwritten(tmp_path, text):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "secrets.json").write_text(text)
    with pytest.raises(StartError, match=r"secrets\.json is damaged"):
        prepare(folder)
    assert (folder / "secrets.json").read_text() == text


def test_a_folder_that_an_unprivileged_user_may_not_write_is_a_clear_message(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from pepeunit_gateway.errors import StartError\n"
        "from pepeunit_gateway.settings import read_settings\n"
        "from pepeunit_gateway.storage.data_folder import prepare_folder\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "else: os.chmod(sys.argv[1], 0o555)\n"
        "try: prepare_folder(read_settings({'PU_DATA_DIR': sys.argv[1]}, Path('/')))\n"
        "except StartError as error: print(error.message)\n"
    )
    for parent in (tmp_path, *tmp_path.parents):
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], check=False, capture_output=True, text=True, timeout=60
    )
    assert "PU_DATA_DIR" in done.stdout, done.stderr
    assert "cannot be written" in done.stdout
    assert list(folder.iterdir()) == []


def test_two_gateways_never_share_a_folder(tmp_path):
    with hold_folder(tmp_path), pytest.raises(StartError, match=f"process {os.getpid()}"), hold_folder(tmp_path):
        pass
    with hold_folder(tmp_path):
        assert (tmp_path / "gateway.lock").read_text() == str(os.getpid())


def test_many_that_start_on_an_empty_folder_at_once_make_one_set_of_secrets(tmp_path):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pepeunit_gateway.settings import read_settings\n"
        "from pepeunit_gateway.storage.data_folder import prepare_folder\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "settings = prepare_folder(read_settings({'PU_DATA_DIR': sys.argv[1]}, Path('/')))\n"
        "print(settings.secret_key.get_secret_value(), settings.encrypt_key.get_secret_value())\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    assert len({process.communicate(timeout=60)[0] for process in processes}) == 1
    assert [process.returncode for process in processes] == [0] * 4
