"""Read a request's parts. Nothing here waits longer than a minute or keeps more bytes than the route allows."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, get_args, get_origin

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiMapping
from pydantic import BaseModel

from pepeunit_gateway.api.failures import RequestError
from pepeunit_gateway.errors import ValidationError

__all__ = ["query_values", "read_body", "read_upload", "repeated_fields"]

_BODY_TIMEOUT = 60.0
_PIECE = 64 * 1024
_MULTIPART_SLACK = 4 * 1024  # boundaries and headers around the field


def _holds_list(annotation: Any) -> bool:
    if (get_origin(annotation) or annotation) in (list, tuple, set, frozenset):
        return True
    return any(_holds_list(part) for part in get_args(annotation))


def repeated_fields(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields whose key may be repeated, `?uuids=a&uuids=b`."""
    return frozenset(name for name, field in model.model_fields.items() if _holds_list(field.annotation))


def query_values(query: MultiMapping[str], repeated: frozenset[str], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the declared keys of a query; of a key that may not be repeated the last value counts."""
    values: dict[str, Any] = {}
    for name in known:
        found = query.getall(name, [])
        if found:
            values[name] = found if name in repeated else found[-1]
    return values


@asynccontextmanager
async def _arriving() -> AsyncIterator[None]:
    """Bound the time in which a body arrives; a client that is gone is no fault of the gateway."""
    try:
        async with asyncio.timeout(_BODY_TIMEOUT):
            yield
    except TimeoutError:
        raise RequestError(408, "the body did not arrive in time; send it again") from None
    except (OSError, web.RequestPayloadError):
        raise RequestError(400, "the body ended early; send it again") from None


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the body.

    Raises:
        RequestError: 413 for more than `limit` bytes, 408 when it does not arrive within a minute, 400 when it is cut.
    """
    if request.content_length is not None and request.content_length > limit:
        raise RequestError(413, f"the body may have at most {limit} bytes")
    pieces = bytearray()
    async with _arriving():
        async for piece in request.content.iter_chunked(_PIECE):
            pieces += piece
            if len(pieces) > limit:
                raise RequestError(413, f"the body may have at most {limit} bytes")
    return bytes(pieces)


async def _field(request: web.Request, name: str, limit: int) -> bytes | None:
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        content = bytearray()
        while piece := await part.read_chunk(_PIECE):
            content += piece
            if len(content) > limit:
                raise RequestError(413, f"the field {name} may have at most {limit} bytes")
        if part.name == name:
            return bytes(content)
    return None


async def read_upload(request: web.Request, name: str, limit: int) -> bytes:
    """Return the content of the multipart field `name`.

    Raises:
        RequestError: 413 for more than `limit` bytes, 408 when it does not arrive within a minute, 400 when it is cut.
        ValidationError: the body is no multipart form or lacks the field.
    """
    missing = f"send multipart/form-data with the field {name}"
    if request.content_length is not None and request.content_length > limit + _MULTIPART_SLACK:
        raise RequestError(413, f"the field {name} may have at most {limit} bytes")
    if request.content_type != "multipart/form-data":
        raise ValidationError(missing)
    try:
        async with _arriving():
            content = await _field(request, name, limit)
    except (HttpProcessingError, ValueError, AssertionError, RuntimeError):  # what aiohttp raises for a broken form
        raise ValidationError(missing) from None
    if content is None:
        raise ValidationError(missing)
    return content
