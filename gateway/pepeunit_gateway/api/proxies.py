"""Who really asks: the client's address and scheme behind proxies that are trusted (PU_TRUSTED_PROXIES).

`X-Forwarded-For`, `X-Forwarded-Proto` and `X-Request-ID` are believed from a trusted peer alone; anybody else could
write there what they like. Each proxy adds the address of its own peer on the right, so that the client is the
right-most address that is not a trusted proxy itself; what stands left of it is the client's own invention.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp import web

from pepeunit_gateway.hosts import Network

__all__ = ["ClientAddress", "Proxies", "client_address", "parse_address"]

_FORWARDED_FOR = "X-Forwarded-For"
_FORWARDED_PROTO = "X-Forwarded-Proto"
_REQUEST_ID = "X-Request-ID"
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SITE_PREFIX = 64

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """Where a request comes from; handlers declare a parameter of this type.

    `text` is an IP address without port, `unknown` where the connection is gone already.
    """

    text: str

    @property
    def site(self) -> str:
        """What limits count: the address; of IPv6 its /64 network, of which one client has every address."""
        found = parse_address(self.text)
        if isinstance(found, IPv6Address):
            return str(ip_network((int(found), _SITE_PREFIX), strict=False))
        return self.text

    def __str__(self) -> str:
        return self.text


_CLIENT: web.RequestKey[ClientAddress] = web.RequestKey("client", ClientAddress)


def parse_address(text: str) -> Address | None:
    """Read `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`; None for anything else.

    An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) becomes IPv4; a zone (`%eth0`) is dropped.
    """
    text = text.strip()
    port = ""
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            return None
        port = port[1:] if port else ""
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
    if port and not (port.isascii() and port.isdecimal()):
        return None
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def client_address(peer: str | None, forwarded: Iterable[str], trusted: Sequence[Network]) -> ClientAddress:
    """Return the client's address.

    Args:
        peer: the other end of the connection.
        forwarded: the values of `X-Forwarded-For`, in the order of the headers.
        trusted: the networks of proxies.

    A value that is no address ends the search: the proxy that sent it is the last that is known.
    """
    found = parse_address(peer or "")
    if found is None:
        return ClientAddress("unknown")
    hops = [part for value in forwarded for part in value.split(",")] if trusted else []
    while hops and _is_in(found, trusted):
        before = parse_address(hops.pop())
        if before is None:
            break
        found = before
    return ClientAddress(str(found))


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


class Proxies:
    """What a request says of its client, as far as it may be believed."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted

    def is_trusted(self, request: web.BaseRequest) -> bool:
        """Tell whether the other end of the connection is a trusted proxy."""
        found = parse_address(request.remote or "") if self._trusted else None
        return found is not None and _is_in(found, self._trusted)

    def client(self, request: web.BaseRequest) -> ClientAddress:
        """Return the client's address."""
        found = request.get(_CLIENT)
        if found is None:
            found = client_address(request.remote, request.headers.getall(_FORWARDED_FOR, ()), self._trusted)
            request[_CLIENT] = found
        return found

    def scheme(self, request: web.BaseRequest) -> str:
        """Return `http` or `https` as the client spoke it."""
        if self.is_trusted(request):
            told = request.headers.get(_FORWARDED_PROTO, "").rpartition(",")[2].strip().lower()
            if told in ("http", "https"):
                return told
        return request.scheme

    def request_id(self, request: web.BaseRequest) -> str | None:
        """Return the id that a trusted proxy gave the request, None for none that is well-formed."""
        if self.is_trusted(request):
            told = request.headers.get(_REQUEST_ID, "")
            if _WELL_FORMED_ID.fullmatch(told):
                return told
        return None
