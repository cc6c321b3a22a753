"""Whether a git server answers at all: a connection, and over https its TLS handshake, with a time limit of our own.

git has none for either. A server that takes connections and stays silent would hold a sync until the end of its time,
because the limits on speed that git knows begin with the first request.
"""

import asyncio
import ssl

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.remotes import Remote

__all__ = ["probe"]


async def probe(remote: Remote, *, limit: float) -> None:
    """Return when one of the remote's addresses answers, or when all refuse, which git explains better.

    Certificates are not looked at and nothing is sent. `limit` is in seconds.

    Raises:
        RepositoryRegistryError: neither an answer nor a refusal within `limit`.
    """
    attempts = {asyncio.create_task(_greet(remote, address)) for address in remote.addresses}
    pending = attempts
    try:
        async with asyncio.timeout(limit):
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if any(attempt.result() for attempt in done):
                    return
    except TimeoutError:
        raise RepositoryRegistryError(
            f"The git server at {remote.url.host}:{remote.url.port} did not answer within {limit:g} s; check that it "
            "runs and that this machine may connect to it, then try again"
        ) from None
    finally:
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)


async def _greet(remote: Remote, address: str) -> bool:
    """Connect and hang up; tell whether that went well."""
    context = None
    if remote.url.scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol,
            address,
            remote.url.port,
            ssl=context,
            server_hostname=remote.url.host if context else None,
        )
    except (OSError, ValueError):  # refused, no TLS, or a name that TLS does not take
        return False
    transport.abort()
    return True
