"""Routes of units as entities. Source: protocol/rest.md 2.6. Their files and private data: unit_files.py."""

from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent, VisibilityLevel
from pepeunit_gateway.api.models import BodyModel, ChangeModel, PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.request_headers import IdempotencyKey
from pepeunit_gateway.api.routing import Encoded, RouteTable, Token
from pepeunit_gateway.api.unit_nodes import UnitNodeRead
from pepeunit_gateway.errors import NoAccessError, NotFoundError, UnitError
from pepeunit_gateway.registry.entities import FirmwareUpdateStatus, UnitNodeType
from pepeunit_gateway.registry.listing import OrderBy
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.unit_creation import MAX_BATCH, NewUnit
from pepeunit_gateway.registry.unit_filters import UnitFilter
from pepeunit_gateway.registry.units import UnitChange

__all__ = ["routes"]

routes = RouteTable("/units", tag="Units", about="Devices, and which commits they run.", entity="unit")

_TAKEN = UnitError("the name kitchen is taken", conflict=True)
_INCOMPLETE = UnitError("a unit that does not follow its Repo needs repo_branch and repo_commit")


class UnitStateRead(ReadModel):
    ifconfig: list[Any]
    millis: float | None
    mem_free: float | None
    mem_alloc: float | None
    freq: float | None
    statvfs: list[Any]
    pu_commit_version: str | None


class UnitRead(ReadModel):
    uuid: UUID
    visibility_level: VisibilityLevel
    name: str
    create_datetime: UtcTime
    last_update_datetime: UtcTime
    is_auto_update_from_repo_unit: bool
    target_firmware_platform: str | None
    repo_branch: str | None
    repo_commit: str | None
    unit_state: UnitStateRead | None
    current_commit_version: str | None
    firmware_update_status: FirmwareUpdateStatus | None
    firmware_update_error: str | None
    last_firmware_update_datetime: UtcTime | None
    creator_uuid: UUID | None
    repo_uuid: UUID
    unit_nodes: list[UnitNodeRead] = Field(description="empty unless is_include_output_unit_nodes asks for them")


class UnitList(ReadModel):
    count: int
    units: list[UnitRead]


class NewUnitBody(BodyModel):
    examples: ClassVar = {
        "It follows its Repo": {
            "repo_uuid": "2f3c8d6e-7b1a-4f5e-8c9d-0a1b2c3d4e5f",
            "visibility_level": "Public",
            "name": "kitchen",
            "is_auto_update_from_repo_unit": True,
        },
        "It stays at one commit": {
            "repo_uuid": "2f3c8d6e-7b1a-4f5e-8c9d-0a1b2c3d4e5f",
            "visibility_level": "Private",
            "name": "kitchen",
            "is_auto_update_from_repo_unit": False,
            "repo_branch": "main",
            "repo_commit": "5c1d0a7e2b9f4a63c8d7e6f5a4b3c2d1e0f9a8b7",
        },
    }

    repo_uuid: UUID
    visibility_level: VisibilityLevel
    name: str = Field(description="4 to 20 of letters, digits, _ - .")
    is_auto_update_from_repo_unit: bool
    target_firmware_platform: str | None = None
    repo_branch: str | None = Field(None, description="needed where the unit does not follow its Repo")
    repo_commit: str | None = Field(None, description="needed where the unit does not follow its Repo")


class NewUnitsBody(BodyModel):
    examples: ClassVar = {
        "Two units of one Repo": {
            "units": [
                {
                    "repo_uuid": "2f3c8d6e-7b1a-4f5e-8c9d-0a1b2c3d4e5f",
                    "visibility_level": "Public",
                    "name": name,
                    "is_auto_update_from_repo_unit": True,
                }
                for name in ("kitchen", "hall")
            ]
        }
    }

    units: list[NewUnitBody] = Field(min_length=1, max_length=MAX_BATCH)


class UnitChangeBody(ChangeModel):
    """Null clears target_firmware_platform, repo_branch and repo_commit."""

    examples: ClassVar = {
        "Stay at one commit": {
            "is_auto_update_from_repo_unit": False,
            "repo_branch": "main",
            "repo_commit": "5c1d0a7e2b9f4a63c8d7e6f5a4b3c2d1e0f9a8b7",
        },
        "Follow the Repo again": {"is_auto_update_from_repo_unit": True, "repo_branch": None, "repo_commit": None},
        "Another name": {"name": "kitchen-2"},
    }
    clearable: ClassVar[frozenset[str]] = frozenset({"target_firmware_platform", "repo_branch", "repo_commit"})

    visibility_level: VisibilityLevel | None = None
    name: str | None = None
    is_auto_update_from_repo_unit: bool | None = None
    target_firmware_platform: str | None = None
    repo_branch: str | None = None
    repo_commit: str | None = None


class UnitQuery(PageQuery):
    is_include_output_unit_nodes: bool = Field(default=False, description="with their nodes; units without one vanish")
    uuids: list[UUID] = Field(default_factory=list)
    creator_uuid: UUID | None = None
    repo_uuid: UUID | None = None
    repos_uuids: list[UUID] = Field(default_factory=list)
    search_string: str | None = Field(None, description="every word must occur in the name")
    is_auto_update_from_repo_unit: bool | None = None
    visibility_level: list[VisibilityLevel] = Field(default_factory=list)
    unit_node_input_uuid: UUID | None = Field(None, description="only Outputs that feed this Input, if you see it")
    unit_node_type: list[UnitNodeType] = Field(default_factory=list)
    unit_node_uuids: list[UUID] = Field(default_factory=list)
    order_by_create_date: OrderBy = OrderBy.DESC
    order_by_last_update: OrderBy = OrderBy.DESC
    order_by_unit_name: OrderBy = OrderBy.ASC


@routes.post(
    "",
    token=Token.REQUIRED,
    status=201,
    errors=(
        NoAccessError("you may not see this entity"),
        NotFoundError("there is no Repo 2f3c8d6e-7b1a-4f5e-8c9d-0a1b2c3d4e5f"),
        _TAKEN,
        _INCOMPLETE,
    ),
)
async def create_unit(registry: Registry, agent: Agent, body: NewUnitBody) -> UnitRead:
    """Create a unit of a Repo that you may see, with its nodes."""
    return UnitRead.model_validate(await registry.units.create(agent, NewUnit(**dict(body))))


@routes.post(
    "/batch",
    token=Token.REQUIRED,
    status=201,
    errors=(
        NoAccessError("units[1]: you may not see this entity"),
        NotFoundError("units[0]: there is no Repo 2f3c8d6e-7b1a-4f5e-8c9d-0a1b2c3d4e5f"),
        UnitError("units[0]: the name kitchen is taken", conflict=True),
        UnitError("this Idempotency-Key belongs to another request; send a new key", conflict=True),
        UnitError("units[1]: a unit that does not follow its Repo needs repo_branch and repo_commit"),
    ),
)
async def create_units(registry: Registry, agent: Agent, key: IdempotencyKey, body: NewUnitsBody) -> UnitList:
    """Create up to a hundred units, all or none.

    Sent again with the same key within a day, the request creates nothing and is answered as the first time. Errors
    tell the number of the unit that they are about, from 0.
    """
    made = await registry.units.create_batch(agent, [NewUnit(**dict(unit)) for unit in body.units], key.value)
    return UnitList(count=len(made), units=[UnitRead.model_validate(unit) for unit in made])


@routes.get("/{uuid}", token=Token.OPTIONAL)
async def get_unit(registry: Registry, agent: Agent, uuid: UUID) -> Encoded[UnitRead]:
    """Return the public fields of one unit."""
    return Encoded(await registry.unit_reads.one(agent, uuid))


@routes.get("", token=Token.OPTIONAL)
async def get_units(registry: Registry, agent: Agent, query: UnitQuery) -> Encoded[UnitList]:
    """List the units that you may see."""
    return Encoded(await registry.unit_reads.page(agent, UnitFilter(**query.filters(), paging=query.paging)))


@routes.patch("/{uuid}", token=Token.REQUIRED, errors=(_TAKEN, _INCOMPLETE))
async def update_unit(registry: Registry, agent: Agent, uuid: UUID, body: UnitChangeBody) -> UnitRead:
    """Change a unit; its creator may. Where its target moves, nodes and an Update command follow."""
    return UnitRead.model_validate(await registry.units.edit(agent, uuid, UnitChange(**body.sent())))


@routes.delete("/{uuid}", token=Token.REQUIRED)
async def delete_unit(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Delete a unit with everything of it; its creator may, and an Admin."""
    await registry.units.delete(agent, uuid)
