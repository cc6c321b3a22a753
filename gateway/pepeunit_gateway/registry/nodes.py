"""UnitNodes: changing, setting an Input; how they are read stands in node_reads.py.

Source: protocol/entities.md 1.5, rest.md 2.7, W1 and W16.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy import Row, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, AgentType, VisibilityLevel
from pepeunit_gateway.access.nodes import may_read_pipe_with_node, require_setter
from pepeunit_gateway.access.rules import check_child_visibility, require_creator, require_token, require_user
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import NotFoundError, UnitNodeError
from pepeunit_gateway.registry.changes import UNSET, Unset, sent
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.default_pipe import DEFAULT_PIPE_JSON
from pepeunit_gateway.registry.entities import UnitNode, UnitNodeType, from_row
from pepeunit_gateway.registry.node_sync import linked_units
from pepeunit_gateway.registry.standing import require_standing
from pepeunit_gateway.registry.visibility import is_permitted, linked_to_unit, permission_names
from pepeunit_gateway.storage.tables import permissions, units, units_nodes
from pepeunit_gateway.topics import is_platform_topic, node_topic

__all__ = ["NodeChange", "Nodes", "Publish"]

Publish = Callable[[str, bytes], Awaitable[None]]
"""Hands a payload to the broker; raises MqttError where it was not acknowledged."""


@dataclass(frozen=True, slots=True)
class NodeChange:
    """UNSET fields stay as they are."""

    visibility_level: VisibilityLevel | Unset = UNSET
    is_rewritable_input: bool | Unset = UNSET
    is_data_pipe_active: bool | Unset = UNSET
    max_connections: int | Unset = UNSET


class Nodes:
    """The inputs and outputs of units."""

    def __init__(self, context: Context, publish: Publish) -> None:
        self._context = context
        self._publish = publish
        self._setting: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def edit(self, agent: Agent, uuid: UUID, change: NodeChange) -> UnitNode:
        """Change a node; what units may do with it follows at once."""
        require_user(agent)
        values = sent(
            visibility_level=change.visibility_level,
            is_rewritable_input=change.is_rewritable_input,
            is_data_pipe_active=change.is_data_pipe_active,
            max_connections=change.max_connections,
        )
        async with self._context.act(agent) as act:
            row = await load_node(act.connection, uuid)
            require_creator(agent, row.creator_uuid)
            await self._check_change(act.connection, row, values)
            if "is_data_pipe_active" in values:
                values.update(_pipe_columns(row, active=values["is_data_pipe_active"]))
            await act.connection.execute(
                units_nodes.update().where(units_nodes.c.uuid == uuid).values(**values, last_update_datetime=act.now)
            )
            act.announce(Change.NODE, [uuid])
            permitted = select(permissions.c.agent_unit_uuid).where(
                permissions.c.resource_unit_node_uuid == uuid, permissions.c.agent_unit_uuid.is_not(None)
            )
            holders = set((await act.connection.execute(permitted)).scalars())
            act.announce(Change.ACCESS, {row.unit_uuid, *holders, *await linked_units(act, [uuid])})
            row = await load_node(act.connection, uuid)
        return from_row(UnitNode, row)

    async def set_state_input(self, agent: Agent, uuid: UUID, state: str | None) -> UnitNode:
        """Publish a value to an Input and note it as the node's state; nothing else of the node changes (W1).

        Raises:
            UnitNodeError: the node is an Output.
            UnauthorizedError: the agent's token ended while the values before were set.
            MqttError: the broker did not acknowledge; nothing was stored.
        """
        async with self._context.database.read() as connection:
            row = await load_node(connection, uuid)
            await _check_setter(connection, agent, row)
            told = (await connection.execute(select(units.c.told_domain).where(units.c.uuid == row.unit_uuid))).scalar()
        if row.type != UnitNodeType.INPUT.value:
            raise UnitNodeError("only an Input can be set; this node is an Output")
        payload = (state or "").encode()
        limit = self._context.settings.max_payload_bytes
        if len(payload) > limit:
            raise UnitNodeError(f"the state has {len(payload)} bytes; the broker takes at most {limit}")
        topic = node_topic(told or self._context.settings.domain, uuid, row.topic_name)
        # of two values at once the one that is published last is the one that is stored
        async with self._setting.setdefault(uuid, asyncio.Lock()):
            async with self._context.database.read() as connection:  # the ones before may have taken seconds
                await require_standing(connection, agent)
            await self._publish(topic, payload)
            async with self._context.act() as act:
                values = {"state": state, "last_update_datetime": act.now}
                await act.connection.execute(units_nodes.update().where(units_nodes.c.uuid == uuid).values(values))
                node = from_row(UnitNode, await load_node(act.connection, uuid))
        if may_read_pipe_with_node(agent, creator_uuid=node.creator_uuid, unit_uuid=node.unit_uuid):
            return node
        return replace(node, data_pipe_yml=None)

    async def _check_change(self, connection: AsyncConnection, row: Row[Any], values: dict[str, Any]) -> None:
        if "visibility_level" in values:
            query = select(units.c.visibility_level).where(units.c.uuid == row.unit_uuid)
            parent = VisibilityLevel((await connection.execute(query)).scalar_one())
            level = VisibilityLevel(values["visibility_level"])
            check_child_visibility(parent, level)
            values["visibility_level"] = level.value
        if values.get("is_rewritable_input") and row.type != UnitNodeType.INPUT.value:
            raise UnitNodeError("only an Input can be rewritable")
        if values.get("is_data_pipe_active") and not is_platform_topic(row.topic_name):
            raise UnitNodeError("DataPipe cannot be activated if the topic does not have the suffix /pepeunit")


async def _check_setter(connection: AsyncConnection, agent: Agent, row: Row[Any]) -> None:
    require_token(agent)
    granted = permission_names(agent, units_nodes)
    if agent.type is AgentType.UNIT and agent.uuid is not None:
        granted = or_(granted, linked_to_unit(units_nodes.c.uuid, agent.uuid))
    permitted = await is_permitted(connection, units_nodes, row.uuid, granted)
    require_setter(agent, creator_uuid=row.creator_uuid, is_rewritable=row.is_rewritable_input, permitted=permitted)


def _pipe_columns(row: Row[Any], *, active: bool) -> dict[str, Any]:
    if not active:
        return {"data_pipe_status": "Inactive"}
    if row.data_pipe_yml:
        return {"data_pipe_status": "Active"}
    return {"data_pipe_status": "Active", "data_pipe_yml": DEFAULT_PIPE_JSON}


async def load_node(connection: AsyncConnection, uuid: UUID) -> Row[Any]:
    """Return the row of one node.

    Raises:
        NotFoundError: there is none.
    """
    row = (await connection.execute(select(units_nodes).where(units_nodes.c.uuid == uuid))).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no unit node {uuid}")
    return row
