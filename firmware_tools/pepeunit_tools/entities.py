"""What the commands need of the gateway's entities. Source: protocol/entities.md 1.2-1.5."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pepeunit_tools.client import Row
from pepeunit_tools.errors import UnexpectedAnswerError

__all__ = ["Command", "Edge", "LogLine", "Node", "NodeType", "Repo", "Repository", "Unit", "Visibility"]


class Visibility(StrEnum):
    PUBLIC = "Public"
    INTERNAL = "Internal"
    PRIVATE = "Private"


class Command(StrEnum):
    UPDATE = "Update"
    ENV_UPDATE = "EnvUpdate"
    SCHEMA_UPDATE = "SchemaUpdate"
    LOG_SYNC = "LogSync"


class NodeType(StrEnum):
    OUTPUT = "Output"
    INPUT = "Input"


@dataclass(frozen=True)
class Repository:
    """A RepositoryRegistry; `status` is Updated, Processing, Error or None."""

    uuid: str
    url: str
    status: str | None
    problem: str | None
    branches: tuple[str, ...] = ()

    @classmethod
    def read(cls, row: Row) -> Self:
        status, problem = _optional(row, "sync_status"), _optional(row, "sync_error")
        branches = tuple(branch for branch in row.get("branches") or () if isinstance(branch, str))
        return cls(_text(row, "uuid"), _text(row, "repository_url"), status, problem, branches)


@dataclass(frozen=True)
class Repo:
    uuid: str
    name: str
    visibility: str
    branch: str | None
    tags_only: bool
    repository: str

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(
            uuid=_text(row, "uuid"),
            name=_text(row, "name"),
            visibility=_text(row, "visibility_level"),
            branch=_optional(row, "default_branch"),
            tags_only=_field(row, "is_only_tag_update", bool),
            repository=_text(row, "repository_registry_uuid"),
        )


@dataclass(frozen=True)
class Unit:
    """`commit` is what the unit reports, `last_update` when it was last heard of or changed (ISO 8601).

    `problem` is why its last update failed; `reported` whether a state of it has ever come.
    """

    uuid: str
    name: str
    repo: str
    commit: str | None
    update_status: str | None
    problem: str | None
    last_update: str | None
    reported: bool

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(
            uuid=_text(row, "uuid"),
            name=_text(row, "name"),
            repo=_text(row, "repo_uuid"),
            commit=_optional(row, "current_commit_version"),
            update_status=_optional(row, "firmware_update_status"),
            problem=_optional(row, "firmware_update_error"),
            last_update=_optional(row, "last_update_datetime"),
            reported=row.get("unit_state") is not None,
        )


@dataclass(frozen=True)
class Node:
    """`value` is the last one known."""

    uuid: str
    type: str
    name: str
    value: str | None
    unit: str

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(
            uuid=_text(row, "uuid"),
            type=_text(row, "type"),
            name=_text(row, "topic_name"),
            value=_optional(row, "state"),
            unit=_text(row, "unit_uuid"),
        )


@dataclass(frozen=True)
class Edge:
    """A link between two nodes, by their uuids."""

    uuid: str
    output: str
    input: str

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(_text(row, "uuid"), _text(row, "node_output_uuid"), _text(row, "node_input_uuid"))


@dataclass(frozen=True)
class LogLine:
    level: str
    text: str
    time: str | None

    @classmethod
    def read(cls, row: Row) -> Self:
        return cls(_text(row, "level"), _text(row, "text"), _optional(row, "create_datetime"))


def _field(row: Row, key: str, kind: Any) -> Any:
    value = row.get(key)
    if not isinstance(value, kind):
        raise UnexpectedAnswerError(f"the gateway's answer has no usable {key}; is it of this version?")
    return value


def _text(row: Row, key: str) -> str:
    text: str = _field(row, key, str)
    return text


def _optional(row: Row, key: str) -> str | None:
    return None if row.get(key) is None else _text(row, key)
