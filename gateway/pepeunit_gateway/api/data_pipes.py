"""Routes of data pipes: configuration and stored values. Source: protocol/rest.md 2.7, protocol/datapipe.md 2."""

import asyncio
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import MAX_INTEGER, PageQuery, QueryModel, ReadModel, UtcTime
from pepeunit_gateway.api.routing import Download, Media, RouteTable, Token, Upload
from pepeunit_gateway.datapipe.config import PolicyType
from pepeunit_gateway.datapipe.service import PipeDataQuery, Pipes
from pepeunit_gateway.registry.listing import OrderBy

__all__ = ["routes"]

routes = RouteTable("/unit_nodes", tag="Data pipes")

_OFF = 405


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


@routes.post("/check_data_pipe_config", token=Token.OPTIONAL, errors=(_OFF,))
async def check_data_pipe_config(pipes: Pipes, agent: Agent, data: Upload) -> list[PipeProblemRead]:
    """Check a configuration in YAML; an empty list means that it is valid."""
    del agent  # anybody may; a token that is sent must be valid all the same
    # in a thread, because reading YAML takes its time and anybody may ask for it
    problems = await asyncio.to_thread(pipes.check, data.content)
    return [PipeProblemRead.model_validate(problem) for problem in problems]


@routes.post("/set_data_pipe_config", token=Token.REQUIRED, errors=(404, _OFF))
async def set_data_pipe_config(pipes: Pipes, agent: Agent, query: PipeNodeQuery, data: Upload) -> None:
    """Set the configuration of an active pipe; the node's creator may."""
    await pipes.set_config(agent, query.uuid, data.content)


@routes.get("/get_data_pipe_config/{uuid}", token=Token.REQUIRED, errors=(_OFF,), media=Media.TEXT)
async def get_data_pipe_config(pipes: Pipes, agent: Agent, uuid: UUID) -> Download:
    """Return the configuration as YAML."""
    return Download((await pipes.get_config(agent, uuid)).encode(), Media.TEXT)


@routes.get("/get_data_pipe_data/", also="/get_data_pipe_data", token=Token.REQUIRED, errors=(404, _OFF))
async def get_data_pipe_data(pipes: Pipes, agent: Agent, query: PipeDataListQuery) -> PipeDataList:
    """List stored values of a node."""
    page = await pipes.data(agent, PipeDataQuery(**query.filters(), paging=query.paging))
    return PipeDataList.model_validate({"count": page.count, "pipe_data": page.items})


@routes.delete("/delete_data_pipe_data/{uuid}", token=Token.REQUIRED, errors=(_OFF,))
async def delete_data_pipe_data(pipes: Pipes, agent: Agent, uuid: UUID) -> None:
    """Delete the stored values of a node; its creator may."""
    await pipes.delete_data(agent, uuid)
