"""What people and units do with pipes over REST.

Source: protocol/rest.md 2.7, protocol/datapipe.md 2, decisions.md 2 and 16.
"""

import asyncio
from typing import Any
from uuid import UUID

from sqlalchemy import Row, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, AgentType
from pepeunit_gateway.access.nodes import require_pipe_reader, require_telemetry_reader
from pepeunit_gateway.access.rules import require_creator, require_token, require_user
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.datapipe.config import PolicyType
from pepeunit_gateway.datapipe.documents import ConfigProblem, check_config, export_yaml, parse_config
from pepeunit_gateway.datapipe.live import PipeStatus
from pepeunit_gateway.datapipe.policies import check_available
from pepeunit_gateway.datapipe.query import PipeDataQuery, last_value_page, window_filter
from pepeunit_gateway.errors import DataPipeError, FeatureFlagError, NotFoundError
from pepeunit_gateway.registry.entities import Page
from pepeunit_gateway.registry.nodes import load_node
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.standing import require_standing
from pepeunit_gateway.registry.visibility import is_permitted, permission_names
from pepeunit_gateway.storage.tables import units_nodes, units_nodes_edges
from pepeunit_gateway.storage.telemetry import LastValueRow, TelemetryStore, WindowRow

__all__ = ["PipeDataQuery", "Pipes"]


class Pipes:
    """Configurations and stored values. Every method but `check` needs an agent's rights to the node."""

    def __init__(self, registry: Registry, store: TelemetryStore) -> None:
        self._context, self._store = registry.context, store

    def check(self, data: bytes) -> list[ConfigProblem]:
        """Return what is wrong with a YAML document; nothing if it is valid.

        Raises:
            DataPipeError: it is no YAML mapping.
        """
        self._require_enabled()
        return check_config(data, max_size=self._context.settings.max_payload_bytes)

    async def set_config(self, agent: Agent, uuid: UUID, data: bytes) -> None:
        """Store the configuration of an active pipe; it counts from the next message on.

        Raises:
            DataPipeError: the pipe is not active, the document is wrong, or its policy comes later.
        """
        self._require_enabled()
        require_user(agent)
        # before the transaction and in a thread: reading YAML takes its time, and nobody else shall wait for it
        config = await asyncio.to_thread(parse_config, data, max_size=self._context.settings.max_payload_bytes)
        check_available(config.processing_policy.policy_type)
        values = {
            "data_pipe_yml": config.model_dump_json(),
            "data_pipe_status": PipeStatus.ACTIVE.value,
            "data_pipe_error": None,
        }
        async with self._context.act(agent) as act:
            row = await load_node(act.connection, uuid)
            require_creator(agent, row.creator_uuid)
            _require_active(row)
            await act.connection.execute(units_nodes.update().where(units_nodes.c.uuid == uuid).values(values))
            act.announce(Change.NODE, [uuid])

    async def get_config(self, agent: Agent, uuid: UUID) -> str:
        """Return the configuration of an active pipe as YAML: to the creator and Users it was granted to (W8).

        Raises:
            DataPipeError: the pipe is not active or has no configuration.
        """
        self._require_enabled()
        require_user(agent)
        async with self._context.database.read() as connection:
            row = await load_node(connection, uuid)
            permitted = await is_permitted(connection, units_nodes, uuid, permission_names(agent, units_nodes))
        require_pipe_reader(agent, creator_uuid=row.creator_uuid, permitted=permitted)
        _require_active(row)
        if not row.data_pipe_yml:
            raise DataPipeError("Data pipe is not filled")
        return export_yaml(row.data_pipe_yml)

    async def data(self, agent: Agent, query: PipeDataQuery) -> Page[LastValueRow] | Page[WindowRow]:
        """Return a page of stored values: the creator's, the unit's own, or what the caller is granted (W8).

        Raises:
            DataPipeError: the policy comes later, or `relative_time` is wrong.
        """
        self._require_enabled()
        require_token(agent)
        async with self._context.database.read() as connection:
            row = await load_node(connection, query.uuid)
            permitted = await _receives(connection, agent, query.uuid)
        require_telemetry_reader(agent, creator_uuid=row.creator_uuid, unit_uuid=row.unit_uuid, permitted=permitted)
        check_available(query.type)
        now = self._context.clock()
        if query.type is PolicyType.TIME_WINDOW:
            return Page(*await self._store.read_window(query.uuid, window_filter(query, now), now))
        last = await self._store.read_last_value(query.uuid)
        if last is None:
            raise NotFoundError(f"there is no unit node {query.uuid}")
        return Page(*last_value_page(query, last, now))

    async def delete_data(self, agent: Agent, uuid: UUID) -> None:
        """Delete the stored rows of a node, whatever the policy; its last value stays. The creator may."""
        self._require_enabled()
        require_user(agent)
        async with self._context.database.read() as connection:
            await require_standing(connection, agent)  # what follows is no act
            row = await load_node(connection, uuid)
        require_creator(agent, row.creator_uuid)
        await self._store.delete_nodes(uuid)

    def _require_enabled(self) -> None:
        if not self._context.settings.ff_datapipe_enable:
            raise FeatureFlagError("data pipes are off; the operator turns them on with PU_FF_DATAPIPE_ENABLE=true")


def _require_active(row: Row[Any]) -> None:
    if not row.is_data_pipe_active:
        raise DataPipeError("Data pipe is not active")


async def _receives(connection: AsyncConnection, agent: Agent, node: UUID) -> bool:
    """Tell whether a row on the node names the agent or an edge carries it into a Unit's Input (decisions.md 1)."""
    granted = permission_names(agent, units_nodes)
    if agent.type is AgentType.UNIT:
        edge, own = units_nodes_edges, units_nodes.alias("own")
        carried = (
            select(edge.c.uuid)
            .select_from(edge.join(own, edge.c.node_input_uuid == own.c.uuid))
            .where(edge.c.node_output_uuid == node, own.c.unit_uuid == agent.uuid)
        )
        granted = or_(granted, exists(carried))
    return await is_permitted(connection, units_nodes, node, granted)
