"""A git server that sends whatever it was given: any names, and every object in one pack, checked by nobody.

It speaks the oldest form of the protocol, without side bands, over HTTP on loopback.
"""

import hashlib
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.support.raw_repository import RawRepository

__all__ = ["RawGitServer"]

_KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
_LIMIT = 60


class RawGitServer:
    """Serves one repository as long as the `with` lasts."""

    def __init__(self, raw: RawRepository) -> None:
        handler = type("Handler", (_Handler,), {"raw": raw})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/raw.git"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_LIMIT)


class _Handler(BaseHTTPRequestHandler):
    raw: RawRepository
    timeout = _LIMIT

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
        """Say nothing."""

    def do_GET(self) -> None:
        lines = [b"%s %s" % (sha.encode(), name) for name, sha in self.raw.named.items()]
        first = lines[0] + b"\0agent=raw\n"
        body = b"".join(map(_packet, [b"# service=git-upload-pack\n"])) + b"0000"
        body += b"".join(map(_packet, [first, *(line + b"\n" for line in lines[1:])])) + b"0000"
        self._answer("advertisement", body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer("result", _packet(b"NAK\n") + _pack(self.raw))

    def _answer(self, what: str, body: bytes) -> None:
        try:
            self.send_response(200)
            self.send_header("Content-Type", f"application/x-git-upload-pack-{what}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # git had heard enough


def _packet(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def _pack(raw: RawRepository) -> bytes:
    pack = b"PACK" + struct.pack(">II", 2, len(raw.objects))
    for kind, data in raw.objects.values():
        size = len(data)
        head = [_KINDS[kind] << 4 | size & 15]
        size >>= 4
        while size:
            head[-1] |= 0x80
            head.append(size & 0x7F)
            size >>= 7
        pack += bytes(head) + zlib.compress(data, 1)
    return pack + hashlib.sha1(pack, usedforsecurity=False).digest()
