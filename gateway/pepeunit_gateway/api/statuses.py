"""The failures that the OpenAPI document lists, each with an example that its route could answer.

They follow from an endpoint's signature:

    401, 403    it looks at the token
    404         its path names an entity; not where it takes an Inflow, whose senders are told nothing
    400         it has a body, which may be cut; 408, 413 and 429 too
    422         it has a uuid in its path, a header, a query or a body
    416         it answers with an archive, of which parts may be asked for
    500, 503    always
    and what its declaration adds (`errors=`), e.g. 409 for a name that is taken, 405 for a part that is off

Examples are made by what makes the answers, so that they never differ from them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic import ValidationError as PydanticError

from pepeunit_gateway.api.bodies import TOO_MANY_BODIES
from pepeunit_gateway.api.failures import RangeError, RequestError, busy_error, fault_detail, invalid_input
from pepeunit_gateway.api.models import BodyModel, PageQuery, QueryModel
from pepeunit_gateway.api.request_headers import RequestHeader
from pepeunit_gateway.api.routing import DEFAULT_MAX_BODY, Endpoint, Token
from pepeunit_gateway.errors import ApiError, NoAccessError, NotFoundError, UnauthorizedError, ValidationError

__all__ = ["DESCRIPTIONS", "failures", "shared_failures"]

_SCHEMA = "#/components/schemas/{name}"
_FORBIDDEN, _NOT_FOUND, _TOO_LARGE, _INVALID = 403, 404, 413, 422
_NO_SUCH_PART = 416
_RETRIED = {429, 503}
_SOME_UUID = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
_SOME_REQUEST = "0f8fad5bd9cb469fa16570867728950e"

DESCRIPTIONS: Mapping[int, str] = {
    200: "Done",
    206: "The part that Range asks for",
    201: "Created",
    202: "Taken; it is done soon",
    204: "Done, no content",
    304: "The client has it already, as If-None-Match says",
    400: "The body ended early",
    401: "No token where one is needed, or a token that is not valid",
    403: "This agent may not do that",
    404: "There is no such entity",
    405: "This part of the platform is off",
    408: "The body did not arrive in time",
    409: "It collides with what exists",
    413: "The body is too large",
    416: "Nothing lies in that Range; Content-Range says how large the archive is",
    422: "The input is not valid",
    429: "Too many at once; wait as Retry-After says",
    500: "A fault of the gateway; its log has more under the request's id",
    503: "The database or the gateway is busy; wait as Retry-After says",
}


def _statuses(endpoint: Endpoint) -> list[int]:
    statuses = {500, 503} | {error.status for error in endpoint.route.errors}
    if endpoint.route.token is not Token.NONE:
        statuses |= {401, _FORBIDDEN}
    if UUID in endpoint.path_params.values() and endpoint.inflow is None:
        statuses.add(_NOT_FOUND)
    if endpoint.has_body:
        statuses |= {400, 408, _TOO_LARGE, 429}
    if any(_wrong_input(endpoint)):
        statuses.add(_INVALID)
    if endpoint.route.media is not None and endpoint.route.media.is_archive:
        statuses.add(_NO_SUCH_PART)
    return sorted(statuses)


def _too_large(limit: int) -> ApiError:
    return RequestError(413, f"the body may have at most {limit} bytes")


def _shared_details() -> dict[int, str]:
    errors: list[ApiError] = [
        RequestError(400, "the body ended early; send it again"),
        UnauthorizedError("Token expired"),
        NoAccessError("only the creator may do this"),
        RequestError(408, "the body did not arrive in time; send it again"),
        _too_large(DEFAULT_MAX_BODY),
        RangeError(61_440),
        TOO_MANY_BODIES,
        busy_error(),
    ]
    return {error.status: error.detail for error in errors} | {500: fault_detail(_SOME_REQUEST)}


_SHARED = _shared_details()


def _summary(detail: object) -> str:
    if isinstance(detail, list):
        return f"{'.'.join(map(str, detail[0]['loc']))}: {detail[0]['msg']}"
    return str(detail).split(": ", 3)[-1]  # the message, which may hold colons itself


def _answer(status: int, details: Sequence[object]) -> dict[str, Any]:
    error = {"$ref": _SCHEMA.format(name="Error")}
    either = {"anyOf": [error, {"$ref": _SCHEMA.format(name="InvalidInput")}]}  # a rule is broken, or the form is wrong
    content: dict[str, Any] = {"schema": either if status == _INVALID else error}
    if len(details) == 1:
        content["example"] = {"detail": details[0]}
    else:
        content["examples"] = {
            str(number): {"summary": _summary(detail), "value": {"detail": detail}}
            for number, detail in enumerate(details, 1)
        }
    answer: dict[str, Any] = {"description": DESCRIPTIONS[status], "content": {"application/json": content}}
    if status in _RETRIED:
        answer["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    if status == _NO_SUCH_PART:
        answer["headers"] = {"Content-Range": {"description": "bytes */<size>", "schema": {"type": "string"}}}
    return answer


def shared_failures() -> dict[str, Any]:
    """Return the answers that endpoints have in common, by the name that `failures` refers to."""
    return {f"Failure{status}": _answer(status, [detail]) for status, detail in sorted(_SHARED.items())}


def _wrong_body(model: type[BodyModel]) -> Iterator[object]:
    for text in ("{}", "[]"):  # no object lacks anything where every field may be absent
        try:
            model.model_validate_json(text)
        except PydanticError as error:
            yield invalid_input(error, "body").detail
            return


def _wrong_query(model: type[QueryModel]) -> Iterator[object]:
    if issubclass(model, PageQuery):
        yield "limit must be <= 500"
    values: dict[str, str]
    for values in ({}, dict.fromkeys(model.model_fields, "?")):  # what is needed is missing; what has a form lacks it
        try:
            model.model_validate(values)
        except PydanticError as error:
            detail = invalid_input(error, "query").detail
            yield detail[:1] if isinstance(detail, list) else detail
            return


def _wrong_input(endpoint: Endpoint) -> Iterator[object]:
    for name in (name for name, kind in endpoint.path_params.items() if kind is UUID):
        try:
            TypeAdapter(UUID).validate_strings("kitchen")
        except PydanticError as error:
            yield invalid_input(error, "path", name).detail
    for needed in endpoint.needs.values():
        if issubclass(needed, RequestHeader):
            yield needed.refusal().detail
    if endpoint.query is not None:
        yield from _wrong_query(endpoint.query[1])
    if endpoint.body is not None:
        yield from _wrong_body(endpoint.body[1])
    if endpoint.upload is not None:
        yield ValidationError(f"send multipart/form-data with the field {endpoint.upload}").detail


def _own_details(endpoint: Endpoint, status: int) -> list[object]:
    """Return the examples that are not those of every endpoint; empty if they are."""
    details: list[object] = [error.detail for error in endpoint.route.errors if error.status == status]
    if status == _INVALID:
        return [*_wrong_input(endpoint), *details]
    if status == _NOT_FOUND and not details:
        return [NotFoundError(f"there is no {endpoint.route.entity} {_SOME_UUID}").detail]
    if status == _FORBIDDEN and not details and endpoint.route.token is Token.OPTIONAL:
        return [NoAccessError("you may not see this entity" if endpoint.path_params else "User is blocked").detail]
    if status == _TOO_LARGE and endpoint.route.max_body != DEFAULT_MAX_BODY:
        return [_too_large(endpoint.route.max_body).detail]
    return details


def failures(endpoint: Endpoint) -> dict[str, Any]:
    """Return the failures of an endpoint by their status, as OpenAPI has them."""
    answers: dict[str, Any] = {}
    for status in _statuses(endpoint):
        details = _own_details(endpoint, status)
        answers[str(status)] = (
            _answer(status, details) if details else {"$ref": f"#/components/responses/Failure{status}"}
        )
    return answers
