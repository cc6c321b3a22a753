"""Hosts, networks and origins as people write them in settings: checked, and read into what programs compare.

Nothing here asks the name service.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

__all__ = [
    "ANY_ORIGIN",
    "Network",
    "check_database_address",
    "check_domain",
    "check_host",
    "read_networks",
    "read_origins",
]

Network = IPv4Network | IPv6Network

ANY_ORIGIN = "*"
"""Stands for every origin."""

_HOST = re.compile(r"(?=.{1,253}$)(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^\s:/?#@\[\]]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535


def _is_host(text: str) -> bool:
    """Tell whether it is an IP address or could be a host's name."""
    try:
        ip_address(text)
    except ValueError:
        last = text.rpartition(".")[2]
        return _HOST.fullmatch(text) is not None and not last.isdigit()  # or it is an address with a mistake in it
    return True


def check_domain(value: str) -> str:
    """Return a host or `host:port` as it is; empty passes.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = value.partition(":")
    good_port = not colon or (port.isascii() and port.isdecimal() and 1 <= int(port[:6]) <= _MAX_PORT)
    if value and not (good_port and _is_host(host) and "_" not in host):
        raise ValueError(
            "must be a host, or host:port with a port from 1 to 65535, like devices.example.org:8080; "
            "no scheme, path or spaces"
        )
    return value


def check_host(value: str) -> str:
    """Return a host name or an IP address as it is; empty passes.

    Raises:
        ValueError: it is neither.
    """
    if value and not _is_host(value):
        raise ValueError(
            "must be a host name or an IP address alone, like broker.example.org: no scheme, spaces or brackets, "
            "and the port stands in PU_MQTT_PORT"
        )
    return value


def check_database_address(value: str) -> None:
    """Refuse an address of PostgreSQL that would be read otherwise than it is meant; no word of it is repeated.

    Raises:
        ValueError: an `@` or a colon of the password is not escaped, or the port is no number.
    """
    rest = value.partition("://")[2]
    if rest.count("@") > 1:
        raise ValueError("write @ as %40 in the name and the password; only the one before the host stays as it is")
    host = re.split("[/?]", rest.rpartition("@")[2], maxsplit=1)[0]
    port = re.sub(r"^\[[^\]]*\]", "", host).partition(":")[2]
    if port and not (port.isascii() and port.isdecimal()):
        raise ValueError("what stands between the host and the / must be a port, like 127.0.0.1:5432; one host alone")


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def read_networks(text: str) -> tuple[Network, ...]:
    """Read addresses and networks separated by commas, `127.0.0.1, 10.0.0.0/8, fd00::/8`.

    Raises:
        ValueError: one is neither, or has bits set behind its prefix.
    """
    networks = []
    for number, part in enumerate(_parts(text), 1):
        try:
            networks.append(ip_network(part))
        except ValueError as error:
            hint = "has host bits set; write the network's first address" if "host bits" in str(error) else "is neither"
            raise ValueError(
                f"must be IP addresses or networks separated by commas, like 127.0.0.1, 10.0.0.0/8; number {number} "
                f"{hint}"
            ) from None
    return tuple(networks)


def read_origins(text: str) -> tuple[str, ...]:
    """Read origins separated by commas in the form in which browsers send them, or `*` alone.

    Raises:
        ValueError: one is no origin, or `*` does not stand alone.
    """
    parts = _parts(text)
    if parts == [ANY_ORIGIN]:
        return (ANY_ORIGIN,)
    origins = []
    for number, part in enumerate(parts, 1):
        found = _ORIGIN.fullmatch(part)
        if found is None or not _is_host(found["host"].strip("[]")) or not 1 <= int(found["port"] or 1) <= _MAX_PORT:
            raise ValueError(
                "must be origins separated by commas, like https://app.example.org, http://localhost:3000 (scheme, "
                f"host and port alone, no path), or * alone for all; number {number} is none"
            )
        scheme, host, port = found["scheme"], found["host"].lower(), found["port"]
        shown = "" if port is None or int(port) == _DEFAULT_PORTS[scheme] else f":{int(port)}"
        origins.append(f"{scheme}://{host}{shown}")
    return tuple(dict.fromkeys(origins))
