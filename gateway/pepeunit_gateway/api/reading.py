"""Read a request's parts. Nothing here waits longer than a minute or keeps more bytes than the route allows."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, get_args, get_origin

from aiohttp import hdrs, web
from multidict import MultiMapping
from pydantic import BaseModel

from pepeunit_gateway.api.failures import RequestError
from pepeunit_gateway.api.forms import BrokenFormError, TooManyPartsError, read_field
from pepeunit_gateway.errors import ValidationError

__all__ = ["query_values", "read_body", "read_upload", "repeated_fields"]

_BODY_TIMEOUT = 60.0
_PIECE = 64 * 1024
_MAX_PARTS = 16
_FORM_SLACK = 8 * 1024  # boundaries, headers and other small fields around the one that is read


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


async def read_upload(request: web.Request, name: str, limit: int) -> bytes:
    """Return the content of the multipart field `name`.

    Raises:
        RequestError: 413 for more than `limit` bytes or more than 16 parts, 408 when it does not arrive within a
            minute, 400 when it is cut.
        ValidationError: the body is no multipart form or lacks the field.
    """
    missing = f"send multipart/form-data with the field {name}"
    if request.content_type != "multipart/form-data":
        raise ValidationError(missing)
    body = await read_body(request, limit + _FORM_SLACK)
    try:
        content = read_field(body, request.headers[hdrs.CONTENT_TYPE], name, max_parts=_MAX_PARTS)
    except TooManyPartsError:
        raise RequestError(413, f"the form may have at most {_MAX_PARTS} parts; send the field {name} alone") from None
    except BrokenFormError:
        raise ValidationError(missing) from None
    if content is None:
        raise ValidationError(missing)
    if len(content) > limit:
        raise RequestError(413, f"the field {name} may have at most {limit} bytes")
    return content
