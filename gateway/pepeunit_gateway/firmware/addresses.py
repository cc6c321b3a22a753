"""Where a host name leads, and whether we may go there.

Names are resolved just before a connection and the result is pinned, so that a name that changes its address between
check and use gains nothing. Source: decisions.md 24.
"""

import asyncio
import socket
import threading
from concurrent.futures import Future
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from pepeunit_gateway.errors import RepositoryRegistryError

__all__ = ["is_public", "resolve_host"]

_NAT64 = IPv6Network("64:ff9b::/96")
_MAX_ADDRESSES = 8


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address belongs to the open Internet; an IPv4 address wrapped in IPv6 counts as itself."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


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
