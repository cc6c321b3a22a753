"""Requests as the server makes them, also of what no application ever saw: bytes that are no HTTP."""

import asyncio
from uuid import uuid4

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from pepeunit_gateway.api.headers import note_request_id, stamp_headers

__all__ = ["ServedRequest"]


class ServedRequest(web.Request):
    """A request whose answer carries the headers of headers.py, whether the application makes it or the server."""

    @classmethod
    def make(
        cls,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> "ServedRequest":
        """Make one; give it to aiohttp's server as its `request_factory`."""
        return cls(message, payload, protocol, writer, task, asyncio.get_running_loop())

    @property
    def is_routed(self) -> bool:
        """Tell whether the application has it; the server itself answers what it could not read."""
        return self._match_info is not None

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        # aiohttp runs `on_response_prepare` for requests alone that an application has
        if self.is_routed:
            await super()._prepare_hook(response)
        else:
            note_request_id(self, uuid4().hex)
            await stamp_headers(self, response)
