"""How an answer leads to other operations, as OpenAPI links: a reader sees where a uuid goes, a fuzzer follows it.

They follow from the declarations: an answer that is the entity leads to the operations of the same entity that have a
`uuid` in their path, a list of them to the same by its first item, and a field such as `repo_uuid` to the operation
that gives that entity.
"""

from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from pepeunit_gateway.api.routing import Endpoint

__all__ = ["Links"]

_KEY = "uuid"
_FIELD = "_uuid"


def _model(annotation: Any) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _items(model: type[BaseModel]) -> tuple[str, type[BaseModel]] | None:
    """Return the field of a list's answer that holds its items, and what they are."""
    for name, field in model.model_fields.items():
        item = _model(next(iter(get_args(field.annotation)), None))
        if get_origin(field.annotation) is list and item is not None:
            return name, item
    return None


class Links:
    """The links between all operations."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._by_entity: dict[str, list[Endpoint]] = {}
        self._getters: dict[str, Endpoint] = {}
        self._reads: dict[str, type[BaseModel]] = {}
        for endpoint in endpoints:
            if endpoint.path_params.get(_KEY) is not UUID:
                continue
            self._by_entity.setdefault(endpoint.route.entity, []).append(endpoint)
            if endpoint.route.method == "GET" and (model := _model(endpoint.answer)) and _KEY in model.model_fields:
                folder = endpoint.route.path.strip("/").partition("/")[0]
                self._reads[endpoint.route.entity] = model
                self._getters[folder] = self._getters[folder.removesuffix("s")] = endpoint

    def of(self, endpoint: Endpoint) -> Mapping[str, Any]:
        """Return the links of an endpoint's good answer by their names, as OpenAPI has them."""
        model = _model(endpoint.answer)
        if model is None:
            return {}
        if _KEY in model.model_fields:
            return self._from(endpoint, model, "$response.body#/")
        items = _items(model)
        return {} if items is None else self._from(endpoint, items[1], f"$response.body#/{items[0]}/0/")

    def _from(self, endpoint: Endpoint, model: type[BaseModel], place: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        entity = endpoint.route.entity
        if _KEY in model.model_fields and self._reads.get(entity, model) is model:
            for target in self._by_entity.get(entity, []):
                found[target.name] = _link(target, place + _KEY)
        for name in model.model_fields:
            getter = self._getters.get(name.removesuffix(_FIELD)) if name.endswith(_FIELD) else None
            if getter is not None:
                found.setdefault(f"{getter.name}_by_{name}", _link(getter, place + name))
        return found


def _link(target: Endpoint, expression: str) -> dict[str, Any]:
    return {"operationId": target.name, "parameters": {_KEY: expression}}
