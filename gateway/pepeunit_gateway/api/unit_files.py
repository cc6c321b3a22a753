"""Routes for what belongs to one unit alone: env, schema, archives, storage, commands, logs.

The creator and the unit itself may call them ("C/U" of protocol/rest.md 2.6). Firmware answers carry Content-Length,
Repr-Digest (decisions.md 13) and a strong ETag; HEAD tells all without the bytes, Range gives a part of them.
"""

from functools import partial
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import BodyModel, PageQuery, QueryModel, ReadModel, UtcTime
from pepeunit_gateway.api.routing import Download, Media, RouteTable, Token
from pepeunit_gateway.errors import (
    CustomJSONDecodeError,
    GitRepoError,
    NoAccessError,
    NotFoundError,
    UnitError,
)
from pepeunit_gateway.firmware.archives import ArchiveFormat
from pepeunit_gateway.registry.entities import LogLevel
from pepeunit_gateway.registry.listing import OrderBy
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.topics import BackendTopicCommand

__all__ = ["routes"]

routes = RouteTable(
    "/units",
    tag="Unit files",
    about="What a device fetches, stores and tells; for it and its creator alone.",
    entity="unit",
)

_NOT_YOURS = NoAccessError("only the creator and the unit itself may do this")
_NO_UNIT = NotFoundError("there is no unit 3d6f4a1e-9b2c-4e7d-8f5a-6c0b1d2e3f4a")
_NO_VERSION = GitRepoError(
    "Version is missing: no commit of branch 'main' carries a tag; push a tag, "
    "or let the repo follow the branch with is_only_tag_update=false"
)
_CHANGED = UnitError("the unit was changed meanwhile; ask again", conflict=True)
_ARCHIVE_ERRORS = (_NOT_YOURS, _CHANGED, _NO_VERSION)

_CIPHER_BODY = 13 * 1024 * 1024  # PU_MAX_CIPHER_LENGTH, a million characters by default, of twelve escaped bytes each


class TargetVersionRead(ReadModel):
    commit: str
    tag: str | None


class UnitLogRead(ReadModel):
    uuid: UUID
    level: LogLevel
    unit_uuid: UUID
    text: str
    create_datetime: UtcTime
    expiration_datetime: UtcTime


class UnitLogList(ReadModel):
    count: int
    unit_logs: list[UnitLogRead]


class EnvBody(BodyModel):
    examples: ClassVar = {
        "Values of your own": {"env_json_string": '{"PUBLISH_SEND_INTERVAL": 60}'},
    }

    env_json_string: str = Field(description="a JSON object as text", repr=False)


class StateStorageBody(BodyModel):
    examples: ClassVar = {"Any text": {"state": '{"boots": 12}'}, "Forget it": {"state": ""}}
    sealed: ClassVar[frozenset[str]] = frozenset({"state"})

    state: str = Field(description="an empty text clears", repr=False)


class CommandQuery(QueryModel):
    command: BackendTopicCommand


class ArchiveQuery(QueryModel):
    wbits: int = Field(9, description="-15..-9 raw deflate, 9..15 zlib, 25..31 gzip")
    level: int = Field(9, description="-1..9")


class UnitLogQuery(PageQuery):
    uuid: UUID = Field(description="the unit")
    level: list[LogLevel] = Field(default_factory=list)
    order_by_create_date: OrderBy = OrderBy.DESC


@routes.get("/env/{uuid}", token=Token.REQUIRED, secret=True, errors=(_NOT_YOURS, _CHANGED, _NO_VERSION))
async def get_env(registry: Registry, agent: Agent, uuid: UUID) -> dict[str, Any]:
    """Return env.json with PU_COMMIT_VERSION."""
    return dict(await registry.unit_files.env(agent, uuid))


@routes.patch(
    "/env/{uuid}",
    token=Token.REQUIRED,
    max_body=_CIPHER_BODY,
    errors=(CustomJSONDecodeError("env_json_string is not usable JSON: Expecting value: line 1 column 1 (char 0)"),),
)
async def set_env(registry: Registry, agent: Agent, uuid: UUID, body: EnvBody) -> None:
    """Store typed values of env.json; the creator may."""
    await registry.unit_files.set_env(agent, uuid, body.env_json_string)


@routes.delete("/env/{uuid}", token=Token.REQUIRED)
async def delete_env(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Forget the typed values; the creator may. The unit gets new keys."""
    await registry.unit_files.reset_env(agent, uuid)


@routes.get("/get_target_version/{uuid}", token=Token.REQUIRED, errors=(_NOT_YOURS, _NO_VERSION))
async def get_target_version(registry: Registry, agent: Agent, uuid: UUID) -> TargetVersionRead:
    """Return the commit that the unit should run."""
    return TargetVersionRead.model_validate(await registry.unit_files.target_version(agent, uuid))


@routes.get("/get_current_schema/{uuid}", token=Token.REQUIRED, errors=(_NOT_YOURS, _CHANGED, _NO_VERSION))
async def get_current_schema(registry: Registry, agent: Agent, uuid: UUID) -> dict[str, dict[str, list[str]]]:
    """Return schema.json."""
    return await registry.unit_files.current_schema(agent, uuid)


async def _archive(
    registry: Registry, agent: Agent, uuid: UUID, kind: Literal["tar", "zip", "tgz"], query: ArchiveQuery | None = None
) -> Download:
    fmt = ArchiveFormat(kind, query.wbits, query.level) if query else ArchiveFormat(kind)
    archive = await registry.unit_files.archive(agent, uuid, fmt)
    media = Media.ZIP if kind == "zip" else Media.TAR
    sent = partial(registry.unit_files.arrived, agent, uuid)
    return Download(archive, media, {"Repr-Digest": archive.repr_digest}, archive.etag, sent)


@routes.get("/firmware/zip/{uuid}", token=Token.REQUIRED, secret=True, media=Media.ZIP, errors=_ARCHIVE_ERRORS)
async def get_firmware_zip(registry: Registry, agent: Agent, uuid: UUID) -> Download:
    """Return the unit's program as zip."""
    return await _archive(registry, agent, uuid, "zip")


@routes.get("/firmware/tar/{uuid}", token=Token.REQUIRED, secret=True, media=Media.TAR, errors=_ARCHIVE_ERRORS)
async def get_firmware_tar(registry: Registry, agent: Agent, uuid: UUID) -> Download:
    """Return the unit's program as tar."""
    return await _archive(registry, agent, uuid, "tar")


@routes.get(
    "/firmware/tgz/{uuid}",
    token=Token.REQUIRED,
    secret=True,
    media=Media.TAR,
    errors=(*_ARCHIVE_ERRORS, UnitError("wbits must be -15..-9, 9..15 or 25..31, not 8")),
)
async def get_firmware_tgz(registry: Registry, agent: Agent, uuid: UUID, query: ArchiveQuery) -> Download:
    """Return the unit's program as a tar in a zlib, deflate or gzip stream."""
    return await _archive(registry, agent, uuid, "tgz", query)


@routes.post("/set_state_storage/{uuid}", token=Token.REQUIRED, max_body=_CIPHER_BODY, errors=(_NOT_YOURS,))
async def set_state_storage(registry: Registry, agent: Agent, uuid: UUID, body: StateStorageBody) -> None:
    """Store a text for the unit."""
    await registry.unit_files.set_state_storage(agent, uuid, body.state)


@routes.get("/get_state_storage/{uuid}", token=Token.REQUIRED, secret=True, errors=(_NOT_YOURS,))
async def get_state_storage(registry: Registry, agent: Agent, uuid: UUID) -> str:
    """Return what was stored, or an empty text."""
    return await registry.unit_files.get_state_storage(agent, uuid)


@routes.post(
    "/send_command_to_input_base_topic/{uuid}", token=Token.REQUIRED, errors=(_NOT_YOURS, _CHANGED, _NO_VERSION)
)
async def send_command(registry: Registry, agent: Agent, uuid: UUID, query: CommandQuery) -> None:
    """Send a command to the unit; nothing is sent if its schema does not list it."""
    await registry.unit_files.send_command(agent, uuid, query.command)


@routes.get("/log_list/", also="/log_list", token=Token.REQUIRED, errors=(_NOT_YOURS, _NO_UNIT))
async def get_log_list(registry: Registry, agent: Agent, query: UnitLogQuery) -> UnitLogList:
    """List the unit's log lines."""
    page = await registry.unit_files.logs(
        agent, query.uuid, levels=query.level, order=query.order_by_create_date, paging=query.paging
    )
    return UnitLogList(count=page.count, unit_logs=[UnitLogRead.model_validate(line) for line in page.items])
