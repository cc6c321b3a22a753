"""What the OpenAPI document says of archives: their headers, and how a part or nothing at all is asked for."""

from collections.abc import Mapping
from typing import Any

from pepeunit_gateway.api.statuses import DESCRIPTIONS

__all__ = ["archive_answers", "archive_headers", "archive_parameters"]

_PART, _KNOWN = 206, 304
_TEXT = {"type": "string"}
_ASKED = {
    "Range": "One range of bytes: `bytes=0-1023`, `bytes=1024-` or `bytes=-512`; anything else gets all",
    "If-Range": "The ETag that the part must be of; if the archive is another one by now, all of it comes",
    "If-None-Match": "ETags that the client has",
}
_TOLD = {
    "Repr-Digest": "sha-256=:…: of the whole archive",
    "ETag": "another one for other bytes",
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
}


def archive_parameters() -> list[dict[str, Any]]:
    """Return the request headers, none of which is needed."""
    return [
        {"name": name, "in": "header", "required": False, "description": about, "schema": dict(_TEXT)}
        for name, about in _ASKED.items()
    ]


def archive_headers() -> dict[str, Any]:
    """Return the headers of every good answer."""
    return {name: {"description": about, "schema": dict(_TEXT)} for name, about in _TOLD.items()}


def archive_answers(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the good answers beside the whole archive, whose content is `content`."""
    part = {"Content-Range": {"description": "bytes <first>-<last>/<size>", "schema": dict(_TEXT)}}
    return {
        str(_PART): {
            "description": DESCRIPTIONS[_PART],
            "content": dict(content),
            "headers": {**archive_headers(), **part},
        },
        str(_KNOWN): {"description": DESCRIPTIONS[_KNOWN], "headers": archive_headers()},
    }
