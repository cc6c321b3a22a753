"""The OpenAPI 3.1 document, generated from the declared endpoints; nothing in it is written twice.

Beside its good answer every operation documents the failures that follow from its signature:

    401, 403    it looks at the token
    404         its path names an entity
    400         it has a body, which may be cut; 408 and 413 too
    422         it has a path parameter, a query or a body
    500, 503    always
    and what its declaration adds (`errors=`), e.g. 409 for a name that is taken, 405 for a part that is off, 429
"""

from collections.abc import Iterable, Mapping
from inspect import getdoc
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from pepeunit_gateway.api.failures import REQUEST_ID_HEADER
from pepeunit_gateway.api.keys import TOKEN_HEADER
from pepeunit_gateway.api.routing import Download, Endpoint, Token

__all__ = ["build_document"]

_REF = "#/components/schemas/{model}"
_SCHEME = "token"
_RETRIED = {429, 503}
_DESCRIPTIONS = {
    200: "Done",
    201: "Created",
    204: "Done, no content",
    400: "The body ended early",
    401: "No token where one is needed, or a token that is not valid",
    403: "This agent may not do that",
    404: "There is no such entity",
    405: "This part of the platform is off",
    408: "The body did not arrive in time",
    409: "It collides with what exists",
    413: "The body is too large",
    422: "The input is not valid",
    429: "Too many failures; wait as Retry-After says",
    500: "A fault of the gateway; its log has more under the request's id",
    503: "The database is busy; wait as Retry-After says",
}

_ERROR_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "title": "Error",
        "required": ["detail"],
        "properties": {
            "detail": {
                "type": "string",
                "description": "<status>: <code>: <prefix>: <message>; status and code are stable",
                "examples": ["403: 1: No Access: Token expired"],
            }
        },
    },
    "InvalidInput": {
        "type": "object",
        "title": "InvalidInput",
        "required": ["detail"],
        "properties": {
            "detail": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["type", "loc", "msg"],
                    "properties": {
                        "type": {"type": "string"},
                        "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
                        "msg": {"type": "string"},
                    },
                },
            }
        },
    },
}


def _add(found: Mapping[str, Any], components: dict[str, Any]) -> None:
    for name, schema in found.items():
        if components.setdefault(name, schema) != schema:
            raise TypeError(f"two different models are named {name}; names are the document's schemas")


def _schema(kind: Any, mode: JsonSchemaMode, components: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type; the models that it names are put into `components`."""
    schema = TypeAdapter(kind).json_schema(ref_template=_REF, mode=mode)
    _add(schema.pop("$defs", {}), components)
    title = schema.get("title")
    if isinstance(kind, type) and schema.get("type") == "object" and isinstance(title, str) and "properties" in schema:
        _add({title: schema}, components)
        return {"$ref": _REF.format(model=title)}
    return schema


def _parameters(endpoint: Endpoint, components: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, kind in endpoint.path_params.items():
        schema = {"type": "string", "format": "uuid"} if kind is UUID else {"type": "string"}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    if endpoint.query is not None:
        query: dict[str, Any] = endpoint.query[1].model_json_schema(ref_template=_REF)
        _add(query.pop("$defs", {}), components)
        required = query.get("required", [])
        for name, part in query["properties"].items():
            parameter = {"name": name, "in": "query", "required": name in required, "schema": part}
            if "description" in part:
                parameter["description"] = part["description"]
            found.append(parameter)
    return found


def _request_body(endpoint: Endpoint, components: dict[str, Any]) -> dict[str, Any] | None:
    if endpoint.body is not None:
        schema = _schema(endpoint.body[1], "validation", components)
        return {"required": True, "content": {"application/json": {"schema": schema}}}
    if endpoint.upload is not None:
        part = {"type": "string", "contentMediaType": "application/octet-stream"}
        form = {"type": "object", "required": [endpoint.upload], "properties": {endpoint.upload: part}}
        return {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    return None


def _failures(endpoint: Endpoint) -> list[int]:
    has_body = endpoint.body is not None or endpoint.upload is not None
    statuses = {500, 503} | endpoint.route.errors
    if endpoint.route.token is not Token.NONE:
        statuses |= {401, 403}
    if UUID in endpoint.path_params.values():
        statuses.add(404)
    if has_body:
        statuses |= {400, 408, 413}
    if has_body or endpoint.path_params or endpoint.query is not None:
        statuses.add(422)
    return sorted(statuses)


def _headers(status: int, *, digest: bool) -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    headers: dict[str, Any] = {REQUEST_ID_HEADER: text}
    if status in _RETRIED:
        headers["Retry-After"] = {"schema": {"type": "integer"}}
    if digest:
        headers["Repr-Digest"] = text
    return headers


def _responses(endpoint: Endpoint, components: dict[str, Any]) -> dict[str, Any]:
    route = endpoint.route
    good: dict[str, Any] = {"description": _DESCRIPTIONS[route.status]}
    if endpoint.answer is Download:
        media = route.media.value if route.media else "application/octet-stream"
        good["content"] = {media: {"schema": {}}}
    elif endpoint.answer is not type(None):
        good["content"] = {"application/json": {"schema": _schema(endpoint.answer, "serialization", components)}}
    good["headers"] = _headers(route.status, digest=endpoint.answer is Download)
    responses = {str(route.status): good}
    error = {"$ref": _REF.format(model="Error")}
    for status in _failures(endpoint):
        schema = {"anyOf": [error, {"$ref": _REF.format(model="InvalidInput")}]} if status == 422 else error  # noqa: PLR2004
        responses[str(status)] = {
            "description": _DESCRIPTIONS[status],
            "content": {"application/json": {"schema": schema}},
            "headers": _headers(status, digest=False),
        }
    return responses


def _operation(endpoint: Endpoint, components: dict[str, Any]) -> dict[str, Any]:
    summary, _, description = (getdoc(endpoint.handler) or endpoint.name).partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.route.tag],
        "summary": " ".join(summary.split()),
        "responses": _responses(endpoint, components),
    }
    if description:
        operation["description"] = description
    if parameters := _parameters(endpoint, components):
        operation["parameters"] = parameters
    if (body := _request_body(endpoint, components)) is not None:
        operation["requestBody"] = body
    if endpoint.route.token is Token.REQUIRED:
        operation["security"] = [{_SCHEME: []}]
    elif endpoint.route.token is Token.OPTIONAL:
        operation["security"] = [{}, {_SCHEME: []}]
    return operation


def build_document(
    endpoints: Iterable[Endpoint], *, title: str, version: str, description: str, prefix: str
) -> Mapping[str, Any]:
    """Return the document.

    Args:
        endpoints: what `add_routes` returned.
        title: of the API.
        version: of the API.
        description: of the API.
        prefix: the path before every route; it becomes the server's address, relative to the host.
    """
    components: dict[str, Any] = dict(_ERROR_SCHEMAS)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        item = paths.setdefault(endpoint.route.path, {})
        item[endpoint.route.method.lower()] = _operation(endpoint, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "servers": [{"url": prefix or "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {_SCHEME: {"type": "apiKey", "in": "header", "name": TOKEN_HEADER}},
        },
    }
