"""The entities as frozen values: their fields are the read views of protocol/entities.md 1.1-1.7."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Row

from pepeunit_gateway.access.agents import UserRole, UserStatus, VisibilityLevel

if TYPE_CHECKING:
    from _typeshed import DataclassInstance  # exists for type checkers only

__all__ = [
    "CredentialStatus",
    "Edge",
    "FirmwareUpdateStatus",
    "GitPlatform",
    "LogLevel",
    "Page",
    "Repo",
    "Repository",
    "RepositoryStatus",
    "Unit",
    "UnitLog",
    "UnitNode",
    "UnitNodeType",
    "UnitState",
    "User",
    "Version",
    "Versions",
    "from_row",
]

T = TypeVar("T")


class GitPlatform(StrEnum):
    """`Git` is ours: any server that speaks git over HTTP, without a platform API."""

    GITLAB = "Gitlab"
    GITHUB = "Github"
    GIT = "Git"


class RepositoryStatus(StrEnum):
    UPDATED = "Updated"
    PROCESSING = "Processing"
    ERROR = "Error"


class CredentialStatus(StrEnum):
    VALID = "Valid"
    NOT_VERIFIED = "NotVerified"
    ERROR = "Error"


class FirmwareUpdateStatus(StrEnum):
    REQUEST_SENT = "RequestSent"
    ERROR = "Error"
    SUCCESS = "Success"


class UnitNodeType(StrEnum):
    OUTPUT = "Output"
    INPUT = "Input"


class LogLevel(StrEnum):
    DEBUG = "Debug"
    INFO = "Info"
    WARNING = "Warning"
    ERROR = "Error"
    CRITICAL = "Critical"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `count` is the number of all matching rows."""

    count: int
    items: list[T]


@dataclass(frozen=True, slots=True)
class User:
    uuid: UUID
    role: UserRole
    status: UserStatus
    login: str
    grafana_org_name: UUID
    grafana_org_id: str | None
    create_datetime: datetime


@dataclass(frozen=True, slots=True)
class Repository:
    """A RepositoryRegistry; the branches are read from the mirror."""

    uuid: UUID
    platform: GitPlatform
    repository_url: str
    is_public_repository: bool
    releases_data: str | None
    local_repository_size: int
    sync_status: RepositoryStatus | None
    sync_error: str | None
    sync_last_datetime: datetime | None
    create_datetime: datetime
    last_update_datetime: datetime
    creator_uuid: UUID | None
    is_webhook_set: bool = False
    branches: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Repo:
    uuid: UUID
    visibility_level: VisibilityLevel
    name: str
    create_datetime: datetime
    last_update_datetime: datetime
    default_branch: str | None
    is_compilable_repo: bool
    is_auto_update_repo: bool
    default_commit: str | None
    is_only_tag_update: bool
    creator_uuid: UUID | None
    repository_registry_uuid: UUID


@dataclass(frozen=True, slots=True)
class Version:
    commit: str
    unit_count: int
    tag: str | None


@dataclass(frozen=True, slots=True)
class Versions:
    """Which commits the units of a repo report, most used first."""

    unit_count: int
    versions: list[Version]


@dataclass(frozen=True, slots=True)
class UnitNode:
    uuid: UUID
    type: UnitNodeType
    visibility_level: VisibilityLevel
    is_rewritable_input: bool
    max_connections: int
    topic_name: str
    create_datetime: datetime
    last_update_datetime: datetime
    state: str | None
    is_data_pipe_active: bool
    data_pipe_yml: str | None
    data_pipe_status: str | None
    data_pipe_error: str | None
    creator_uuid: UUID | None
    unit_uuid: UUID


@dataclass(frozen=True, slots=True)
class UnitState:
    """The last state message, filtered (protocol/broker.md 6.4)."""

    ifconfig: list[Any] = field(default_factory=list)
    millis: float | None = None
    mem_free: float | None = None
    mem_alloc: float | None = None
    freq: float | None = None
    statvfs: list[Any] = field(default_factory=list)
    pu_commit_version: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    uuid: UUID
    visibility_level: VisibilityLevel
    name: str
    create_datetime: datetime
    last_update_datetime: datetime
    is_auto_update_from_repo_unit: bool
    target_firmware_platform: str | None
    repo_branch: str | None
    repo_commit: str | None
    unit_state: UnitState | None
    current_commit_version: str | None
    firmware_update_status: FirmwareUpdateStatus | None
    firmware_update_error: str | None
    last_firmware_update_datetime: datetime | None
    creator_uuid: UUID | None
    repo_uuid: UUID
    unit_nodes: list[UnitNode] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class UnitLog:
    uuid: UUID
    level: LogLevel
    unit_uuid: UUID
    text: str
    create_datetime: datetime
    expiration_datetime: datetime


@dataclass(frozen=True, slots=True)
class Edge:
    """A link; the direction is always Output to Input."""

    uuid: UUID
    node_output_uuid: UUID
    node_input_uuid: UUID
    creator_uuid: UUID | None


E = TypeVar("E", bound="DataclassInstance")

_ENUMS: dict[tuple[str, str], type[StrEnum]] = {
    ("User", "role"): UserRole,
    ("User", "status"): UserStatus,
    ("Repository", "platform"): GitPlatform,
    ("Repository", "sync_status"): RepositoryStatus,
    ("Repo", "visibility_level"): VisibilityLevel,
    ("Unit", "visibility_level"): VisibilityLevel,
    ("Unit", "firmware_update_status"): FirmwareUpdateStatus,
    ("UnitNode", "visibility_level"): VisibilityLevel,
    ("UnitNode", "type"): UnitNodeType,
    ("UnitLog", "level"): LogLevel,
}


def from_row(entity: type[E], row: Row[Any], **more: Any) -> E:
    """Make an entity of the columns of `row` that it has as fields; `more` gives the rest."""
    mapping = row._mapping  # noqa: SLF001 - SQLAlchemy's documented access to a row's columns
    values = {f.name: mapping[f.name] for f in fields(entity) if f.name in mapping}
    for name, value in values.items():
        kind = _ENUMS.get((entity.__name__, name))
        if kind and value is not None:
            values[name] = kind(value)
    return entity(**values, **more)
