"""Routes declared once: dispatch, validation and the OpenAPI document all come from the same declaration.

    routes = RouteTable("/units", tag="Units", about="Devices and their programs.", entity="unit")

    @routes.get("/{uuid}", token=Token.OPTIONAL)
    async def get_unit(registry: Registry, agent: Agent, uuid: UUID) -> UnitRead:
        '''One unit.'''

What a parameter is, is read from its annotation:

    named in the path         path parameter (UUID or str)
    QueryModel subclass       the query string
    BodyModel subclass        the JSON body
    Upload                    the multipart field of that name
    Inflow                    the body, whatever it is, piece by piece while it arrives
    anything else             taken from the provider of that type (Agent, Registry, IdempotencyKey, ...)

and what is answered from the return annotation: `None` is 204, `Download` bytes or a stream, everything else JSON;
`Encoded[Model]` is the JSON of a model that something else has made.
"""

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType, TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

from pepeunit_gateway.api.models import BodyModel, QueryModel
from pepeunit_gateway.errors import ApiError

__all__ = [
    "DEFAULT_MAX_BODY",
    "Download",
    "Encoded",
    "Endpoint",
    "Handler",
    "Inflow",
    "Media",
    "Route",
    "RouteTable",
    "Sample",
    "Stream",
    "Token",
    "Upload",
]

Handler = Callable[..., Awaitable[Any]]
_H = TypeVar("_H", bound=Handler)
_A = TypeVar("_A")

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
DEFAULT_MAX_BODY = 256 * 1024
"""Bytes of a body, unless a route says otherwise."""


class Token(Enum):
    """Whether a route looks at `x-auth-token`.

    A token that is sent to NONE is not even read. REFUSED reads it and answers 403 to a valid one, so that clients
    should send none.
    """

    NONE = "none"
    REFUSED = "refused"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Media(Enum):
    """The media types of answers that are not JSON."""

    ZIP = "application/zip"
    TAR = "application/x-tar"
    TEXT = "text/plain"
    MARKDOWN = "text/markdown"

    @property
    def is_archive(self) -> bool:
        """Archives carry a digest and an entity tag, and come in parts if asked for."""
        return self in {Media.ZIP, Media.TAR}


@dataclass(frozen=True, slots=True)
class Encoded(Generic[_A]):
    """An answer that is JSON already, as the model between the brackets would give it."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """The content of a multipart field."""

    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Inflow:
    """A body that the handler takes while it arrives: `await inflow.pour(take)` calls `take` with every piece.

    It raises as `Bodies.receive`; a body that is not taken is not read.
    """

    pour: Callable[[Callable[[bytes], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sample:
    """What an upload may hold, for the document."""

    description: str
    media: str
    text: str


class Stream(Protocol):
    """Bytes of a known number that are sent piece by piece; entered before and left after the sending."""

    size: int

    def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Download:
    """An answer that is no JSON: bytes in memory or a stream.

    A stream with an `etag` (strong, in quotes) is sent in parts where they are asked for, and not at all to a client
    that has it; `headers` are those of every such answer. `sent` is called when the last byte of a stream went out: a
    client has all of it then, in one piece or in several.
    """

    content: bytes | Stream = field(repr=False)
    media: Media
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None
    sent: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """What a person declares about a route beside its handler."""

    method: str
    path: str
    also: str | None
    tag: str
    about: str
    entity: str
    token: Token
    status: int
    errors: tuple[ApiError, ...]
    media: Media | None
    max_body: int
    sample: Sample | None
    reading: bool
    secret: bool
    login_only: bool


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route and what its handler's signature says about it."""

    route: Route
    handler: Handler
    path_params: Mapping[str, type]
    query: tuple[str, type[QueryModel]] | None
    body: tuple[str, type[BodyModel]] | None
    upload: str | None
    inflow: str | None
    needs: Mapping[str, type]
    answer: Any

    @property
    def name(self) -> str:
        """The handler's name, which is the operation's id; one per API."""
        return getattr(self.handler, "__name__", "handler")

    @property
    def has_body(self) -> bool:
        return not (self.body is None and self.upload is None and self.inflow is None)


def read_signature(route: Route, handler: Handler) -> Endpoint:
    """Turn a handler's annotations into an Endpoint.

    Raises:
        TypeError: a parameter or the return value has no annotation, or a part is declared twice or not at all.
    """
    hints = get_type_hints(handler)
    names = list(inspect.signature(handler).parameters)
    where = f"{route.method} {route.path}"
    if "return" not in hints or any(name not in hints for name in names):
        raise TypeError(f"{where}: annotate every parameter and the return value of the handler")
    answer = hints["return"]
    placeholders = set(_PLACEHOLDER.findall(route.path))
    path_params: dict[str, type] = {}
    needs: dict[str, type] = {}
    queries: list[tuple[str, type[QueryModel]]] = []
    bodies: list[tuple[str, type[BodyModel]]] = []
    uploads: list[str] = []
    inflows: list[str] = []
    for name in names:
        kind = hints[name]
        if name in placeholders:
            path_params[name] = kind
        elif isinstance(kind, type) and issubclass(kind, QueryModel):
            queries.append((name, kind))
        elif isinstance(kind, type) and issubclass(kind, BodyModel):
            bodies.append((name, kind))
        elif kind is Upload:
            uploads.append(name)
        elif kind is Inflow:
            inflows.append(name)
        else:
            needs[name] = kind
    if placeholders != set(path_params) or not set(path_params.values()) <= {UUID, str}:
        raise TypeError(f"{where}: every placeholder needs a parameter of type UUID or str")
    if len(queries) > 1 or len(bodies) + len(uploads) + len(inflows) > 1:
        raise TypeError(f"{where}: at most one query model and one body, upload or inflow")
    return Endpoint(
        route=route,
        handler=handler,
        path_params=MappingProxyType(path_params),
        query=queries[0] if queries else None,
        body=bodies[0] if bodies else None,
        upload=uploads[0] if uploads else None,
        inflow=inflows[0] if inflows else None,
        needs=MappingProxyType(needs),
        answer=get_args(answer)[0] if get_origin(answer) is Encoded else answer,
    )


class RouteTable:
    """The routes of one entity, below one path.

    Args:
        prefix: the path.
        tag: the heading of the routes in the document.
        about: one line on the tag, for the document.
        entity: what a uuid in a path names, for the example of 404.
    """

    def __init__(self, prefix: str, *, tag: str, about: str = "", entity: str = "entity") -> None:
        self.prefix = prefix
        self.tag = tag
        self.about = about
        self.entity = entity
        self._endpoints: list[Endpoint] = []

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(self._endpoints)

    def add(
        self,
        method: str,
        path: str,
        *,
        token: Token,
        status: int | None = None,
        also: str | None = None,
        errors: Iterable[ApiError] = (),
        media: Media | None = None,
        sample: Sample | None = None,
        max_body: int = DEFAULT_MAX_BODY,
        reading: bool | None = None,
        secret: bool = False,
        login_only: bool = False,
    ) -> Callable[[_H], _H]:
        """Declare a route.

        Args:
            method: GET, POST, PATCH or DELETE.
            path: below the table's prefix, with `{name}` placeholders.
            token: whether the route looks at `x-auth-token`.
            status: of a good answer; 200, or 204 where the handler returns None.
            also: a second path that answers the same and is not documented.
            errors: examples of failures, for the document: of statuses that do not follow from the signature (see
                statuses.py), or better ones than those that follow.
            media: what a Download is.
            sample: what the upload may hold.
            max_body: bytes of the body at most; more is answered with 413.
            reading: it changes nothing, so that a named token with the scope Read is enough; GET unless said.
            secret: its answer holds secrets, for which the scope Read is not enough.
            login_only: it manages users, passwords or tokens, for which no named token is enough.
        """

        def declare(handler: _H) -> _H:
            nothing = get_type_hints(handler).get("return") is type(None)
            route = Route(
                method=method,
                path=self.prefix + path,
                also=None if also is None else self.prefix + also,
                tag=self.tag,
                about=self.about,
                entity=self.entity,
                token=token,
                status=status or (204 if nothing else 200),
                errors=tuple(errors),
                media=media,
                max_body=max_body,
                sample=sample,
                reading=method == "GET" if reading is None else reading,
                secret=secret,
                login_only=login_only,
            )
            self._endpoints.append(read_signature(route, handler))
            return handler

        return declare

    def get(self, path: str, *, token: Token, **options: Any) -> Callable[[_H], _H]:
        """Declare a GET route; HEAD comes with it."""
        return self.add("GET", path, token=token, **options)

    def post(self, path: str, *, token: Token, **options: Any) -> Callable[[_H], _H]:
        """Declare a POST route."""
        return self.add("POST", path, token=token, **options)

    def patch(self, path: str, *, token: Token, **options: Any) -> Callable[[_H], _H]:
        """Declare a PATCH route."""
        return self.add("PATCH", path, token=token, **options)

    def delete(self, path: str, *, token: Token, **options: Any) -> Callable[[_H], _H]:
        """Declare a DELETE route."""
        return self.add("DELETE", path, token=token, **options)
