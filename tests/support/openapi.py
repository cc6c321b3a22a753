"""A structural check of an OpenAPI 3.1 document: what a reader or a fuzzer trips over first."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["problems"]

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


def problems(document: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the document, nothing for a good one."""
    found: list[str] = []
    if not str(document.get("openapi", "")).startswith("3.1.") or not {"title", "version"} <= set(document["info"]):
        found.append("head of the document is incomplete")
    schemas = document["components"]["schemas"]
    found += [f"{ref} leads nowhere" for ref in set(_references(document)) if ref.rpartition("/")[2] not in schemas]
    found += [f"schema name {name!r}" for name in schemas if not re.fullmatch(r"[A-Za-z0-9._-]+", name)]
    ids: list[str] = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            where = f"{method.upper()} {path}"
            if method not in _METHODS:
                found.append(f"{where}: no such method")
            ids.append(operation["operationId"])
            found += _operation_problems(where, path, operation)
    if len(ids) != len(set(ids)):
        found.append("an operationId twice")
    return found
