"""Commands of the operator beside `gateway run`: on which database and with which keys they work, and what they say."""

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy.engine import make_url

from tests.support.databases import address_for, session_databases
from tests.support.gateway_process import GatewayProcess, run_command

PASSWORD = "correct-horse-9"
URL = "PU_SQLALCHEMY_DATABASE_URL"
CREATE = ("user", "create-admin", "--password-stdin", "--login")
KEY = "a-secret-of-the-operator-with-32-characters"


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    """A PostgreSQL database without rows."""
    with session_databases.using("postgresql"):
        yield address_for(tmp_path)


def create_admin(folder, login="boss-1", **variables: str) -> subprocess.CompletedProcess[str]:
    return run_command(folder, *CREATE, login, stdin=PASSWORD, **variables)


def stop_at_once(folder, **variables: str) -> tuple[str, list[str]]:
    """The start block and the log of a gateway that is stopped when it has started."""
    with GatewayProcess(folder, **variables) as gateway:
        block = gateway.wait_until_started()
        assert gateway.stop() == 0
    return block, gateway.errors


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The only line of a command that was refused."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_the_first_admin_is_made_where_the_gateway_is_and_nowhere_else(tmp_path, address):
    block, _ = stop_at_once(tmp_path, **{URL: address, "PU_SECRET_KEY": KEY})
    place = make_url(address)
    assert f"Database     PostgreSQL {place.database} at 127.0.0.1:{place.port}" in block
    assert re.search(rf"create-admin --login NAME\n +with {URL}, PU_SECRET_KEY set as for this gateway", block)
    assert str(place.password) not in block
    assert KEY not in block
    kept = (tmp_path / "data" / "database.json").read_text()
    assert str(place.password) not in kept
    for command in ((*CREATE, "boss-1"), ("rotate-secret-key",), ("accept-keys",), ("config",)):
        line = refused(run_command(tmp_path, *command, stdin=PASSWORD))
        assert f"PostgreSQL {place.database} at 127.0.0.1:{place.port}" in line
        assert f"set {URL}" in line
    assert not (tmp_path / "data" / "pepeunit.sqlite3").exists()
    assert "secret_key" not in json.loads((tmp_path / "data" / "secrets.json").read_text())
    done = create_admin(tmp_path, **{URL: address, "PU_SECRET_KEY": KEY})
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        f"Admin boss-1 is made in the data folder {tmp_path}/data, database PostgreSQL {place.database} at "
        f"127.0.0.1:{place.port}\n"
    )


def test_only_a_start_of_the_gateway_changes_the_database_of_a_folder_and_says_so(tmp_path, address):
    assert create_admin(tmp_path).returncode == 0
    assert f"unset {URL}" in refused(create_admin(tmp_path, **{URL: address}))
    said = "went with the SQLite file of the data folder until now"
    assert [said in stop_at_once(tmp_path, **{URL: address})[0] for _ in range(2)] == [True, False]
    assert f"set {URL}" in refused(create_admin(tmp_path))


def test_where_no_gateway_has_been_a_command_for_one_is_refused_and_makes_none(tmp_path):
    (tmp_path / "data").mkdir()
    for command in (("rotate-secret-key",), ("rotate-secret-key", "--drop-previous"), ("cleanup",), ("late-units",)):
        line = refused(run_command(tmp_path, *command))
        assert f"never been a gateway in the data folder {tmp_path}/data: set PU_DATA_DIR" in line
        assert ".env" in line
    assert list((tmp_path / "data").iterdir()) == []


def test_without_a_terminal_the_password_of_an_admin_is_read_only_if_that_was_said(tmp_path):
    done = run_command(tmp_path, "user", "create-admin", "--login", "boss-1", stdin=PASSWORD)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--password-stdin" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_new_data_folder_is_told_in_one_line(tmp_path):
    first, second = create_admin(tmp_path), create_admin(tmp_path, "boss-2")
    assert first.stderr.splitlines()[0] == (
        f"pepeunit gateway: the data folder {tmp_path}/data is made now; PU_DATA_DIR names another one"
    )
    assert second.stderr.splitlines() == [f"Admin boss-2 is made in the data folder {tmp_path}/data"]


@pytest.mark.parametrize(
    ("chosen", "advice"),
    [
        ({}, r"PU_HTTP_HOST=0\.0\.0\.0 PU_DOMAIN=\S+ PU_MQTT_HOST=\S+"),
        ({"PU_DOMAIN": "devices.example"}, r"PU_HTTP_HOST=0\.0\.0\.0 PU_MQTT_HOST=\S+"),
        ({"PU_DOMAIN": "127.0.0.1:80", "PU_MQTT_HOST": "mqtt.example"}, r"PU_HTTP_HOST=0\.0\.0\.0"),
    ],
)
def test_no_other_address_is_advised_than_one_that_was_chosen(tmp_path, chosen, advice):
    block, _ = stop_at_once(tmp_path, **chosen)
    assert re.fullmatch(advice, block.splitlines()[-1].strip())


def test_a_second_gateway_with_other_keys_on_one_database_is_refused(tmp_path, address):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    stop_at_once(one, **{URL: address})
    secrets = json.loads((one / "data" / "secrets.json").read_text())
    encrypt, secret = {"PU_ENCRYPT_KEY": secrets["encrypt_key"]}, {"PU_SECRET_KEY": secrets["secret_key"]}
    assert "another PU_ENCRYPT_KEY" in refused(run_command(two, "run", **{URL: address}))
    assert "another PU_SECRET_KEY" in refused(run_command(two, "run", **{URL: address}, **encrypt))
    _, log = stop_at_once(two, **{URL: address, "PU_DOMAIN": "other.example"}, **encrypt, **secret)
    assert [json.loads(line)["now"] for line in log if "storage.domain.differs" in line] == ["other.example"]


def test_a_folder_whose_secrets_are_lost_is_told_and_may_go_on_with_new_ones(tmp_path):
    assert create_admin(tmp_path).returncode == 0
    (tmp_path / "data" / "secrets.json").unlink()
    line = refused(run_command(tmp_path, "run"))
    assert "secrets.json" in line
    assert "accept-keys" in line
    done = run_command(tmp_path, "accept-keys")
    assert done.returncode == 0, done.stderr
    stop_at_once(tmp_path)


def test_keys_that_cannot_be_used_are_not_accepted(tmp_path):
    assert create_admin(tmp_path).returncode == 0
    assert "PU_ENCRYPT_KEY must be" in refused(run_command(tmp_path, "accept-keys", PU_ENCRYPT_KEY="bm90IGEga2V5"))
    stop_at_once(tmp_path)


def test_a_key_that_is_dropped_at_once_leaves_a_database_that_starts(tmp_path):
    assert create_admin(tmp_path).returncode == 0
    for command in (("rotate-secret-key",), ("rotate-secret-key", "--drop-previous")):
        done = run_command(tmp_path, *command)
        assert done.returncode == 0, done.stderr
    stop_at_once(tmp_path)


def test_a_moved_data_folder_keeps_its_own_file(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    assert create_admin(old).returncode == 0
    shutil.move(old, new)
    assert create_admin(new, "boss-2").returncode == 0
    elsewhere = f"sqlite:///{tmp_path}/other.sqlite3"
    assert f"work on the SQLite file {tmp_path}/other.sqlite3: unset {URL}" in refused(
        create_admin(new, "boss-3", **{URL: elsewhere})
    )
    assert not (tmp_path / "other.sqlite3").exists()


def test_after_a_change_of_pu_domain_the_start_tells_how_many_units_are_late_and_a_command_lists_them(tmp_path):
    stop_at_once(tmp_path, PU_DOMAIN="old.example")
    unit = uuid4()
    with sqlite3.connect(tmp_path / "data" / "pepeunit.sqlite3") as file:
        file.execute(
            "INSERT INTO units (uuid, name, create_datetime, last_update_datetime) VALUES (?, 'porch', ?, ?)",
            (unit.hex, "2026-01-01 00:00:00", "2026-01-01 00:00:00"),
        )
    file.close()
    block, _ = stop_at_once(tmp_path, PU_DOMAIN="new.example")
    assert "1 units use a previous PU_DOMAIN" in block
    done = run_command(tmp_path, "late-units")
    assert (done.returncode, done.stdout.split()) == (0, [str(unit), "porch", "old.example"])


def test_disk_is_freed_by_hand_without_a_gateway_and_beside_one(tmp_path):
    assert create_admin(tmp_path).returncode == 0
    assert run_command(tmp_path, "cleanup").returncode == 0
    archives = tmp_path / "data" / "archives" / str(uuid4())
    with GatewayProcess(tmp_path) as gateway:
        gateway.wait_until_started()
        archives.mkdir(parents=True)
        (archives / "of a registry that is gone").write_bytes(b"x" * 500)
        done = run_command(tmp_path, "cleanup")
        assert gateway.stop() == 0
    assert done.stdout.splitlines() == [
        "removed mirrors: 0", "packed mirrors: 0", "removed archives: 1", "freed bytes: 500", "failed: 0",
    ]  # fmt: skip
    assert not archives.exists()
