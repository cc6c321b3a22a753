"""The OpenAPI 3.1 document, generated from the declared endpoints; nothing in it is written twice.

What operations fail with is in statuses.py, what is said about the whole API in guide.py.
"""

from collections.abc import Iterable, Mapping
from inspect import getdoc
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from pepeunit_gateway.api.archive_document import archive_answers, archive_headers, archive_parameters
from pepeunit_gateway.api.guide import about_api, about_token
from pepeunit_gateway.api.keys import TOKEN_HEADER
from pepeunit_gateway.api.links import Links
from pepeunit_gateway.api.request_headers import RequestHeader
from pepeunit_gateway.api.routing import Download, Endpoint, Sample, Token
from pepeunit_gateway.api.statuses import DESCRIPTIONS, failures, shared_failures

__all__ = ["build_document"]

_REF = "#/components/schemas/{model}"
_SCHEME = "token"
_ERROR_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "title": "Error",
        "required": ["detail"],
        "properties": {
            "detail": {
                "type": "string",
                "description": "<status>: <code>: <kind>: <message>; status and code are stable",
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

_ANYTHING: dict[str, Any] = {
    "Anything": {
        "title": "Anything",
        "description": "any bytes of any content type; nothing in it is read",
        "properties": {},
    }
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
    for needed in endpoint.needs.values():
        if issubclass(needed, RequestHeader):
            header = {"name": needed.name, "in": "header", "required": True, "schema": dict(needed.schema)}
            found.append({**header, "description": needed.about})
    if endpoint.route.media is not None and endpoint.route.media.is_archive:
        found += archive_parameters()
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
        model = endpoint.body[1]
        content: dict[str, Any] = {"schema": _schema(model, "validation", components)}
        if model.examples:
            content["examples"] = {
                str(number): {"summary": summary, "value": value}
                for number, (summary, value) in enumerate(model.examples.items(), 1)
            }
        return {"required": True, "content": {"application/json": content}}
    if endpoint.upload is not None:
        return _form(endpoint.upload, endpoint.route.sample)
    if endpoint.inflow is not None:
        _add(_ANYTHING, components)
        schema = {"schema": {"$ref": _REF.format(model="Anything")}}
        return {"required": False, "content": {"application/json": schema}}
    return None


def _form(name: str, sample: Sample | None) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "string", "contentMediaType": "application/octet-stream"}
    if sample is not None:
        part = {"type": "string", "contentMediaType": sample.media, "examples": [sample.text]}
    form = {"type": "object", "required": [name], "properties": {name: part}}
    body: dict[str, Any] = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    if sample is not None:  # the page shows no example of a file, so that it stands in the description as well
        body["description"] = f"{sample.description}\n```\n{sample.text.rstrip()}\n```\n"
    return body


def _responses(endpoint: Endpoint, links: Links, components: dict[str, Any]) -> dict[str, Any]:
    route = endpoint.route
    good: dict[str, Any] = {"description": DESCRIPTIONS[route.status]}
    more: dict[str, Any] = {}
    if endpoint.answer is Download:
        media = route.media.value if route.media else "application/octet-stream"
        good["content"] = {media: {"schema": {}}}
        if route.media and route.media.is_archive:
            good["headers"] = archive_headers()
            more = archive_answers(good["content"])
    elif endpoint.answer is not type(None):
        schema = _schema(endpoint.answer, "serialization", components)
        good["content"] = {"application/json": {"schema": schema}}
    if found := links.of(endpoint):
        good["links"] = found
    return {str(route.status): good, **more, **failures(endpoint)}


def _operation(endpoint: Endpoint, links: Links, components: dict[str, Any]) -> dict[str, Any]:
    summary, _, description = (getdoc(endpoint.handler) or endpoint.name).partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.route.tag],
        "summary": " ".join(summary.split()),
        "responses": _responses(endpoint, links, components),
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


def build_document(endpoints: Iterable[Endpoint], *, version: str, prefix: str) -> Mapping[str, Any]:
    """Return the document.

    Args:
        endpoints: what `add_routes` returned.
        version: of the API.
        prefix: the path before every route; it becomes the server's address, relative to the host.
    """
    components: dict[str, Any] = dict(_ERROR_SCHEMAS)
    paths: dict[str, dict[str, Any]] = {}
    tags: dict[str, str] = {}
    endpoints = tuple(endpoints)
    links = Links(endpoints)
    for endpoint in endpoints:
        item = paths.setdefault(endpoint.route.path, {})
        item[endpoint.route.method.lower()] = _operation(endpoint, links, components)
        tags.setdefault(endpoint.route.tag, endpoint.route.about)
    scheme = {"type": "apiKey", "in": "header", "name": TOKEN_HEADER, "description": about_token(prefix)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pepeunit", "version": version, "description": about_api(prefix)},
        "servers": [{"url": prefix or "/"}],
        "tags": [{"name": name, "description": about} for name, about in tags.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": shared_failures(),
            "securitySchemes": {_SCHEME: scheme},
        },
    }
