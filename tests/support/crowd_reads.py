"""Every route that reads, asked of a crowd: by those to whom it answers in different ways."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.crowd import Crowd
from tests.support.gateway import Reply

__all__ = ["READS", "Call"]

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
    "/jobs": [_get("/jobs", "admin")],
    "/jobs/runs": [_get("/jobs/runs", "admin")],
    "/metrics/": [_get("/metrics/", "nobody")],
}
