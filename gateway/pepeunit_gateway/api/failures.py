"""Errors become answers in one place. Source: protocol/rest.md 2.1, decisions.md 4.

    ApiError                its own status, detail "<status>: <code>: <prefix>: <message>"
    RequestError            the same form for what HTTP itself refuses: 404, 405, 408, 413, ...
    pydantic                422, detail is a list of {type, loc, msg}; inputs are never repeated, they may be secrets
    broken JSON             422 with code 9
    a busy database         503: others held it for as long as we wait, or it does not answer; one line in the log
    anything else           logged once with the request's id, 500 with that id

429 and 503 carry Retry-After, 401 WWW-Authenticate, 416 Content-Range.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

import structlog
from aiohttp import web
from pydantic import ValidationError as PydanticError
from pydantic_core import to_json
from sqlalchemy.exc import SQLAlchemyError

from pepeunit_gateway.api.headers import note_request_id
from pepeunit_gateway.api.keys import PROXIES
from pepeunit_gateway.api.models import PAGING_ERROR
from pepeunit_gateway.api.observing import route_of
from pepeunit_gateway.errors import ApiError, CustomJSONDecodeError, TooManyRequestsError
from pepeunit_gateway.registry.audit import Origin, coming_from
from pepeunit_gateway.storage.outages import is_away, is_busy

__all__ = [
    "InvalidInputError",
    "RangeError",
    "RequestError",
    "answer_failures",
    "busy_error",
    "fault_detail",
    "invalid_input",
]

log = structlog.get_logger(__name__)

_BUSY_RETRY = 5
"""Seconds after which a client may try again; whoever held the database did so for longer than a request needs."""

_PYDANTIC_PREFIX = "Value error, "
"""What pydantic puts before the messages of our own validators."""

_PREFIXES = {
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Payload Too Large",
    416: "Range Not Satisfiable",
    503: "Service Unavailable",
}


class RequestError(ApiError):
    """What HTTP itself refuses: no such route, a wrong method, a body that is too large or never comes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def detail(self) -> str:
        """As for every ApiError, the prefix following from the status."""
        return f"{self.status}: {self.code}: {_PREFIXES.get(self.status, 'Bad Request')}: {self.message}"


class RangeError(RequestError):
    """No byte of an answer of `size` bytes lies in the range that was asked for."""

    def __init__(self, size: int) -> None:
        super().__init__(416, f"the archive has {size} bytes; ask for a part of them, or without Range for all")
        self.size = size


class InvalidInputError(Exception):
    """A path, query or body does not fit its model."""

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        super().__init__("invalid input")
        self.problems = problems

    @property
    def detail(self) -> str | list[dict[str, Any]]:
        """The list of problems, or the plain sentence of a paging problem."""
        for problem in self.problems:
            if problem["type"] == PAGING_ERROR:
                return str(problem["msg"])
        return self.problems


def invalid_input(error: PydanticError, *where: str) -> InvalidInputError | CustomJSONDecodeError:
    """Turn pydantic's error about `where` (path, query, body) into the one to raise; the input is left out."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    if problems[0]["type"] == "json_invalid":
        return CustomJSONDecodeError(f"the body is not JSON: {problems[0]['msg'].removeprefix('Invalid JSON: ')}")
    return InvalidInputError(
        [
            {"type": p["type"], "loc": [*where, *p["loc"]], "msg": p["msg"].removeprefix(_PYDANTIC_PREFIX)}
            for p in problems
        ]
    )


def _answer(status: int, detail: object, headers: Mapping[str, str] | None = None) -> web.Response:
    body = to_json({"detail": detail})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def _api_error(error: ApiError) -> web.Response:
    headers: dict[str, str] = {}
    if isinstance(error, TooManyRequestsError):
        headers["Retry-After"] = str(error.retry_after)
    elif error.status == web.HTTPServiceUnavailable.status_code:
        headers["Retry-After"] = str(_BUSY_RETRY)
    if isinstance(error, RangeError):
        headers["Content-Range"] = f"bytes */{error.size}"
    if error.status == web.HTTPUnauthorized.status_code:
        headers["WWW-Authenticate"] = 'X-Auth-Token realm="pepeunit"'
    return _answer(error.status, error.detail, headers)


def _http_error(request: web.Request, error: web.HTTPException) -> web.Response:
    message = error.reason
    headers: dict[str, str] = {}
    if isinstance(error, web.HTTPMethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        message = f"{request.method} is not possible here, only {headers['Allow']}"
    elif error.status == web.HTTPNotFound.status_code:
        message = f"there is no {request.path}; see the OpenAPI document"
    return _answer(error.status, RequestError(error.status, message).detail, headers)


def busy_error(*, away: bool = False) -> RequestError:
    """Return what a request is answered that could not get the database, because of others or because it is away."""
    state = "does not answer" if away else "is busy"
    return RequestError(503, f"the database {state}; try again in {_BUSY_RETRY} seconds")


def fault_detail(request_id: str) -> str:
    """Return what a client is told of an error that nobody foresaw."""
    return f"500: 0: Internal Server Error: request {request_id}"


def _busy(request: web.Request, error: SQLAlchemyError) -> web.Response:
    away = is_away(error)
    event = "api.database.away" if away else "api.database.busy"
    log.warning(event, method=request.method, route=route_of(request), error=type(error).__name__)
    refusal = busy_error(away=away)
    return _answer(refusal.status, refusal.detail, {"Retry-After": str(_BUSY_RETRY)})


async def _guarded(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]], request_id: str
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _api_error(error)
    except InvalidInputError as error:
        return _answer(web.HTTPUnprocessableEntity.status_code, error.detail)
    except web.HTTPException as error:
        return _http_error(request, error)
    except Exception as error:  # the root of a request: log once, answer, go on
        if isinstance(error, SQLAlchemyError) and is_busy(error):
            return _busy(request, error)
        log.exception("api.request.failed", method=request.method, route=route_of(request))
        return _answer(500, fault_detail(request_id))


@web.middleware
async def answer_failures(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Give the request an id, bind it to the log and the audit trail, and turn whatever is raised into an answer."""
    request_id = request.app[PROXIES].request_id(request) or uuid4().hex
    note_request_id(request, request_id)
    origin = Origin(request.app[PROXIES].client(request).text, request_id)
    with structlog.contextvars.bound_contextvars(request_id=request_id), coming_from(origin):
        return await _guarded(request, handler, request_id)
