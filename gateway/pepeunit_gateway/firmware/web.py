"""Questions to git servers and their platforms over HTTP, without git.

Addresses are checked where they are used: the same look-up that is checked is the one that is connected to, so a name
that changes its answer gains nothing. No redirect is followed, no proxy or cookie is used, answers are bounded.
Source: decisions.md 24.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDictProxy
from yarl import URL

from pepeunit_gateway.errors import RepositoryRegistryError
from pepeunit_gateway.firmware.addresses import is_public, resolve_host
from pepeunit_gateway.firmware.urls import literal_address

__all__ = ["Answer", "TooLongError", "Web", "WebError"]

_RESOLVE_LIMIT = 10.0
_CONNECT_LIMIT = 10.0
_PER_HOST = 4


class WebError(Exception):
    """No usable answer; the text says why and holds neither a credential nor the path of the URL."""


class TooLongError(WebError):
    """The answer is longer than was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; header names are compared without case."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class Web:
    """HTTP to hosts that may be visited. Make it anywhere; the connections belong to the loop of the first question.

    Args:
        allow_private: PU_GIT_ALLOW_PRIVATE: http:// and private or loopback addresses.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None, max_bytes: int, limit: float) -> Answer:
        """Ask once.

        Args:
            url: http or https, without user and password.
            headers: of the request; a credential may be among them.
            max_bytes: of the body.
            limit: seconds for everything.

        Raises:
            WebError: not allowed, no connection, no answer in time, or too long a one.
        """
        address = URL(url, encoded=True)  # as written: %2F stays %2F
        self._check(address)
        timeout = aiohttp.ClientTimeout(total=limit, connect=min(limit, _CONNECT_LIMIT))
        try:
            async with self._opened().get(address, headers=headers, timeout=timeout, allow_redirects=False) as response:
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > max_bytes:
                        raise TooLongError(f"the answer is longer than {max_bytes} bytes")
                return Answer(response.status, response.headers, bytes(body))
        except TimeoutError:
            raise WebError(f"no complete answer within {limit:g} s") from None
        except aiohttp.ClientConnectorCertificateError:
            raise WebError("the TLS certificate was not accepted") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise WebError(_reason(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _check(self, url: URL) -> None:
        if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
            raise WebError("the address must be http or https, without user and password")
        literal = literal_address(url.host)
        if self._allow_private:
            return
        if url.scheme == "http":
            raise WebError("http:// needs PU_GIT_ALLOW_PRIVATE=true; use https://")
        if literal is not None and not is_public(literal):
            raise WebError("the address is private; if that is meant, the operator sets PU_GIT_ALLOW_PRIVATE=true")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=_Checked(allow_private=self._allow_private), use_dns_cache=False, limit_per_host=_PER_HOST
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,  # a short answer may unpack to a long one
                headers={"User-Agent": "pepeunit", "Accept-Encoding": "identity"},
            )
        return self._session


class _Checked(AbstractResolver):
    """Looks names up and refuses what must not be visited; aiohttp connects to exactly what it returns."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the signature is aiohttp's
    ) -> list[ResolveResult]:
        try:
            found = await resolve_host(host, port, allow_private=self._allow_private, limit=_RESOLVE_LIMIT)
        except RepositoryRegistryError as error:
            raise OSError(error.message) from None
        return [_result(host, text, port) for text in found]

    async def close(self) -> None:
        """Hold nothing."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return str(error.os_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return f"the connection failed ({type(error).__name__})"
