"""The gateway's REST API over HTTP. Source: protocol/rest.md 2.1 and 2.2.

Redirects are not followed: the token goes to the address of the login and nowhere else. Every request has a limit of
time in all, not only for each read, and a limit of size.
"""

import http.client
import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from pepeunit_tools.errors import RefusedError, UnexpectedAnswerError, UnreachableError
from pepeunit_tools.session import load, login_file
from pepeunit_tools.wording import plain

__all__ = ["FETCH_LIMIT", "Client", "Download", "Query", "Row", "kept_client"]

FETCH_LIMIT = 600.0
"""Seconds for a request in which the gateway fetches a git repository or packs an archive."""

_TIME_LIMIT = 30.0
_MAX_ANSWER = 256 * 1024 * 1024
_CHUNK = 64 * 1024
_OK = range(200, 300)
_UNAUTHORIZED = 401
_ERRORS = range(400, 600)
_CODES = re.compile(r"\d{3}: \d+: [^:]+: ")
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST")  # what OpenSSL says of an answer that is no TLS
_NO_AUTHORITY = (18, 19, 20)  # OpenSSL's X509_V_ERR: self-signed, self-signed in the chain, no issuer here
_LEAKS = ("Value error, ", "Assertion failed, ")  # what pydantic puts before the sentence of a validator

Row = Mapping[str, Any]
"""One entity of a list, as the gateway sent it."""

Query = Mapping[str, str | int | Sequence[str]]
"""A sequence repeats its key."""


@dataclass(frozen=True)
class Download:
    """A file's bytes and what the gateway says of them in the header Repr-Digest ("" if nothing)."""

    content: bytes
    repr_digest: str


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes
    repr_digest: str


class _Watch:
    """Ends a connection whose time is over; what then fails is told apart by `expired`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False

    @contextmanager
    def over(self, wire: socket.socket) -> Iterator[None]:
        timer = threading.Timer(self.seconds, self._end, [wire])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self, wire: socket.socket) -> None:
        self.expired = True
        with suppress(OSError):
            # The plain socket's method, also under TLS: it wakes the blocked reader and touches nothing of its state.
            socket.socket.shutdown(wire, socket.SHUT_RDWR)


class Client:
    """One gateway, with the token of one login or with none. Each request has a connection of its own."""

    def __init__(self, base: str, token: str | None = None, *, time_limit: float = _TIME_LIMIT) -> None:
        parts = urlsplit(base)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._parts = parts
        self._token = token
        self._time_limit = time_limit

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        time_limit: float | None = None,
    ) -> Any:
        """Send a request with a JSON body and return the answer's JSON, None where it has no body.

        Raises:
            UnreachableError, UnexpectedAnswerError, RefusedError: see errors.py.
        """
        answer = self._ask(method, path, query or {}, body, time_limit)
        return self._json(answer) if answer.body else None

    def entity(self, method: str, path: str, *, body: object = None, time_limit: float | None = None) -> Row:
        """As `call`, for answers that are one JSON object."""
        answer = self.call(method, path, body=body, time_limit=time_limit)
        if not isinstance(answer, dict):
            raise self._unexpected("without the entity that was asked for")
        return answer

    def page(self, path: str, key: str, query: Query) -> tuple[int, list[Row]]:
        """Return how many rows match and one page of them; `key` is the plural under which they come."""
        answer = self.call("GET", path, query=query)
        rows = answer.get(key) if isinstance(answer, dict) else None
        count = answer.get("count") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not isinstance(count, int):
            raise self._unexpected(f"without a list of {key}")
        return count, rows

    def rows(self, path: str, key: str, query: Query | None = None) -> list[Row]:
        """Return all matching rows, page by page; the gateway says how long a page is."""
        found: list[Row] = []
        while True:
            count, rows = self.page(path, key, {**(query or {}), "offset": len(found)})
            found += rows
            if not rows or len(found) >= count:
                return found

    def download(self, path: str, query: Query) -> Download:
        """Return a file; whether its digest fits is for the caller to check."""
        answer = self._ask("GET", path, query, None, FETCH_LIMIT)
        return Download(answer.body, answer.repr_digest)

    def _ask(self, method: str, path: str, query: Query, body: object, time_limit: float | None) -> _Answer:
        target = f"{self._parts.path}{path}" + (f"?{urlencode(query, doseq=True, errors='replace')}" if query else "")
        answer = self._exchange(method, target, body, _Watch(time_limit or self._time_limit))
        if answer.status in _OK:
            return answer
        if answer.status not in _ERRORS:
            raise self._unexpected(f"with status {answer.status}")
        detail = _detail(self._json(answer))
        if detail is None:
            raise self._unexpected(f"with status {answer.status}")
        again = answer.status == _UNAUTHORIZED and self._token is not None
        hint = "; log in again: pepeunit login URL --login NAME" if again else ""
        words = _CODES.sub("", detail, count=1) if _CODES.match(detail) else detail
        raise RefusedError(words + hint, status=answer.status, detail=detail + hint)

    def _exchange(self, method: str, target: str, body: object, watch: _Watch) -> _Answer:
        headers = {"accept": "application/json", "connection": "close"}
        if self._token is not None:
            headers["x-auth-token"] = self._token
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["content-type"] = "application/json"
        connection = self._connection(watch.seconds)
        try:
            connection.connect()
            with watch.over(connection.sock):
                connection.request(method, target, body=content, headers=headers)
                response = connection.getresponse()
                answer = _Answer(response.status, _read(response), response.headers.get("Repr-Digest", ""))
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            if watch.expired or isinstance(error, TimeoutError):
                raise UnreachableError(f"{self.origin} did not answer within {watch.seconds:g} s") from None
            raise UnreachableError(f"cannot reach {self.origin}: {_reason(error)}{self._hint(error)}") from None
        finally:
            connection.close()
        return answer

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _hint(self, error: Exception) -> str:
        """What to try where the other of http and https seems to be spoken, or the authority is not known."""
        if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _NO_AUTHORITY:
            return "; if it is a certificate of your own authority, set SSL_CERT_FILE to that one's PEM file"
        if self._parts.scheme == "https":
            plain_http = isinstance(error, ssl.SSLError) and error.reason in _NO_TLS
            return f"; if it speaks plain HTTP, try http://{self._parts.netloc}" if plain_http else ""
        ended = isinstance(error, (ConnectionResetError, http.client.BadStatusLine))
        return f"; if it speaks HTTPS, try https://{self._parts.netloc}" if ended else ""

    def _json(self, answer: _Answer) -> Any:
        try:
            return json.loads(answer.body)
        except ValueError:
            raise self._unexpected(f"with status {answer.status} and no JSON") from None

    def _unexpected(self, how: str) -> UnexpectedAnswerError:
        return UnexpectedAnswerError(f"{self.origin}{self._parts.path} answered {how}; is a Pepeunit gateway there?")


def kept_client() -> Client:
    """Return the gateway of the kept login.

    Raises:
        NotLoggedInError, LoginFileError: there is none, or it cannot be read.
    """
    login = load(login_file(os.environ))
    return Client(login.url, login.token)


def _read(response: http.client.HTTPResponse) -> bytes:
    """Return the whole body. An answer that tells no length may have been cut anywhere, in its headers too."""
    expected = response.length
    if expected is None and not response.chunked:
        raise http.client.IncompleteRead(b"")
    body = bytearray()
    while chunk := response.read1(_CHUNK):
        body += chunk
        if len(body) > _MAX_ANSWER:
            raise UnreachableError(f"the answer is longer than {_MAX_ANSWER} bytes; it was given up")
    if expected is not None and len(body) != expected:
        raise http.client.IncompleteRead(bytes(body), expected - len(body))
    return bytes(body)


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "the answer was cut"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "there is no HTTP server that answers completely"


def _detail(answer: object) -> str | None:
    """The detail of a refusal on one line; what pydantic found wrong comes as a list."""
    detail = answer.get("detail") if isinstance(answer, dict) else None
    if isinstance(detail, list):
        problems = [problem for problem in detail if isinstance(problem, dict)]
        detail = "; ".join(_problem(problem) for problem in problems)
    return plain(detail) if isinstance(detail, str) and detail else None


def _problem(found: Row) -> str:
    """One finding in words: the field's name without the part of the request it stood in, and what is wrong."""
    where = ".".join(str(part) for part in found.get("loc", [])[1:])
    words = str(found.get("msg"))
    for leak in _LEAKS:
        words = words.removeprefix(leak)
    return f"{where}: {words}" if where else words
