"""Where a host name leads, and whether we may go there.

Names are resolved just before a connection and the result is pinned, so that a name that changes its address between
check and use gains nothing. Which addresses are public stands here and not in the library, whose lists differ between
patch releases of Python. Source: decisions.md 24; the IANA registries of IPv4 and IPv6 special-purpose addresses.
"""

import asyncio
import socket
import threading
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from pepeunit_gateway.errors import RepositoryRegistryError

__all__ = ["is_public", "resolve_host"]

_SPECIAL_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by the customers of one provider
            "127.0.0.0/8",
            "169.254.0.0/16",  # of one link, and what clouds tell their machines
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocols
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # measurements
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_UNICAST_6 = IPv6Network("2000::/3")  # all that is given out; the rest is local, multicast or reserved
_SPECIAL_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols: Teredo, measurements, ORCHID and others
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
_WRAPPED = ((IPv6Network("::ffff:0:0/96"), 0), (IPv6Network("64:ff9b::/96"), 0), (IPv6Network("2002::/16"), 80))
"""Where an IPv4 address stands in an IPv6 one (mapped, NAT64, 6to4): the network, and the bits behind the address."""

_MAX_ADDRESSES = 8


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address belongs to the open Internet; an IPv4 address wrapped in IPv6 counts as itself."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    for network, behind in _WRAPPED:
        if address in network:
            return is_public(IPv4Address(int(address) >> behind & 0xFFFF_FFFF))
    return address in _UNICAST_6 and not any(address in network for network in _SPECIAL_6)


async def resolve_host(host: str, port: int, *, allow_private: bool, limit: float) -> tuple[str, ...]:
    """Return the addresses behind `host`, at most 8, in the resolver's order.

    The resolver cannot be stopped: it runs in a thread that a process does not wait for when it ends. `limit` is in
    seconds.

    Raises:
        RepositoryRegistryError: no such host, no answer in time, or an address that only PU_GIT_ALLOW_PRIVATE opens.
    """
    answer: Future[list[str]] = Future()
    threading.Thread(target=_look_up, args=(host, port, answer), name="resolver", daemon=True).start()
    try:
        async with asyncio.timeout(limit):
            found = await asyncio.wrap_future(answer)
    except TimeoutError as error:
        raise RepositoryRegistryError(f"Looking up the host {host} took longer than {limit:g} s; try again") from error
    except (OSError, UnicodeError) as error:
        raise RepositoryRegistryError(f"There is no host {host}; check the repository URL") from error
    texts = dict.fromkeys(text.partition("%")[0] for text in found)
    if not allow_private and not all(is_public(ip_address(text)) for text in texts):
        raise RepositoryRegistryError(
            f"The host {host} leads to a private or loopback address; "
            "if that is meant, the operator sets PU_GIT_ALLOW_PRIVATE=true"
        )
    return tuple(texts)[:_MAX_ADDRESSES]


def _look_up(host: str, port: int, answer: "Future[list[str]]") -> None:
    answer.set_running_or_notify_cancel()
    try:
        answer.set_result([str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
        answer.set_exception(error)
