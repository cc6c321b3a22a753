"""Request headers that handlers take as parameters.

A parameter is recognised by its type, as everything else is; the type says what the document tells about the header.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Self

from aiohttp import web

from pepeunit_gateway.errors import ValidationError

__all__ = ["IdempotencyKey", "RequestHeader"]


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """A header that a route needs; subclasses say its name, and what it may hold."""

    name: ClassVar[str]
    about: ClassVar[str]
    pattern: ClassVar[str]
    schema: ClassVar[Mapping[str, object]]

    value: str

    @classmethod
    def refusal(cls) -> ValidationError:
        """Return the error of a request that lacks the header or sends it wrongly."""
        return ValidationError(f"send the header {cls.name}: {cls.about}")

    @classmethod
    async def read(cls, request: web.Request) -> Self:
        """Return the header of a request.

        Raises:
            ValidationError: it is missing, there twice, or does not fit.
        """
        found = request.headers.getall(cls.name, [])
        if len(found) != 1 or not re.fullmatch(cls.pattern, found[0]):
            raise cls.refusal()
        return cls(found[0])


class IdempotencyKey(RequestHeader):
    """What a client calls one request, so that it may send it again when it did not hear the answer."""

    name = "Idempotency-Key"
    about = "1 to 255 visible ASCII characters that no other request of yours has, a UUID for example"
    pattern = "[!-~]{1,255}"
    schema = MappingProxyType({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"})
