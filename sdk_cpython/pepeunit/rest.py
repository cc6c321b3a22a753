"""Calls to the gateway over HTTP. Source: protocol/device.md 2.2.

Redirects are not followed: the token goes to the gateway that env.json names and nowhere else. Every call has a limit
of time, for each read and in all, and a limit of size.
"""

import hashlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from .env import Env
from .errors import RestError
from .tls import tls_context
from .worker import Workers

__all__ = ["Rest"]

_CHUNK = 64 * 1024
_MAX_ANSWER = 4 * 1024 * 1024
_MAX_DETAIL = 300
_OK = range(200, 300)
_MAX_RETRY_AFTER = 3600.0

_Result = TypeVar("_Result")


@dataclass
class _Call:
    """One call, in a thread. `abort` is the only method that another thread may call."""

    env: Env
    timeout: float
    deadline: float
    wire: socket.socket | None = field(default=None, init=False)
    response: http.client.HTTPResponse | None = field(default=None, init=False)
    aborted: bool = field(default=False, init=False)

    def open(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        url = urlsplit(self.env.base_url())
        if not url.hostname:
            raise RestError("PU_DOMAIN in env.json is no address: download env.json of this unit again")
        connection: http.client.HTTPConnection
        if url.scheme == "https":
            context = tls_context(self.env.text("PU_CA_CERT"))
            connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=self.timeout, context=context)
        else:
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=self.timeout)
        connection.connect()
        # The connection lets go of its socket when the answer says `close`; `abort` needs it until the end.
        self.wire = connection.sock
        if self.aborted:
            raise RestError("the call was given up")
        connection.request(method, url.path + path, body=body, headers=headers)
        self.response = connection.getresponse()
        return self.response

    def chunks(self, response: http.client.HTTPResponse, limit: int) -> Iterator[bytes]:
        """The body piece by piece. Raises RestError if it is too long, too slow or ends before its Content-Length."""
        expected = response.length
        taken = 0
        while chunk := response.read1(_CHUNK):
            taken += len(chunk)
            if taken > limit:
                raise RestError(f"the answer is longer than {limit} bytes")
            if time.monotonic() > self.deadline:
                raise RestError("the answer takes too long")
            yield chunk
        if expected is not None and taken != expected:
            raise RestError(f"the answer was cut: {taken} of {expected} bytes came")

    def abort(self) -> None:
        """Called from the loop: make the thread's blocked read or write fail now."""
        self.aborted = True
        if self.wire is not None:
            with suppress(OSError):
                # shutdown wakes the thread that reads; closing alone would not.
                self.wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        # Both: a socket stays open as long as an answer that was not read to its end holds it.
        for held in (self.response, self.wire):
            if held is not None:
                held.close()


class Rest:
    """The gateway as one unit sees it. `env` is asked at every call, so that a new env.json counts at once."""

    def __init__(self, env: Callable[[], Env], workers: Workers, *, timeout: float = 15.0) -> None:
        self._env = env
        self._workers = workers
        self._timeout = timeout

    async def get(self, path: str) -> bytes:
        """The body of `GET <base><path>`. Raises RestError."""
        return await self._run("GET", path, None, lambda call, response: b"".join(call.chunks(response, _MAX_ANSWER)))

    async def post(self, path: str, body: bytes) -> bytes:
        """The body of the answer to a POST of JSON. Raises RestError."""
        return await self._run("POST", path, body, lambda call, response: b"".join(call.chunks(response, _MAX_ANSWER)))

    async def download(
        self, path: str, sink: Callable[[Iterator[bytes]], None], *, limit: int, time_limit: float
    ) -> None:
        """Stream a body into `sink` (called in a thread) and check it against the gateway's SHA-256.

        Raises RestError if it is cut, too long, too slow, altered, or comes without the header `Repr-Digest`.
        """

        def receive(call: _Call, response: http.client.HTTPResponse) -> None:
            expected = _sha256(response.headers.get("Repr-Digest", ""))
            digest = hashlib.sha256()

            def watched() -> Iterator[bytes]:
                for chunk in call.chunks(response, limit):
                    digest.update(chunk)
                    yield chunk

            sink(watched())
            if digest.digest() != expected:
                raise RestError("the download has not the SHA-256 that the gateway gave: it was altered on its way")

        await self._run("GET", path, None, receive, time_limit=time_limit)

    async def _run(
        self,
        method: str,
        path: str,
        body: bytes | None,
        receive: Callable[[_Call, http.client.HTTPResponse], _Result],
        time_limit: float | None = None,
    ) -> _Result:
        env = self._env()
        whole = time_limit or 2 * self._timeout
        call = _Call(env, self._timeout, time.monotonic() + whole)
        headers = {"x-auth-token": env.text("PU_AUTH_TOKEN"), "accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"

        def work() -> _Result:
            try:
                response = call.open(method, path, body, headers)
                _check_status(response, call)
                return receive(call, response)
            except http.client.HTTPException as error:
                raise RestError(f"the answer is no complete HTTP: {type(error).__name__}") from None
            except OSError:
                raise  # a refused certificate is an OSError and a ValueError
            except ValueError as error:
                # Of a header or address that http.client refuses; its text may hold the token.
                raise RestError(f"env.json makes no valid request: {type(error).__name__}") from None
            finally:
                call.close()

        where = path.partition("?")[0]
        try:
            return await self._workers.run(work, time_limit=whole, abort=call.abort)
        except RestError as error:
            raise RestError(f"{method} {where}: {error}", status=error.status, retry_after=error.retry_after) from None
        except TimeoutError:
            raise RestError(f"{method} {where}: the gateway did not answer in time") from None
        except OSError as error:
            raise RestError(f"{method} {where}: {error.strerror or error} ({env.text('PU_DOMAIN')})") from None


def _check_status(response: http.client.HTTPResponse, call: _Call) -> None:
    if response.status in _OK:
        return
    detail = b""
    with suppress(RestError, OSError, http.client.HTTPException):
        for chunk in call.chunks(response, _CHUNK):
            detail += chunk
            if len(detail) > _MAX_DETAIL:
                break
    text = detail[:_MAX_DETAIL].decode("utf-8", "replace")
    for secret in call.env.secrets():
        text = text.replace(secret, "***")
    raise RestError(
        f"the gateway answered {response.status} {text}".rstrip(),
        status=response.status,
        retry_after=_seconds(response.headers.get("Retry-After", "")),
    )


def _seconds(value: str) -> float:
    return min(float(value), _MAX_RETRY_AFTER) if value.strip().isdigit() else 0.0


def _sha256(header: str) -> bytes:
    """The SHA-256 of a `Repr-Digest` header (RFC 9530): `sha-256=:<base64>:`, among others."""
    import binascii  # only needed by updates

    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "sha-256" and value.startswith(":") and value.endswith(":"):
            try:
                return binascii.a2b_base64(value[1:-1], strict_mode=True)
            except binascii.Error:
                break
    raise RestError("the gateway gave no SHA-256 in the header Repr-Digest; what cannot be checked is not installed")
