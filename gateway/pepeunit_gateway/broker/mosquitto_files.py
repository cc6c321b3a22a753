"""The files that mosquitto reads: its configuration, and one static file of the dynamic-security plugin.

Written anew at every start, mode 0600, never changed while units come and go.
Source: mosquitto.md "Configuration that worked", design.md "The broker on one machine".
"""

import base64
import hashlib
import json
import os
import shutil
from pathlib import Path

from pepeunit_gateway.broker.walker import DENIED_TOPIC
from pepeunit_gateway.errors import StartError

__all__ = ["GATEWAY_USER", "dynsec_json", "find_executable", "find_plugin", "mosquitto_conf", "remove", "write_private"]

GATEWAY_USER = "gateway"

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
_PLUGIN = "mosquitto_dynamic_security.so"
_PLUGIN_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/mosquitto", "/opt/homebrew/lib")
_ITERATIONS = 101  # what the plugin itself uses; the password is 32 random bytes, so guessing is hopeless anyway
# Not 0, which means unlimited too: mosquitto 2.0 then disconnects a client after every PUBLISH it denies with QoS > 0.
_UNLIMITED = 1_000_000_000
_INSTALL = "Install it with `apt-get install mosquitto` (`make run` does so without starting its service)."


def find_executable(name: str) -> str:
    """Return the path of mosquitto, also where PATH lacks the sbin folders.

    Raises:
        StartError: not installed.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}")
    if path is None:
        raise StartError(f"mosquitto is not installed ({name!r} was not found). {_INSTALL}")
    return path


def find_plugin() -> str:
    """Return the path of the dynamic-security plugin; its folder differs by architecture.

    Raises:
        StartError: not there.
    """
    for folder in map(Path, _PLUGIN_FOLDERS):
        for path in (folder / _PLUGIN, *folder.glob(f"*-linux-*/{_PLUGIN}")):
            if path.is_file():
                return str(path)
    raise StartError(f"mosquitto's plugin {_PLUGIN} was not found; mosquitto 2.0 or newer is needed. {_INSTALL}")


def mosquitto_conf(*, socket: str, plugin: str, as_root: bool) -> str:
    """Return mosquitto.conf; other names in it are relative to the broker's own folder, its working directory.

    `as_root`: started by root, mosquitto would change to a user who cannot read the folder, and lose its
    parent-death signal with the change; `user root` keeps both.
    """
    lines = [
        "per_listener_settings false",
        f"listener 0 {socket}",
        "max_topic_alias 0",
        "allow_anonymous true",
        f"plugin {plugin}",
        "plugin_opt_config_file dynsec.json",
        "persistence true",
        "autosave_interval 1",
        f"max_queued_messages {_UNLIMITED}",
        "queue_qos0_messages true",
        "retain_available false",
        "connection_messages false",
        "log_dest stderr",
        "log_timestamp false",
        "log_type error",
        "log_type warning",
        "log_type notice",
    ]
    if as_root:
        lines.append("user root")
    return "\n".join(lines) + "\n"


def dynsec_json(password: str, salt: bytes) -> str:
    """Return the static rules: devices may use everything but `$CONTROL/#`, `$SYS/#` and `denied`.

    The door decides what a device may do; these rules only keep it from mosquitto's own topics, and answer "denied".
    """
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, 64)
    rules = {
        "defaultACLAccess": dict.fromkeys(
            ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), False
        ),
        "clients": [
            {
                "username": GATEWAY_USER,
                "roles": [{"rolename": "gateway"}],
                "password": base64.b64encode(digest).decode(),
                "salt": base64.b64encode(salt).decode(),
                "iterations": _ITERATIONS,
            }
        ],
        "groups": [{"groupname": "devices", "roles": [{"rolename": "device"}]}],
        "anonymousGroup": "devices",
        "roles": [
            {"rolename": "gateway", "acls": _acls(denied=())},
            {"rolename": "device", "acls": _acls(denied=("$CONTROL/#", "$SYS/#", DENIED_TOPIC.decode()))},
        ],
    }
    return json.dumps(rules, indent=1)


def _acls(*, denied: tuple[str, ...]) -> list[dict[str, object]]:
    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern", "unsubscribePattern")
    forbidding = [
        {"acltype": kind, "topic": topic, "priority": 1, "allow": False} for topic in denied for kind in kinds[:3]
    ]
    return forbidding + [{"acltype": kind, "topic": "#", "priority": 0, "allow": True} for kind in kinds]


def write_private(path: Path, text: str) -> None:
    """Write `path` with mode 0600, whatever was there before."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def remove(path: Path) -> None:
    """Remove a file of the broker's folder if it is there."""
    path.unlink(missing_ok=True)
