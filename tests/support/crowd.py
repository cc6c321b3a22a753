"""A world that grows, to compare what a request costs with few rows and with many of everything."""

import uuid as uuids
from datetime import timedelta
from typing import Any

from aiohttp import FormData

from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.registry.credentials import with_slot, write_slots
from pepeunit_gateway.storage.own_tables import audit, job_runs, named_tokens
from pepeunit_gateway.storage.tables import (
    permissions,
    repos,
    repository_registry,
    unit_logs,
    units_nodes,
    units_nodes_edges,
    users,
    window_entry,
)
from tests.support.gateway import Api, Reply
from tests.support.rest_world import World
from tests.support.sample_program import nodes_of

__all__ = ["NOWHERE", "PIPE", "Crowd"]

NOWHERE = "http://127.0.0.1:1"
"""Of git servers that refuse every connection."""

PIPE = """
active_period: {type: Permanent}
filters: {type_input_value: Text, max_rate: 0, last_unique_check: false, max_size: 100}
processing_policy: {policy_type: TimeWindow, time_window_size: 60}
"""


class Crowd:
    """A world that grows: users, repositories, Repos, units with nodes and edges, permissions and what is kept.

    All of it is Alice's. The hub is a unit that every other one is linked with; one private repository has the
    credentials of everybody, and Alice's are in as many as there are.
    """

    def __init__(self, here: World) -> None:
        self.here = here
        self.size = 0
        self.hub: dict[str, Any] = {}
        self.nodes: dict[str, dict[str, Any]] = {}
        self.private: dict[str, Any] = {}

    async def start(self) -> None:
        (self.hub,) = await self.batch(self.here.alice, 1, "hub")
        self.nodes = await nodes_of(self.here.alice, self.hub["uuid"])
        await self.write(units_nodes.update().values(max_connections=10_000))
        made = await self.set_pipe("temperature/pepeunit")
        assert made.status == 204, made.body
        body = {
            "platform": "Git", "repository_url": f"{NOWHERE}/private.git", "is_public_repository": False,
            "credentials": {"username": "alice", "pat_token": "secret"},
        }  # fmt: skip
        self.private = await self.here.alice.made("/repository_registry", body)

    async def set_pipe(self, name: str) -> Reply:
        form = FormData()
        form.add_field("data", PIPE, filename="pipe.yml")
        params = {"uuid": self.nodes[name]["uuid"]}
        return await self.here.alice.call("POST", "/unit_nodes/set_data_pipe_config", params=params, data=form)

    async def write(self, *statements: Any) -> None:
        async with self.here.gateway.registry.context.database.write() as connection:
            for statement in statements:
                await connection.execute(statement)

    async def batch(self, owner: Api, count: int, name: str) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = (await self.post_batch(owner, count, name)).body["units"]
        return made

    async def post_batch(self, owner: Api, count: int, name: str) -> Reply:
        common = {
            "repo_uuid": self.here.repo["uuid"], "visibility_level": "Public", "is_auto_update_from_repo_unit": True,
        }  # fmt: skip
        body = {"units": [{**common, "name": f"{name}-{number}"} for number in range(count)]}
        reply = await owner.call("POST", "/units/batch", json=body, headers={"Idempotency-Key": str(uuids.uuid4())})
        assert reply.status == 201, reply.body
        return reply

    def credentials_of(self, *people: uuids.UUID) -> str | None:
        """Return what a private repository stores for these users."""
        slots: dict[uuids.UUID, Any] = {}
        for person in people:
            slots = with_slot(slots, person, Credentials(str(person), "secret"))
        return write_slots(self.here.gateway.registry.context.cipher, slots)

    async def store_credentials(self, *people: uuids.UUID) -> None:
        """Store credentials of these users in every private repository of the crowd."""
        table = repository_registry
        crowd = ~table.c.is_public_repository & (table.c.uuid != uuids.UUID(self.private["uuid"]))
        values = {"cipher_credentials_private_repository": self.credentials_of(*people)}
        await self.write(table.update().where(crowd).values(values))

    async def grow(self, count: int) -> None:
        """Add `count` of everything."""
        numbers = range(self.size, self.size + count)
        made = await self.batch(self.here.alice, count, f"crowd-{self.size}")
        own = [await nodes_of(self.here.alice, unit["uuid"]) for unit in made]
        await self.write(
            *self._people(numbers), *self._repositories(numbers), *self._links(made, own), *self._kept(numbers)
        )
        self.size += count

    @property
    def created(self) -> dict[str, Any]:
        return {"create_datetime": self.here.gateway.registry.context.clock()}

    def own_repos(self, owner: str, name: str, count: int) -> Any:
        """Return the statement that adds Repos of a user, which follow their branch."""
        now = self.created
        common = {
            "visibility_level": "Private", "default_branch": "main", "is_auto_update_repo": True,
            "creator_uuid": uuids.UUID(owner), "repository_registry_uuid": uuids.UUID(self.here.registry["uuid"]),
            **now, "last_update_datetime": now["create_datetime"],
        }  # fmt: skip
        return repos.insert().values([
            {"uuid": uuids.uuid4(), "name": f"{name}-{n}", **common} for n in range(count)
        ])  # fmt: skip

    def own_tokens(self, owner: str, name: str, count: int, **more: Any) -> Any:
        """Return the statement that adds named tokens of a user."""
        common = {"user_uuid": uuids.UUID(owner), "scope": "Read", "expiration_datetime": None, **self.created, **more}
        return named_tokens.insert().values([
            {"uuid": uuids.uuid4(), "name": f"{name}-{n}", **common} for n in range(count)
        ])  # fmt: skip

    def _people(self, numbers: range) -> list[Any]:
        crowd = [
            {"uuid": uuids.uuid4(), "role": "User", "status": "Unverified", "login": f"user-{n}", **self.created,
             "hashed_password": "x", "cipher_dynamic_salt": "x", "grafana_org_name": uuids.uuid4()}
            for n in numbers
        ]  # fmt: skip
        everybody = self.credentials_of(uuids.UUID(self.here.alice.uuid), *(one["uuid"] for one in crowd))
        table, now = repository_registry, self.created["create_datetime"]
        over = now - timedelta(hours=1)
        return [
            users.insert().values(crowd),
            table.update()
            .where(table.c.uuid == uuids.UUID(self.private["uuid"]))
            .values(cipher_credentials_private_repository=everybody),
            self.own_tokens(self.here.alice.uuid, f"token-{numbers.start}", len(numbers)),
            self.own_tokens(self.here.alice.uuid, f"over-{numbers.start}", len(numbers), expiration_datetime=over),
            audit.insert().values([{**self.created, "action": "login", "actor_type": "User"} for _ in numbers]),
            job_runs.insert().values(
                [{"job": "cleanup", "outcome": "Done", "holder": f"here:{n}/1", "start_datetime": now} for n in numbers]
            ),
        ]

    def _repositories(self, numbers: range) -> list[Any]:
        alice = uuids.UUID(self.here.alice.uuid)
        now = self.created
        return [
            repository_registry.insert().values([
                {"uuid": uuids.uuid4(), "platform": "Git", "repository_url": f"{NOWHERE}/{kind}-{n}.git",
                 "is_public_repository": kind == "public", "creator_uuid": alice, **now,
                 "cipher_credentials_private_repository": None if kind == "public" else self.credentials_of(alice),
                 "last_update_datetime": now["create_datetime"]}
                for n in numbers for kind in ("public", "private")]),
            self.own_repos(self.here.alice.uuid, f"repo-{numbers.start}", len(numbers)),
        ]  # fmt: skip

    def _links(self, made: list[dict[str, Any]], own: list[dict[str, dict[str, Any]]]) -> list[Any]:
        """Edges from the hub and to it, and permissions of Bob and the units."""
        alice, bob = uuids.UUID(self.here.alice.uuid), uuids.UUID(self.here.bob.uuid)
        output = uuids.UUID(self.nodes["temperature/pepeunit"]["uuid"])
        return [
            units_nodes_edges.insert().values([
                {"uuid": uuids.uuid4(), "node_output_uuid": source, "node_input_uuid": target, "creator_uuid": alice}
                for nodes in own for source, target in (
                    (output, uuids.UUID(nodes["raw_in"]["uuid"])),
                    (uuids.UUID(nodes["raw_out"]["uuid"]), uuids.UUID(self.nodes["raw_in"]["uuid"])),
                )]),
            permissions.insert().values([
                {"uuid": uuids.uuid4(), "agent_type": kind, "agent_user_uuid": user, "agent_unit_uuid": unit,
                 "resource_type": "UnitNode", "resource_unit_node_uuid": node}
                for item, nodes in zip(made, own, strict=True) for kind, user, unit, node in (
                    ("User", bob, None, uuids.UUID(nodes["raw_in"]["uuid"])),
                    ("Unit", None, uuids.UUID(item["uuid"]), uuids.UUID(self.nodes["raw_out"]["uuid"])),
                )]),
        ]  # fmt: skip

    def _kept(self, numbers: range) -> list[Any]:
        hub, output = uuids.UUID(self.hub["uuid"]), uuids.UUID(self.nodes["temperature/pepeunit"]["uuid"])
        later = {**self.created, "expiration_datetime": self.created["create_datetime"] + timedelta(days=1)}
        return [
            unit_logs.insert().values([
                {"uuid": uuids.uuid4(), "level": "Info", "unit_uuid": hub, "text": "x", **later} for _ in numbers]),
            window_entry.insert().values([
                {"unit_node_uuid": output, "state": "1", "state_type": "Text", "size": 1, **later} for _ in numbers]),
        ]  # fmt: skip
