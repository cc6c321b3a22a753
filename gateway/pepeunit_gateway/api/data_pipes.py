"""Routes of data pipes: configuration and stored values. Source: protocol/rest.md 2.7, protocol/datapipe.md 2."""

import asyncio
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import MAX_INTEGER, PageQuery, QueryModel, ReadModel, UtcTime
from pepeunit_gateway.api.routing import Download, Media, RouteTable, Sample, Token, Upload
from pepeunit_gateway.datapipe.config import PolicyType
from pepeunit_gateway.datapipe.service import PipeDataQuery, Pipes
from pepeunit_gateway.errors import DataPipeError, FeatureFlagError, NoAccessError, NotFoundError
from pepeunit_gateway.registry.listing import OrderBy

__all__ = ["routes"]

routes = RouteTable(
    "/unit_nodes",
    tag="Data pipes",
    about="Which values of a node are kept, and the kept values.",
    entity="unit node",
)

_OFF = FeatureFlagError("data pipes are off; the operator turns them on with PU_FF_DATAPIPE_ENABLE=true")
_NO_NODE = NotFoundError("there is no unit node b8a2c6d4-1e3f-4a5b-9c7d-8e9f0a1b2c3d")
_NO_YAML = DataPipeError(
    "the configuration must be a YAML mapping with the sections active_period, filters and processing_policy, "
    "not a list"
)
_NOT_ACTIVE = DataPipeError("Data pipe is not active")
_NOT_YOURS = NoAccessError("only the node's creator and units that receive it may read its values")
_CONFIG = Sample(
    description="The field `data` holds the configuration as YAML in UTF-8, at most 16 KiB: `curl -F data=@pipe.yml …`",
    media="application/yaml",
    text="""\
active_period:
  type: Permanent  # or FromDate with start, ToDate with end, DateRange with both
filters:
  type_input_value: Number  # or Text
  type_value_filtering: BlackList  # or WhiteList; optional
  filtering_values: [-127, 85]
  type_value_threshold: Range  # or Min, Max; optional, numbers only
  threshold_min: -40
  threshold_max: 125
  max_rate: 10  # seconds between two kept values at least; 0 keeps all
  last_unique_check: true  # a value like the last one is not kept again
  max_size: 1024  # bytes
transformations:  # optional
  multiplication_ratio: 0.1  # numbers
  round_decimal_point: 1  # numbers
processing_policy:
  policy_type: TimeWindow  # every value for a while; LastValue keeps the newest alone
  time_window_size: 86400  # seconds
""",
)


class PipeProblemRead(ReadModel):
    stage: str = Field(description="the section in CamelCase, e.g. ProcessingPolicy")
    message: str


class LastValueRead(ReadModel):
    unit_node_uuid: UUID
    state: str | None
    last_update_datetime: UtcTime


class TimeWindowRead(ReadModel):
    unit_node_uuid: UUID
    state: str
    state_type: str
    create_datetime: UtcTime
    expiration_datetime: UtcTime
    size: int


class PipeDataList(ReadModel):
    count: int
    pipe_data: list[TimeWindowRead | LastValueRead]


class PipeNodeQuery(QueryModel):
    uuid: UUID = Field(description="the node")


class PipeDataListQuery(PageQuery):
    uuid: UUID = Field(description="the node")
    type: PolicyType
    search_string: str | None = Field(None, description="part of the stored value")
    time_window_size: int | None = Field(None, ge=0, le=MAX_INTEGER)
    start_create_datetime: UtcTime | None = None
    end_create_datetime: UtcTime | None = None
    relative_time: str | None = Field(None, description="how far back: a number and s, m, h, d, M or y")
    order_by_create_date: OrderBy = OrderBy.DESC


@routes.post("/check_data_pipe_config", token=Token.OPTIONAL, reading=True, errors=(_OFF, _NO_YAML), sample=_CONFIG)
async def check_data_pipe_config(pipes: Pipes, agent: Agent, data: Upload) -> list[PipeProblemRead]:
    """Check a configuration in YAML; an empty list means that it is valid."""
    del agent  # anybody may; a token that is sent must be valid all the same
    # in a thread, because reading YAML takes its time and anybody may ask for it
    problems = await asyncio.to_thread(pipes.check, data.content)
    return [PipeProblemRead.model_validate(problem) for problem in problems]


@routes.post(
    "/set_data_pipe_config", token=Token.REQUIRED, errors=(_NO_NODE, _OFF, _NO_YAML, _NOT_ACTIVE), sample=_CONFIG
)
async def set_data_pipe_config(pipes: Pipes, agent: Agent, query: PipeNodeQuery, data: Upload) -> None:
    """Set the configuration of an active pipe; the node's creator may."""
    await pipes.set_config(agent, query.uuid, data.content)


@routes.get("/get_data_pipe_config/{uuid}", token=Token.REQUIRED, errors=(_OFF, _NOT_ACTIVE), media=Media.TEXT)
async def get_data_pipe_config(pipes: Pipes, agent: Agent, uuid: UUID) -> Download:
    """Return the configuration as YAML."""
    return Download((await pipes.get_config(agent, uuid)).encode(), Media.TEXT)


@routes.get(
    "/get_data_pipe_data/", also="/get_data_pipe_data", token=Token.REQUIRED, errors=(_NOT_YOURS, _NO_NODE, _OFF)
)
async def get_data_pipe_data(pipes: Pipes, agent: Agent, query: PipeDataListQuery) -> PipeDataList:
    """List stored values of a node."""
    page = await pipes.data(agent, PipeDataQuery(**query.filters(), paging=query.paging))
    return PipeDataList.model_validate({"count": page.count, "pipe_data": page.items})


@routes.delete("/delete_data_pipe_data/{uuid}", token=Token.REQUIRED, errors=(_OFF,))
async def delete_data_pipe_data(pipes: Pipes, agent: Agent, uuid: UUID) -> None:
    """Delete the stored values of a node; its creator may."""
    await pipes.delete_data(agent, uuid)
