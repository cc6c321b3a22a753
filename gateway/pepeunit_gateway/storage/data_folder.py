"""The data folder: who may write there, who uses it, and what is kept in it between starts.

Source: design.md rule 6 and "Settings of our own", decisions.md 19 and 23.
"""

import base64
import fcntl
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import Settings

__all__ = ["database_url", "hold_folder", "local_address", "make_folder", "prepare_folder"]

_SECRETS = "secrets.json"
_ADDRESSES = "addresses.json"
_LOCK = "gateway.lock"
_SECRETS_LOCK = "secrets.lock"

log = structlog.get_logger(__name__)


def database_url(settings: Settings) -> URL:
    """Return the address of the database: PU_SQLALCHEMY_DATABASE_URL, or a file in the data folder."""
    given = settings.sqlalchemy_database_url.get_secret_value()
    path = make_url(given).database if given else str(settings.data_dir / "pepeunit.sqlite3")
    return URL.create("sqlite+aiosqlite", database=path)


def make_folder(settings: Settings) -> Path:
    """Make the data folder (mode 0700) if it is missing, and see that it can be written.

    Raises:
        StartError: it cannot.
    """
    folder = settings.data_dir.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, probe = tempfile.mkstemp(prefix=".probe-", dir=folder)
        os.close(descriptor)
        Path(probe).unlink()
    except OSError as error:
        raise StartError(
            f"The data folder {folder} cannot be written by user {_user_name()}: {error.strerror}. "
            f"Set PU_DATA_DIR to a folder of your own, or give this one to that user: chown -R {_user_name()} {folder}"
        ) from error
    return folder


def prepare_folder(settings: Settings, *, starting: bool) -> Settings:
    """Make the folder if it is missing and return the settings with secrets and addresses filled in.

    What was generated or derived at the first start is read back at every later one. Addresses are kept, and compared
    with what the machine has, only when the gateway is `starting` and holds the folder: a command of the operator may
    have other settings.

    Raises:
        StartError: the folder cannot be made or written, or what is kept in it is damaged.
    """
    folder = make_folder(settings)
    filled = settings.model_copy(update={"data_dir": folder})
    try:
        with _lock(folder / _SECRETS_LOCK):
            filled = _with_secrets(filled)
        return _with_addresses(filled, starting=starting)
    except OSError as error:
        raise StartError(f"The data folder {folder} cannot be used: {error}. Check the files in it.") from error


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Keep a second gateway off the folder for the length of the block.

    Raises:
        StartError: another one runs.
    """
    with (folder / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StartError(
                f"Another gateway (process {lock.read().strip() or 'unknown'}) runs on the data folder {folder}. "
                "Stop it, or set PU_DATA_DIR to another folder."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a short lock between processes: two that start on an empty folder make one set of secrets."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _user_name() -> str:
    return os.environ.get("USER") or str(os.geteuid())


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_bytes())
    except ValueError as error:
        raise StartError(f"{path} is damaged ({error}); restore it from a backup") from None
    if not isinstance(values, dict):
        raise StartError(f"{path} is damaged; restore it from a backup")
    return values


def _write(path: Path, values: dict[str, Any]) -> None:
    """Replace the file at once and for good; nobody else may read it."""
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        json.dump(values, file, indent=4)
        file.flush()
        os.fsync(file.fileno())
    Path(new).replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _with_secrets(settings: Settings) -> Settings:
    path = settings.data_dir / _SECRETS
    kept = _read(path)
    generated = {
        "secret_key": secrets.token_urlsafe(32),
        "encrypt_key": base64.b64encode(os.urandom(32)).decode(),
    }
    missing = {
        name: value
        for name, value in generated.items()
        if name not in kept and not getattr(settings, name).get_secret_value()
    }
    if missing:
        kept |= missing
        _write(path, kept)
    update = {
        name: SecretStr(kept[name])
        for name in generated
        if name in kept and not getattr(settings, name).get_secret_value()
    }
    return settings.model_copy(update=update)


def local_address() -> str:
    """Return this machine's address on its network, or 127.0.0.1; no packet is sent for that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: connecting UDP only looks up the route
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _is_ours(host: str) -> bool:
    """Tell whether `host` names an address of this machine, by binding to it."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.bind(address)
            except OSError:
                continue
            return True
    return False


def _derive(settings: Settings) -> dict[str, Any]:
    wildcard = settings.http_host in ("0.0.0.0", "::", "")  # noqa: S104 - recognised here, not bound
    host = local_address() if wildcard else settings.http_host
    if ":" in host:
        raise StartError(f"PU_HTTP_HOST={host}: set PU_DOMAIN and PU_MQTT_HOST to the name that devices use")
    return {"domain": f"{host}:{settings.http_port}", "mqtt_host": host, "secure": False}


def _with_addresses(settings: Settings, *, starting: bool) -> Settings:
    """Fill PU_DOMAIN, PU_MQTT_HOST and PU_SECURE (decisions.md 19): set ones win and are kept, others are kept ones."""
    path = settings.data_dir / _ADDRESSES
    kept = _read(path)
    given = {"domain": settings.domain, "mqtt_host": settings.mqtt_host, "secure": settings.secure}
    chosen = {name: value for name, value in given.items() if value not in ("", None)}
    derived = {} if given.keys() <= kept.keys() | chosen.keys() else _derive(settings)
    final = {**derived, **kept, **chosen}
    if starting:
        if final != kept:
            _write(path, final)
        _compare(settings, {name: value for name, value in kept.items() if name not in chosen})
    return settings.model_copy(update=final)


def _compare(settings: Settings, kept: dict[str, Any]) -> None:
    """Say where a kept address is no longer this machine's; nothing is changed for that."""
    for name in ("domain", "mqtt_host"):
        if name in kept and not _is_ours(str(kept[name]).partition(":")[0]):
            log.warning(
                "settings.address.gone",
                variable=f"PU_{name.upper()}",
                kept=kept[name],
                hint=f"this machine no longer has it; devices use it until you set PU_{name.upper()}",
            )
    port = str(kept.get("domain", "")).partition(":")[2]
    if port and int(port) != settings.http_port:
        log.warning(
            "settings.address.moved",
            kept=kept["domain"],
            port=settings.http_port,
            hint="devices were told the kept address; set PU_DOMAIN to tell them the new one",
        )
