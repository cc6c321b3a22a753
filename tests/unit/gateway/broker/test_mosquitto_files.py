import base64
import hashlib
import json
import stat

import pytest

from pepeunit_gateway.broker.mosquitto_files import (
    dynsec_json,
    find_executable,
    mosquitto_conf,
    write_private,
)
from pepeunit_gateway.errors import StartError


def test_only_the_gateway_has_a_password_and_it_is_not_stored_in_clear():
    text = dynsec_json("secret-password", b"salt")
    (client,) = json.loads(text)["clients"]
    expected = hashlib.pbkdf2_hmac("sha512", b"secret-password", b"salt", client["iterations"], 64)
    assert client["username"] == "gateway"
    assert base64.b64decode(client["password"]) == expected
    assert "secret-password" not in text


def test_devices_are_kept_from_mosquitto_s_own_topics_and_from_denied():
    rules = json.loads(dynsec_json("p", b"s"))
    (device,) = [role for role in rules["roles"] if role["rolename"] == "device"]
    forbidden = {acl["topic"] for acl in device["acls"] if not acl["allow"]}
    assert forbidden == {"$CONTROL/#", "$SYS/#", "denied"}
    assert all(acl["priority"] > 0 for acl in device["acls"] if not acl["allow"])
    assert rules["anonymousGroup"] == rules["groups"][0]["groupname"]


def test_mosquitto_keeps_root_only_if_root_started_it():
    assert "user root" in mosquitto_conf(socket="m.sock", plugin="p.so", as_root=True).splitlines()
    assert "user" not in mosquitto_conf(socket="m.sock", plugin="p.so", as_root=False)


def test_mosquitto_listens_on_nothing_but_its_socket():
    lines = mosquitto_conf(socket="m.sock", plugin="p.so", as_root=False).splitlines()
    assert [line for line in lines if line.startswith(("listener", "port", "bind"))] == ["listener 0 m.sock"]


def test_a_private_file_replaces_an_open_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_mosquitto_is_found_though_path_lacks_sbin(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert find_executable("mosquitto").endswith("/mosquitto")
    with pytest.raises(StartError, match="apt-get install mosquitto"):
        find_executable("no-such-program")
