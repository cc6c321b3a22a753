"""Read a request's parts."""

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from aiohttp import hdrs, web
from multidict import MultiMapping
from pydantic import BaseModel

from pepeunit_gateway.api.failures import RequestError
from pepeunit_gateway.api.forms import BrokenFormError, TooManyPartsError, read_field
from pepeunit_gateway.errors import ValidationError

__all__ = ["FORM_SLACK", "query_values", "read_upload", "repeated_fields"]

_MAX_PARTS = 16
FORM_SLACK = 8 * 1024
"""Bytes of boundaries, headers and other small fields around the one that is read."""


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


def read_upload(request: web.Request, body: bytes, name: str, limit: int) -> bytes:
    """Return the content of the multipart field `name` of a body.

    Raises:
        RequestError: 413 for more than `limit` bytes or more than 16 parts.
        ValidationError: the body is no multipart form or lacks the field.
    """
    missing = f"send multipart/form-data with the field {name}"
    if request.content_type != "multipart/form-data":
        raise ValidationError(missing)
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
