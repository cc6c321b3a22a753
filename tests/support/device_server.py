"""The REST calls of a device, answered as a test says: well, late, cut, damaged or not at all."""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import ssl
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

__all__ = ["Answer", "DeviceServer", "archive", "digest", "packed"]

DEADLINE = 20.0


@dataclass(frozen=True)
class Answer:
    """One answer.

    `cut_after`: close after so many bytes of the body; `stall_after`: fall silent there; `drop_every`: seconds between
    single bytes.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    stall_after: int | None = None
    drop_every: float | None = None
    chunked: bool = False


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class DeviceServer:
    """`answers[path]` is a list: each call takes the first, the last one stays. Paths are those below the prefixes,
    with {unit} for the uuid. What has no answer gets 404."""

    prefix = "/pepeunit/api/v1"

    def __init__(self, uuid: str, context: ssl.SSLContext | None = None) -> None:
        self.uuid = uuid
        self.answers: dict[str, list[Answer]] = {}
        self.calls: list[Call] = []
        self.port = 0
        self._context = context

    async def __aenter__(self) -> Self:
        self._changed = asyncio.Condition()
        self._over = asyncio.Event()
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    def json(self, path: str, value: Any, **kwargs: Any) -> None:
        self.answers.setdefault(path, []).append(Answer(json.dumps(value).encode(), **kwargs))

    def paths(self) -> list[str]:
        return [call.path for call in self.calls]

    async def until(self, condition) -> None:
        async with asyncio.timeout(DEADLINE), self._changed:
            await self._changed.wait_for(condition)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        assert request.path.startswith(self.prefix), request.path
        path = request.path.removeprefix(self.prefix).replace(self.uuid, "{unit}")
        body = await request.read()
        waiting = self.answers.get(path)
        if not waiting:
            answer = Answer(b'{"detail": "nothing here"}', 404)
        else:
            answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        self.calls.append(Call(request.method, path, dict(request.query), dict(request.headers), body))
        async with self._changed:
            self._changed.notify_all()
        return await self._answer(request, answer)

    async def _answer(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        if answer.chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(answer.body)
        await response.prepare(request)
        stop = answer.cut_after if answer.cut_after is not None else answer.stall_after
        piece = 700 if answer.drop_every is None else 1
        for start in range(0, len(answer.body[:stop]), piece):
            await response.write(answer.body[:stop][start : start + piece])
            if answer.drop_every is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(answer.drop_every):
                        await self._over.wait()
        if answer.cut_after is not None:
            assert request.transport is not None
            request.transport.abort()
        elif answer.stall_after is not None:
            await self._over.wait()
        else:
            await response.write_eof()
        return response


def archive(files: dict[str, bytes]) -> bytes:
    """A plain ustar as the gateway builds it: `./` names, sorted, no PAX records."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            info = tarfile.TarInfo("./" + name)
            info.size = len(files[name])
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(files[name]))
    return out.getvalue()


def packed(tar: bytes, wbits: int = 9) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return packer.compress(tar) + packer.flush()


def digest(data: bytes) -> dict[str, str]:
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"}
