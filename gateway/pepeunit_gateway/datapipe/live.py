"""The pipes in memory: which topics are read, how, and what is remembered of each node.

A configuration is parsed when its text is new, never per message (W61); nodes that share a text share the pipe. What
is remembered of a node survives a change of its configuration and goes when the node's pipe goes.
A configuration that cannot work is shown to its owner in `data_pipe_status` and `data_pipe_error` (B21).
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from pepeunit_gateway.datapipe.documents import load_config
from pepeunit_gateway.datapipe.pipe import Pipe, compile_pipe
from pepeunit_gateway.datapipe.policies import check_available
from pepeunit_gateway.datapipe.stages import NodeState
from pepeunit_gateway.datapipe.writer import describe
from pepeunit_gateway.errors import DataPipeError
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.tables import units_nodes
from pepeunit_gateway.topics import PLATFORM_SUFFIX, is_platform_topic, node_topic

__all__ = ["LiveNode", "LivePipes", "PipeStatus"]

_IN_LIST = 10_000

log = structlog.get_logger(__name__)


class PipeStatus(StrEnum):
    """Values of `data_pipe_status` (protocol/entities.md 1.10)."""

    ACTIVE = "Active"
    INACTIVE = "Inactive"
    ERROR = "Error"


@dataclass(slots=True)
class LiveNode:
    """One node whose messages are read; `state` is its memory."""

    node_uuid: UUID
    unit_uuid: UUID
    pipe: Pipe
    state: NodeState | None = None


_COLUMNS = (
    units_nodes.c.uuid,
    units_nodes.c.unit_uuid,
    units_nodes.c.topic_name,
    units_nodes.c.is_data_pipe_active,
    units_nodes.c.data_pipe_yml,
    units_nodes.c.data_pipe_status,
    units_nodes.c.data_pipe_error,
)
_SET_STATUS = (
    update(units_nodes)
    .where(
        units_nodes.c.uuid == bindparam("node"),
        # only what was judged: the owner may have changed it since it was read
        units_nodes.c.is_data_pipe_active == bindparam("active"),
        units_nodes.c.data_pipe_yml.is_not_distinct_from(bindparam("stored")),
    )
    .values(data_pipe_status=bindparam("status"), data_pipe_error=bindparam("problem"))
)


class LivePipes:
    """The map from topic to pipe of all active nodes, kept equal to the database."""

    def __init__(self, database: Database, domain: str) -> None:
        self._database, self._domain = database, domain
        self._nodes: dict[str, LiveNode] = {}
        self._compiled: dict[str, Pipe | DataPipeError] = {}
        self._loading = asyncio.Lock()  # an older reading never overwrites a newer one

    def __len__(self) -> int:
        """Count the nodes whose messages are read."""
        return len(self._nodes)

    def get(self, topic: str) -> LiveNode | None:
        """Return the node behind a physical topic, None if its messages are not read."""
        return self._nodes.get(topic)

    async def reload(self) -> None:
        """Read all nodes anew; what is gone is forgotten."""
        async with self._loading:
            before = self._nodes
            rows = await self._read(or_(units_nodes.c.is_data_pipe_active, _is_stale()))
            used = {row.data_pipe_yml for row in rows}
            self._compiled = {text: pipe for text, pipe in self._compiled.items() if text in used}
            self._nodes = {}
            for row in rows:
                self._place(row, before.get(self._topic(row.uuid)))
            await self._report(rows)

    async def refresh(self, node_uuids: Iterable[UUID]) -> None:
        """Read these nodes anew; those that are gone or inactive are read no more."""
        wanted = list(node_uuids)
        async with self._loading:
            for start in range(0, len(wanted), _IN_LIST):
                part = wanted[start : start + _IN_LIST]
                rows = await self._read(units_nodes.c.uuid.in_(part))
                before = {topic: self._nodes.pop(topic, None) for topic in map(self._topic, part)}
                for row in rows:
                    self._place(row, before[self._topic(row.uuid)])
                await self._report(rows)

    def _topic(self, node_uuid: UUID) -> str:
        return node_topic(self._domain, node_uuid, PLATFORM_SUFFIX)

    async def _read(self, condition: Any) -> Sequence[Any]:
        async with self._database.read() as connection:
            return (await connection.execute(select(*_COLUMNS).where(condition))).all()

    def _place(self, row: Any, before: LiveNode | None) -> None:
        pipe = self._pipe(row)
        if isinstance(pipe, Pipe):
            state = before.state if before else None
            self._nodes[self._topic(row.uuid)] = LiveNode(row.uuid, row.unit_uuid, pipe, state)

    def _pipe(self, row: Any) -> Pipe | DataPipeError | None:
        """The pipe of a row, what is wrong with it, or None if it is not active, not filled or has no such topic."""
        text = row.data_pipe_yml
        if not row.is_data_pipe_active or text is None or not is_platform_topic(row.topic_name):
            return None
        if text not in self._compiled:
            self._compiled[text] = _compile(text)
        return self._compiled[text]

    async def _report(self, rows: Iterable[Any]) -> None:
        """Write the status of nodes where it is not what it should be; the next reload makes up for a failure."""
        changes = []
        for row in rows:
            status, problem = _status(self._pipe(row))
            if (row.data_pipe_status, row.data_pipe_error) != (status, problem):
                key = {"node": row.uuid, "active": row.is_data_pipe_active, "stored": row.data_pipe_yml}
                changes.append({**key, "status": status, "problem": problem})
                log.info("datapipe.pipe.status", node=str(row.uuid), status=status, problem=problem)
        if not changes:
            return
        try:
            async with self._database.write() as connection:
                await connection.execute(_SET_STATUS, changes)
        except (SQLAlchemyError, OSError) as error:
            log.warning("datapipe.pipe.status_not_written", nodes=len(changes), reason=describe(error))


def _compile(text: str) -> Pipe | DataPipeError:
    try:
        config = load_config(text)
        check_available(config.processing_policy.policy_type)
    except DataPipeError as error:
        return error
    return compile_pipe(config)


def _status(pipe: Pipe | DataPipeError | None) -> tuple[str, str | None]:
    if pipe is None:
        return PipeStatus.INACTIVE, None
    if isinstance(pipe, DataPipeError):
        return PipeStatus.ERROR, pipe.message
    return PipeStatus.ACTIVE, None


def _is_stale() -> Any:
    """Inactive nodes that still show another status."""
    shown = units_nodes.c.data_pipe_status
    return ~units_nodes.c.is_data_pipe_active & (shown.is_distinct_from(PipeStatus.INACTIVE))
