"""A structural check of an OpenAPI 3.1 document: what a reader or a fuzzer trips over first."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["problems", "responses"]

_METHODS = {"get", "post", "patch", "delete", "put", "head", "options", "trace"}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


def _operation_problems(where: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    if not operation.get("summary"):
        yield f"{where}: no summary"
    placeholders = set(re.findall(r"\{(\w+)\}", path))
    declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
    if placeholders != declared:
        yield f"{where}: placeholders {placeholders}, parameters {declared}"
    names = [(p["in"], p["name"]) for p in operation.get("parameters", [])]
    if len(names) != len(set(names)):
        yield f"{where}: a parameter twice"
    for parameter in operation.get("parameters", []):
        if "schema" not in parameter or (parameter["in"] == "path" and parameter["required"] is not True):
            yield f"{where}: parameter {parameter['name']} is incomplete"
    if not any(status.startswith("2") for status in operation["responses"]):
        yield f"{where}: no good answer"
    for status, response in operation["responses"].items():
        if not re.fullmatch("[1-5][0-9][0-9]", status) or not response.get("description"):
            yield f"{where}: answer {status} is incomplete"


def responses(document: Mapping[str, Any], operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers of an operation by their status, the shared ones in full."""
    shared = document["components"].get("responses", {})
    return {
        status: shared.get(answer["$ref"].rpartition("/")[2], {}) if "$ref" in answer else answer
        for status, answer in operation["responses"].items()
    }


def problems(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the document, nothing for a good one."""
    found: list[str] = []
    if not str(document.get("openapi", "")).startswith("3.1.") or not {"title", "version"} <= set(document["info"]):
        found.append("head of the document is incomplete")
    components = document["components"]
    for ref in set(_references(document)):
        _, kind, name = ref.rsplit("/", 2)
        if name not in components.get(kind, {}):
            found.append(f"{ref} leads nowhere")
    found += [f"schema name {name!r}" for name in components["schemas"] if not re.fullmatch(r"[A-Za-z0-9._-]+", name)]
    ids: list[str] = []
    for path, item in document["paths"].items():
        for method, raw in item.items():
            operation = {**raw, "responses": responses(document, raw)}
            where = f"{method.upper()} {path}"
            if method not in _METHODS:
                found.append(f"{where}: no such method")
            ids.append(operation["operationId"])
            found += _operation_problems(where, path, operation)
    if len(ids) != len(set(ids)):
        found.append("an operationId twice")
    return found
