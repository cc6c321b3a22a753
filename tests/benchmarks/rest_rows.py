"""What the REST benchmark reads: units of several creators with nodes, permission rows, edges and states.

The rows are what the gateway itself writes: three automatic permissions per unit, two per node.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Table, text

from pepeunit_gateway.registry.default_pipe import DEFAULT_PIPE_JSON
from pepeunit_gateway.storage.database import Database
from pepeunit_gateway.storage.tables import permissions, units, units_nodes, units_nodes_edges

__all__ = ["NODES", "UNITS", "Rows", "fill"]

UNITS = 10_000
NODES = ("Input", "set_fan/pepeunit"), ("Input", "raw_in"), ("Output", "temperature/pepeunit"), ("Output", "raw_out")
"""Of every unit."""
FAN_OUT = 5
"""Inputs that an Output with edges feeds."""

_SHARES = (("Public", 0.6), ("Internal", 0.25), ("Private", 0.15))
_CHUNK = 2_000


@dataclass(frozen=True)
class Rows:
    """What to ask for: units that anybody may see, and Outputs of theirs that feed others."""

    units: list[UUID]
    outputs: list[UUID]


class _Maker:
    """Makes rows out of one seed."""

    def __init__(self, creators: Sequence[UUID], repo: UUID, commit: str) -> None:
        self._chance = random.Random(4)
        self._creators = creators
        self._repo = repo
        self._commit = commit
        self._begin = datetime(2025, 1, 1, tzinfo=UTC)
        self.units = [self._unit(number) for number in range(UNITS)]
        self.nodes = [self._node(unit, kind, name) for unit in self.units for kind, name in NODES]
        self.edges = list(self._edges())

    def _uuid(self) -> UUID:
        return UUID(int=self._chance.getrandbits(128), version=4)

    def _unit(self, number: int) -> dict[str, Any]:
        created = self._begin + timedelta(seconds=37 * number, microseconds=self._chance.randrange(1_000_000))
        state = {
            "ifconfig": ["192.168.1.17", "255.255.255.0", "192.168.1.1", "192.168.1.1"],
            "millis": self._chance.randrange(10**9),
            "mem_free": 101_520.0,
            "mem_alloc": 64_128.0,
            "freq": 160.0,
            "statvfs": [4096, 4096, 512, 211, 211, 0, 0, 0, 0, 255],
            "pu_commit_version": self._commit,
        }
        return {
            "uuid": self._uuid(),
            "visibility_level": self._chance.choices(*zip(*_SHARES, strict=True))[0],
            "name": f"bench-{number:05}",
            "create_datetime": created,
            "last_update_datetime": created + timedelta(days=1),
            "is_auto_update_from_repo_unit": True,
            "unit_state_dict": json.dumps(state) if number % 4 else None,
            "current_commit_version": self._commit,
            "synced_commit": self._commit,
            "cipher_env_dict": "x" * 200,
            "creator_uuid": self._creators[number % len(self._creators)],
            "repo_uuid": self._repo,
            "token_generation": 0,
        }

    def _node(self, unit: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
        piped = name.endswith("/pepeunit")
        return {
            "uuid": self._uuid(),
            "type": kind,
            "visibility_level": unit["visibility_level"],
            "is_rewritable_input": False,
            "max_connections": 10,
            "topic_name": name,
            "create_datetime": unit["create_datetime"],
            "last_update_datetime": unit["last_update_datetime"],
            "state": str(self._chance.randrange(1000)),
            "is_data_pipe_active": piped,
            "data_pipe_yml": DEFAULT_PIPE_JSON if piped else None,
            "data_pipe_status": "Active" if piped else "Inactive",
            "creator_uuid": unit["creator_uuid"],
            "unit_uuid": unit["uuid"],
        }

    def _edges(self) -> Iterator[dict[str, Any]]:
        """Every fifth unit's temperature sets the fans of five others."""
        inputs = [node["uuid"] for node in self.nodes[:: len(NODES)]]
        for number in range(0, UNITS, FAN_OUT):
            output = self.nodes[number * len(NODES) + 2]
            for fed in self._chance.sample(inputs, FAN_OUT):
                yield {
                    "uuid": self._uuid(),
                    "node_output_uuid": output["uuid"],
                    "node_input_uuid": fed,
                    "creator_uuid": output["creator_uuid"],
                }

    def permissions(self) -> Iterator[dict[str, Any]]:
        for unit in self.units:
            uuid = unit["uuid"]
            yield self._permission("Unit", resource_unit_uuid=uuid, agent_user_uuid=unit["creator_uuid"])
            yield self._permission("Repo", resource_repo_uuid=self._repo, agent_unit_uuid=uuid)
            yield self._permission("Unit", resource_unit_uuid=uuid, agent_unit_uuid=uuid)
        for node in self.nodes:
            uuid = node["uuid"]
            yield self._permission("UnitNode", resource_unit_node_uuid=uuid, agent_unit_uuid=node["unit_uuid"])
            yield self._permission("UnitNode", resource_unit_node_uuid=uuid, agent_user_uuid=node["creator_uuid"])

    def _permission(self, resource: str, **columns: UUID) -> dict[str, Any]:
        return {
            "uuid": self._uuid(),
            "agent_type": "User" if "agent_user_uuid" in columns else "Unit",
            "agent_user_uuid": None,
            "agent_unit_uuid": None,
            "resource_type": resource,
            "resource_repo_uuid": None,
            "resource_unit_uuid": None,
            "resource_unit_node_uuid": None,
            **columns,
        }


async def _insert(database: Database, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    async with database.write() as connection:
        for start in range(0, len(rows), _CHUNK):
            await connection.execute(table.insert(), list(rows[start : start + _CHUNK]))


async def fill(database: Database, creators: Sequence[UUID], repo: UUID, commit: str) -> Rows:
    """Write all of it, the units at the newest `commit` of their Repo.

    Then do at once what PostgreSQL's autovacuum does within minutes.
    """
    made = _Maker(creators, repo, commit)
    await _insert(database, units, made.units)
    await _insert(database, units_nodes, made.nodes)
    await _insert(database, units_nodes_edges, made.edges)
    await _insert(database, permissions, list(made.permissions()))
    if not database.is_sqlite:
        async with database._writer.connect() as connection:
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await alone.execute(text("VACUUM ANALYZE"))
    public = {unit["uuid"] for unit in made.units if unit["visibility_level"] == "Public"}
    feeding = {edge["node_output_uuid"] for edge in made.edges}
    outputs = [node["uuid"] for node in made.nodes if node["uuid"] in feeding and node["unit_uuid"] in public]
    return Rows(sorted(public), outputs)
