"""A small HTTP/1.1 client: one request per connection, bodies read in pieces, a time limit on every step."""

import asyncio

import pepeunit.transport as transport
from pepeunit.errors import RestError

CONNECT_TIMEOUT = 15  # seconds to resolve, connect and send
READ_TIMEOUT = 15  # seconds for each piece that is read
_HEADER_LINES = 64


class Response:
    """A status, the headers (names in lower case) and a body that is read with readinto(). Close it."""

    def __init__(self, connection, status, headers):
        self.status = status
        self.headers = headers
        self._connection = connection
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self.length = None  # bytes of the whole body, None where the server does not say
        self._left = 0  # bytes of the body, or of its present chunk, still to come
        self._first = True
        self._over = False
        if not self._chunked and "content-length" in headers:
            self.length = self._left = _whole(headers["content-length"], 10)

    async def readinto(self, buffer):
        """Read at least one byte into the memoryview; 0 at the body's end. RestError if the body is cut."""
        try:
            return await asyncio.wait_for(self._read(buffer), READ_TIMEOUT)
        except asyncio.TimeoutError:
            raise RestError("the gateway stopped sending")
        except (OSError, EOFError):
            raise RestError("the gateway closed the connection before the end")

    async def _read(self, buffer):
        if self._over:
            return 0
        if self._chunked and not self._left:
            await self._next_chunk()
        if not self._left and (self._chunked or self.length is not None):
            self._over = True
            return 0
        limit = len(buffer) if self.length is None and not self._chunked else min(len(buffer), self._left)
        count = await self._connection.some(buffer[:limit])
        if count:
            self._left -= count
        elif self._chunked or self.length is not None:
            raise EOFError
        else:
            self._over = True
        return count

    async def _next_chunk(self):
        if not self._first:
            await self._connection.line()
        self._first = False
        self._left = _whole(str((await self._connection.line()).split(b";")[0].strip(), "utf-8"), 16)
        if not self._left:  # trailers, then an empty line
            while await self._connection.line():
                pass

    async def body(self, limit):
        """The whole body; RestError if it is longer than limit."""
        found = bytearray()
        piece = memoryview(bytearray(256))
        while True:
            count = await self.readinto(piece)
            if not count:
                return bytes(found)
            if len(found) + count > limit:
                raise RestError("the answer is longer than %d bytes" % limit)
            found.extend(piece[:count])

    def close(self):
        self._connection.close()


def _whole(text, base):
    try:
        value = int(text, base)
    except ValueError:
        value = -1
    if value < 0:
        raise RestError("the gateway's answer is no HTTP")
    return value


def split(url):
    """("http" or "https", host, port, path) of an URL."""
    scheme, rest = url.split("://", 1)
    place, slash, path = rest.partition("/")
    port = 443 if scheme == "https" else 80
    host = place
    if place.startswith("["):
        host, _, place = place[1:].partition("]")
        place = "x" + place
    if ":" in place:
        name, digits = place.rsplit(":", 1)
        port = int(digits)
        host = name if place[0] != "x" or ":" not in host else host
    return scheme, host, port, slash + path


async def request(method, url, headers, body=None, pem=""):
    """Send a request and read the head of the answer. RestError if no answer comes; the status is not judged."""
    scheme, host, port, path = split(url)
    try:
        context = transport.tls_context(pem) if scheme == "https" else None
        connection = await asyncio.wait_for(transport.connect(host, port, context, 1024), CONNECT_TIMEOUT)
    except asyncio.TimeoutError:
        raise RestError("no connection to %s:%d in time" % (host, port))
    except (OSError, ValueError) as error:
        raise RestError("no connection to %s:%d: %s" % (host, port, error))
    try:
        lines = [method + " " + path + " HTTP/1.1", "Host: " + url.split("/")[2], "Connection: close"]
        lines.extend(name + ": " + value for name, value in headers)
        if body is not None:
            lines.append("Content-Length: %d" % len(body))
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        await asyncio.wait_for(connection.write(head), CONNECT_TIMEOUT)
        if body is not None:
            await asyncio.wait_for(connection.write(body), CONNECT_TIMEOUT)
        return await asyncio.wait_for(_head(connection), READ_TIMEOUT)
    except asyncio.TimeoutError:
        connection.close()
        raise RestError("no answer from %s:%d in time" % (host, port))
    except (OSError, EOFError, ValueError) as error:
        connection.close()
        raise RestError("no answer from %s:%d: %s" % (host, port, error))
    except BaseException:
        connection.close()
        raise


async def _head(connection):
    while True:
        status = await connection.line()
        if status[:7] != b"HTTP/1." or not status[9:12].isdigit():
            raise ValueError("not HTTP")
        headers = {}
        for _ in range(_HEADER_LINES):
            line = await connection.line()
            if not line:
                break
            name, _colon, value = line.partition(b":")
            headers[str(name, "utf-8").strip().lower()] = str(value, "utf-8").strip()
        else:
            raise ValueError("too many headers")
        code = int(status[9:12])
        if code >= 200:
            return Response(connection, code, headers)
