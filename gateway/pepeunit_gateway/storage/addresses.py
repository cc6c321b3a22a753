"""The addresses that devices are told: derived once, kept, and changed only on purpose.

Source: design.md "Settings of our own", decisions.md 19.
"""

import socket
from pathlib import Path
from typing import Any

import structlog

from pepeunit_gateway.errors import StartError
from pepeunit_gateway.settings import Settings
from pepeunit_gateway.storage.kept_file import read_kept, write_kept

__all__ = ["fill_addresses", "keep_addresses", "local_address"]

_ADDRESSES = "addresses.json"
_NAMES = ("domain", "mqtt_host", "secure")

log = structlog.get_logger(__name__)


def local_address() -> str:
    """Return this machine's address on its network, or 127.0.0.1; no packet is sent for that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: connecting UDP only looks up the route
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def fill_addresses(settings: Settings) -> Settings:
    """Fill PU_DOMAIN, PU_MQTT_HOST and PU_SECURE: set ones win, then kept ones, then derived ones. Writes nothing."""
    kept, chosen = read_kept(_path(settings)), _chosen(settings)
    derived = {} if set(_NAMES) <= kept.keys() | chosen.keys() else _derive(settings)
    if settings.tls_cert is not None:
        kept = {**kept, "secure": True}  # the port speaks nothing else
    return settings.model_copy(update={**derived, **kept, **chosen})


def keep_addresses(given: Settings, final: Settings) -> None:
    """Keep the addresses of a gateway that listens by now, for its later starts.

    A start that failed keeps nothing. Where the machine no longer has a kept address, that is said and nothing changes.
    """
    path, kept, chosen = _path(final), read_kept(_path(final)), _chosen(given)
    values = {name: getattr(final, name) for name in _NAMES}
    if values != kept:
        write_kept(path, values)
    if kept.get("secure") is False and final.secure:
        log.warning("settings.address.secure", hint="units made before were told http; they need their env.json anew")
    _compare(final, {name: value for name, value in kept.items() if name not in chosen})


def _path(settings: Settings) -> Path:
    return settings.data_dir / _ADDRESSES


def _chosen(settings: Settings) -> dict[str, Any]:
    return {name: value for name in _NAMES if (value := getattr(settings, name)) not in ("", None)}


def _derive(settings: Settings) -> dict[str, Any]:
    wildcard = settings.http_host in ("0.0.0.0", "::", "")  # noqa: S104 - recognised here, not bound
    host = local_address() if wildcard else settings.http_host
    if ":" in host:
        raise StartError(f"PU_HTTP_HOST={host}: set PU_DOMAIN and PU_MQTT_HOST to the name that devices use")
    return {"domain": f"{host}:{settings.http_port}", "mqtt_host": host, "secure": settings.tls_cert is not None}


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
            hint="devices are told the kept address; set PU_DOMAIN to tell new ones another",
        )
