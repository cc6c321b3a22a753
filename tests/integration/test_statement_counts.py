"""The number of SQL statements of a request does not depend on the number of rows: 3 of everything, then 60 more."""

import uuid as uuids
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import FormData

from pepeunit_gateway.storage.tables import (
    audit,
    named_tokens,
    permissions,
    repos,
    repository_registry,
    unit_logs,
    units,
    units_nodes,
    units_nodes_edges,
    users,
    window_entry,
)
from tests.support.gateway import PASSWORD, Api, Reply
from tests.support.rest_world import World, world
from tests.support.sample_program import nodes_of
from tests.support.statement_counts import RequestStatements, counting

BOTH_DATABASES = True

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEW, MANY = 3, 60
PIPE = """
active_period: {type: Permanent}
filters: {type_input_value: Text, max_rate: 0, last_unique_check: false, max_size: 100}
processing_policy: {policy_type: TimeWindow, time_window_size: 60}
"""


class Crowd:
    """A world that grows: users, repositories, Repos, units with nodes and edges, permissions and what is kept."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.size = 0
        self.hub: dict[str, Any] = {}
        self.nodes: dict[str, dict[str, Any]] = {}

    async def start(self) -> None:
        (self.hub,) = await self.batch(self.here.alice, 1, "hub")
        self.nodes = await nodes_of(self.here.alice, self.hub["uuid"])
        await self.write(units_nodes.update().values(max_connections=10_000))
        form = FormData()
        form.add_field("data", PIPE, filename="pipe.yml")
        params = {"uuid": self.nodes["temperature/pepeunit"]["uuid"]}
        made = await self.here.alice.call("POST", "/unit_nodes/set_data_pipe_config", params=params, data=form)
        assert made.status == 204, made.body

    async def write(self, *statements: Any) -> None:
        async with self.here.gateway.registry.context.database.write() as connection:
            for statement in statements:
                await connection.execute(statement)

    async def batch(self, owner: Api, count: int, name: str) -> list[dict[str, Any]]:
        return (await self.post_batch(owner, count, name)).body["units"]

    async def post_batch(self, owner: Api, count: int, name: str) -> Reply:
        common = {
            "repo_uuid": self.here.repo["uuid"], "visibility_level": "Public", "is_auto_update_from_repo_unit": True,
        }  # fmt: skip
        body = {"units": [{**common, "name": f"{name}-{number}"} for number in range(count)]}
        reply = await owner.call("POST", "/units/batch", json=body, headers={"Idempotency-Key": str(uuids.uuid4())})
        assert reply.status == 201, reply.body
        return reply

    async def grow(self, count: int) -> None:
        """Add `count` of everything."""
        here, now = self.here, self.here.gateway.registry.context.clock()
        numbers = range(self.size, self.size + count)
        created = {"create_datetime": now}
        updated = {**created, "last_update_datetime": now}
        alice, bob = uuids.UUID(here.alice.uuid), uuids.UUID(here.bob.uuid)
        hub, output = uuids.UUID(self.hub["uuid"]), uuids.UUID(self.nodes["temperature/pepeunit"]["uuid"])
        registry = uuids.UUID(here.registry["uuid"])
        made = await self.batch(here.alice, count, f"crowd-{self.size}")
        own = [await nodes_of(here.alice, unit["uuid"]) for unit in made]
        later = {**created, "expiration_datetime": now + timedelta(days=1)}
        await self.write(
            users.insert().values([
                {"uuid": uuids.uuid4(), "role": "User", "status": "Unverified", "login": f"user-{n}", **created,
                 "hashed_password": "x", "cipher_dynamic_salt": "x", "grafana_org_name": uuids.uuid4()}
                for n in numbers]),
            repository_registry.insert().values([
                {"uuid": uuids.uuid4(), "platform": "Git", "repository_url": f"https://git.example.org/{n}.git",
                 "is_public_repository": True, "creator_uuid": alice, **updated} for n in numbers]),
            repos.insert().values([
                {"uuid": uuids.uuid4(), "visibility_level": "Private", "name": f"repo-{n}", "default_branch": "main",
                 "is_auto_update_repo": False, "creator_uuid": alice, "repository_registry_uuid": registry, **updated}
                for n in numbers]),
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
            named_tokens.insert().values([
                {"uuid": uuids.uuid4(), "user_uuid": alice, "name": f"token-{n}", "scope": "Read", **created}
                for n in numbers]),
            audit.insert().values([{**created, "action": "login", "actor_type": "User"} for _ in numbers]),
            unit_logs.insert().values([
                {"uuid": uuids.uuid4(), "level": "Info", "unit_uuid": hub, "text": "x", **later} for _ in numbers]),
            window_entry.insert().values([
                {"unit_node_uuid": output, "state": "1", "state_type": "Text", "size": 1, **later} for _ in numbers]),
        )  # fmt: skip
        self.size += count


Call = Callable[[Crowd], Awaitable[Reply]]


def _get(path: str, who: str = "alice", **params: Any) -> Call:
    """Ask for a path, whose placeholders are filled with the hub and what belongs to it."""

    async def ask(crowd: Crowd) -> Reply:
        here = crowd.here
        api = await here.gateway.admin() if who == "admin" else getattr(here, who)
        known = {
            "unit": crowd.hub["uuid"],
            "node": crowd.nodes["temperature/pepeunit"]["uuid"],
            "repo": here.repo["uuid"],
            "registry": here.registry["uuid"],
            "user": here.alice.uuid,
        }
        filled = {name: str(value).format(**known) for name, value in params.items()}
        if path == "/metrics/":
            await here.gateway.registry.context.bus.forget("totals")
        return await api.get(path.format(**known), filled)

    return ask


READS: dict[str, list[Call]] = {
    "/users/{uuid}": [_get("/users/{user}")],
    "/users": [_get("/users", limit=500)],
    "/tokens": [_get("/tokens")],
    "/repository_registry/{uuid}": [_get("/repository_registry/{registry}")],
    "/repository_registry": [_get("/repository_registry"), _get("/repository_registry", "nobody")],
    "/repository_registry/branch_commits/{uuid}": [
        _get("/repository_registry/branch_commits/{registry}", repo_branch="main")
    ],
    "/repository_registry/get_credentials/{uuid}": [_get("/repository_registry/get_credentials/{registry}")],
    "/repos/{uuid}": [_get("/repos/{repo}")],
    "/repos": [_get("/repos"), _get("/repos", "bob"), _get("/repos", "nobody"), _get("/repos", "admin")],
    "/repos/available_platforms/{uuid}": [_get("/repos/available_platforms/{repo}")],
    "/repos/versions/{uuid}": [_get("/repos/versions/{repo}")],
    "/units/{uuid}": [_get("/units/{unit}"), _get("/units/{unit}", "bob")],
    "/units": [
        *(_get("/units", who) for who in ("alice", "bob", "nobody", "admin")),
        *(_get("/units", who, is_include_output_unit_nodes="true", limit=500) for who in ("alice", "bob", "nobody")),
        _get("/units", is_include_output_unit_nodes="true", unit_node_type="Output", search_string="crowd"),
    ],
    "/units/env/{uuid}": [_get("/units/env/{unit}")],
    "/units/get_target_version/{uuid}": [_get("/units/get_target_version/{unit}")],
    "/units/get_current_schema/{uuid}": [_get("/units/get_current_schema/{unit}")],
    "/units/firmware/zip/{uuid}": [_get("/units/firmware/zip/{unit}")],
    "/units/firmware/tar/{uuid}": [_get("/units/firmware/tar/{unit}")],
    "/units/firmware/tgz/{uuid}": [_get("/units/firmware/tgz/{unit}")],
    "/units/get_state_storage/{uuid}": [_get("/units/get_state_storage/{unit}")],
    "/units/log_list/": [_get("/units/log_list/", uuid="{unit}")],
    "/unit_nodes/{uuid}": [_get("/unit_nodes/{node}"), _get("/unit_nodes/{node}", "bob")],
    "/unit_nodes": [
        *(_get("/unit_nodes", who, limit=500) for who in ("alice", "bob", "nobody", "admin")),
        _get("/unit_nodes", output_uuid="{node}"),
        _get("/unit_nodes", unit_uuid="{unit}"),
    ],
    "/unit_nodes/edges": [_get("/unit_nodes/edges", who) for who in ("alice", "bob", "nobody")],
    "/unit_nodes/get_data_pipe_config/{uuid}": [_get("/unit_nodes/get_data_pipe_config/{node}")],
    "/unit_nodes/get_data_pipe_data/": [_get("/unit_nodes/get_data_pipe_data/", uuid="{node}", type="TimeWindow")],
    "/permission": [_get("/permission"), _get("/permission", "bob"), _get("/permission", "admin")],
    "/permission/get_resource_agents": [
        _get("/permission/get_resource_agents", resource_uuid="{node}", resource_type="UnitNode")
    ],
    "/audit": [_get("/audit", "admin")],
    "/metrics/": [_get("/metrics/", "nobody")],
}
SWITCHED_OFF = {"/users/generate_verification_link/"}


async def _patch_private(crowd: Crowd) -> Reply:
    (made,) = await crowd.batch(crowd.here.alice, 1, f"secret-{crowd.size}")
    return await crowd.here.alice.patch(f"/units/{made['uuid']}", {"visibility_level": "Private"})


async def _move_units(crowd: Crowd) -> Reply:
    """All units follow their Repo to another commit, whose program has other nodes."""
    here = crowd.here
    await crowd.write(units.update().values(synced_commit=None, current_commit_version="0" * 40))
    return await here.alice.patch(f"/repos/{here.repo['uuid']}", {"is_auto_update_repo": True})


async def _update_units(crowd: Crowd) -> Reply:
    await crowd.write(units.update().values(current_commit_version="0" * 40))
    return await crowd.here.alice.patch(f"/repos/update_units_firmware/{crowd.here.repo['uuid']}")


async def _bulk_update(crowd: Crowd) -> Reply:
    await crowd.write(units.update().values(current_commit_version="0" * 40))
    return await (await crowd.here.gateway.admin()).post("/repos/bulk_update")


async def _delete_linked(crowd: Crowd) -> Reply:
    """The unit has an edge to every unit of the crowd."""
    here, alice = crowd.here, uuids.UUID(crowd.here.alice.uuid)
    (made,) = await crowd.batch(here.alice, 1, f"doomed-{crowd.size}")
    output = uuids.UUID((await nodes_of(here.alice, made["uuid"]))["raw_out"]["uuid"])
    reply = await here.alice.get("/unit_nodes", {"type": "Input", "search_string": "raw_in", "limit": 500})
    targets = [uuids.UUID(node["uuid"]) for node in reply.body["unit_nodes"]]
    edges = [{"node_output_uuid": output, "node_input_uuid": n, "creator_uuid": alice} for n in targets]
    await crowd.write(units_nodes_edges.insert().values([{"uuid": uuids.uuid4(), **edge} for edge in edges]))
    return await here.alice.delete(f"/units/{made['uuid']}")


async def _delete_user(crowd: Crowd) -> Reply:
    """The user has as many units as the crowd."""
    owner = await crowd.here.gateway.user(f"owner-{crowd.size}")
    await crowd.batch(owner, crowd.size, f"theirs-{crowd.size}")
    return await (await crowd.here.gateway.admin()).delete(f"/users/{owner.uuid}")


async def _link(crowd: Crowd) -> Reply:
    body = {
        "node_output_uuid": crowd.nodes["temperature/pepeunit"]["uuid"],
        "node_input_uuid": crowd.nodes["raw_in"]["uuid"],
    }
    return await crowd.here.alice.post("/unit_nodes/create_unit_node_edge", body)


async def _unlink(crowd: Crowd) -> Reply:
    made = await crowd.here.alice.get("/unit_nodes/edges", {"limit": 500})
    own = {node["uuid"] for node in crowd.nodes.values()}
    (edge,) = [e for e in made.body["unit_node_edges"] if {e["node_output_uuid"], e["node_input_uuid"]} <= own]
    return await crowd.here.alice.delete(f"/unit_nodes/edges/{edge['uuid']}")


async def _change_node(crowd: Crowd) -> Reply:
    path = f"/unit_nodes/{crowd.nodes['raw_out']['uuid']}"
    return await crowd.here.alice.patch(path, {"max_connections": 5000})


async def _new_user(crowd: Crowd) -> Reply:
    body = {"login": f"new-{crowd.size}", "password": PASSWORD}
    return await (await crowd.here.gateway.admin()).post("/users", body)


async def _grant(crowd: Crowd) -> Reply:
    resource = {"resource_uuid": crowd.hub["uuid"], "resource_type": "Unit"}
    body = {"agent_uuid": crowd.here.bob.uuid, "agent_type": "User", **resource}
    return await crowd.here.alice.post("/permission", body)


async def _revoke(crowd: Crowd) -> Reply:
    params = {"agent_uuid": crowd.here.bob.uuid, "resource_uuid": crowd.hub["uuid"]}
    return await crowd.here.alice.call("DELETE", "/permission/any", params=params)


async def _clear(crowd: Crowd) -> Reply:
    return await crowd.here.alice.delete(f"/unit_nodes/delete_data_pipe_data/{crowd.nodes['raw_out']['uuid']}")


WRITES: dict[str, Call] = {
    "a batch of as many units as there are": lambda c: c.post_batch(c.here.alice, c.size, f"more-{c.size}"),
    "a unit with its nodes becomes Private": _patch_private,
    "all units of a Repo are moved": _move_units,
    "all units of a Repo are commanded again": _update_units,
    "all units of every Repo are commanded again": _bulk_update,
    "a unit that is linked with all others goes": _delete_linked,
    "a user with as many units goes": _delete_user,
    "an edge is made": _link,
    "an edge goes": _unlink,
    "a node with edges and permissions is changed": _change_node,
    "a user is made": _new_user,
    "a permission is given": _grant,
    "a permission goes": _revoke,
    "the values of a node go": _clear,
}


async def _measure(crowd: Crowd, counted: RequestStatements) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    calls = [(f"GET {path} #{n}", call) for path, calls in READS.items() for n, call in enumerate(calls)]
    for name, call in [*calls, *WRITES.items()]:
        reply = await call(crowd)
        good = reply.status < 300 or (reply.status == 422 and "get_credentials" in name)
        assert good, (name, reply.status, reply.body)
        found[name] = counted.of(reply)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counts(tmp_path_factory):
    """What each request ran with few rows, and with many."""
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as here:
        crowd = Crowd(here)
        await crowd.start()
        with counting() as counted:
            await crowd.grow(FEW)
            few = await _measure(crowd, counted)
            await crowd.grow(MANY)
            many = await _measure(crowd, counted)
        document = (await here.nobody.get("/openapi.json")).body
    return few, many, document


async def test_every_route_that_reads_is_counted(counts):
    document = counts[2]
    assert {path for path, item in document["paths"].items() if "get" in item} == set(READS) | SWITCHED_OFF


async def test_no_request_runs_more_statements_because_there_are_more_rows(counts):
    """W46, W47, W48."""
    few, many, _ = counts
    grown = {name: RequestStatements.more(few[name], many[name]) for name in few if len(few[name]) != len(many[name])}
    assert grown == {}


async def test_a_list_runs_at_most_four_statements(counts):
    """Who asks, how many there are, the page, and what belongs to its rows."""
    many = counts[1]
    lists = (
        "/users",
        "/repos",
        "/units",
        "/unit_nodes",
        "/repository_registry",
        "/unit_nodes/edges",
        "/permission",
        "/audit",
    )
    asked = {name: len(ran) for name, ran in many.items() for path in lists if name.startswith(f"GET {path} #")}
    assert asked
    assert max(asked.values()) <= 4, asked
