"""One TCP or TLS connection with a small fixed buffer; nothing in it waits without a task that may be cancelled."""

import asyncio
import errno
import socket

_known = {}  # (host, port) -> the last addresses that were resolved; used while the resolver does not answer
_turn = {}  # (host, port) -> which of them is tried next
_KNOWN_LIMIT = 8


def tls_context(pem):
    """A context that trusts only what one of the authorities in `pem` has signed. ValueError without one."""
    import binascii  # most boards never get here
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]  # the stubs lack it
    count = 0
    for part in pem.split("-----BEGIN CERTIFICATE-----")[1:]:
        text = part.split("-----END CERTIFICATE-----")[0]
        context.load_verify_locations(cadata=binascii.a2b_base64("".join(text.split())))
        count += 1
    if not count:
        raise ValueError("TLS on a board needs PU_CA_CERT, the certificate of the authority, in env.json")
    return context


def _resolve(host, port):
    key = (host, port)
    try:
        found = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    except OSError:
        if key not in _known:
            raise
        return _known[key]
    if len(_known) >= _KNOWN_LIMIT:
        _known.clear()
        _turn.clear()
    _known[key] = found
    return found


def _writable(sock):
    yield asyncio.core._io_queue.queue_write(sock)  # type: ignore[attr-defined]  # noqa: SLF001 - open_connection leaks when cancelled


async def connect(host, port, context=None, size=512):
    """Open a connection. OSError if that fails; the next call then tries the next address of the host."""
    key = (host, port)
    addresses = _resolve(host, port)
    turn = _turn.get(key, 0) % len(addresses)
    address = addresses[turn]
    _turn[key] = turn + 1  # taken back as soon as this address answers
    sock = socket.socket(address[0], address[1], address[2])
    try:
        sock.setblocking(False)
        try:
            sock.connect(address[-1])
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        await _writable(sock)
        if context:
            sock = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
            sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return Connection(sock, key, turn, size)


class Connection:
    """Reads through one buffer. `heard` is set whenever bytes came in."""

    def __init__(self, sock, key, turn, size):
        self._stream = asyncio.StreamReader(sock)
        self._key = key
        self._turn = turn
        self._buffer = bytearray(size)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self.heard = False

    async def _fill(self):
        """Read what has come; False at the end of the stream. The buffer must be used up."""
        self._start = self._end = 0
        while True:
            count = await self._stream.readinto(self._buffer)
            if count is not None:
                break
        self._end = count
        if count:
            if self._key:
                _turn[self._key] = self._turn
                self._key = None
            self.heard = True
        return count > 0

    async def some(self, target):
        """Read at least one byte, at most what fits; 0 at the end of the stream."""
        if self._start == self._end and not await self._fill():
            return 0
        count = min(len(target), self._end - self._start)
        target[:count] = self._view[self._start : self._start + count]
        self._start += count
        return count

    async def exactly(self, target):
        """Fill the memoryview; EOFError if the stream ends before."""
        at = 0
        while at < len(target):
            count = await self.some(target[at:])
            if not count:
                raise EOFError("connection closed")
            at += count

    async def byte(self):
        if self._start == self._end and not await self._fill():
            raise EOFError("connection closed")
        self._start += 1
        return self._buffer[self._start - 1]

    async def line(self, limit=1024):
        """One line without its end, as bytes; what goes beyond limit is cut off."""
        found = bytearray()
        while True:
            value = await self.byte()
            if value == 10:
                return bytes(found).rstrip(b"\r")
            if len(found) < limit:
                found.append(value)

    async def write(self, data):
        """Send all of it. After a cancelled write the connection must be closed."""
        self._stream.write(data)  # type: ignore[attr-defined]  # one class reads and writes
        await self._stream.drain()  # type: ignore[attr-defined]  # one class reads and writes

    def close(self):
        """Close it; tasks that wait on it must have been cancelled before."""
        self._stream.s.close()  # type: ignore[attr-defined]  # one class reads and writes
