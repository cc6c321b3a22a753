"""Every route that writes, asked of a crowd where what it does concerns as many rows as the crowd has."""

import uuid as uuids
from typing import Any

from aiohttp import FormData

from pepeunit_gateway.storage.tables import permissions, units, units_nodes_edges
from tests.support.crowd import NOWHERE, PIPE, Crowd
from tests.support.crowd_reads import Call
from tests.support.gateway import PASSWORD, Api, Reply
from tests.support.sample_program import nodes_of

__all__ = ["WRITES"]


async def _person(crowd: Crowd, name: str) -> Api:
    """Make a user who has as many units, Repos, tokens and stored credentials as the crowd has of each."""
    here = crowd.here
    person = await here.gateway.user(f"{name}-{crowd.size}")
    await crowd.batch(person, crowd.size, f"{name}-{crowd.size}")
    await crowd.write(
        crowd.own_repos(person.uuid, f"{name}-{crowd.size}", crowd.size),
        crowd.own_tokens(person.uuid, "token", crowd.size),
    )
    await crowd.store_credentials(uuids.UUID(here.alice.uuid), uuids.UUID(person.uuid))
    return person


async def _new_user(crowd: Crowd) -> Reply:
    return await crowd.here.admin.post("/users", {"login": f"new-{crowd.size}", "password": PASSWORD})


async def _log_in(crowd: Crowd) -> Reply:
    return await crowd.here.nobody.post("/users/auth", {"credentials": "bobby", "password": PASSWORD})


async def _change_password(crowd: Crowd) -> Reply:
    person = await _person(crowd, "changes")
    return await person.patch(f"/users/{person.uuid}", {"login": f"chg-{crowd.size}", "password": PASSWORD})


async def _block(crowd: Crowd) -> Reply:
    return await crowd.here.admin.patch(f"/users/block/{(await _person(crowd, 'blocked')).uuid}")


async def _unblock(crowd: Crowd) -> Reply:
    listed = await crowd.here.admin.get("/users", {"status": "Blocked"})
    return await crowd.here.admin.patch(f"/users/unblock/{listed.body['users'][0]['uuid']}")


async def _delete_user(crowd: Crowd) -> Reply:
    return await crowd.here.admin.delete(f"/users/{(await _person(crowd, 'leaves')).uuid}")


async def _new_token(crowd: Crowd) -> Reply:
    return await crowd.here.alice.post("/tokens", {"name": f"new-{crowd.size}", "scope": "Read"})


async def _delete_token(crowd: Crowd) -> Reply:
    made = await crowd.here.alice.made("/tokens", {"name": f"ends-{crowd.size}", "scope": "Read"})
    return await crowd.here.alice.delete(f"/tokens/{made['uuid']}")


async def _new_repository(crowd: Crowd) -> Reply:
    body = {"platform": "Git", "repository_url": f"{NOWHERE}/new-{crowd.size}.git", "is_public_repository": True}
    return await crowd.here.alice.post("/repository_registry", body)


async def _set_credentials(crowd: Crowd) -> Reply:
    path = f"/repository_registry/set_credentials/{crowd.private['uuid']}"
    return await crowd.here.alice.patch(path, {"username": "alice", "pat_token": f"secret-{crowd.size}"})


async def _fetch(crowd: Crowd) -> Reply:
    return await crowd.here.alice.patch(f"/repository_registry/update_local_repository/{crowd.here.registry['uuid']}")


async def _delete_repository(crowd: Crowd) -> Reply:
    body = {"platform": "Git", "repository_url": f"{NOWHERE}/gone-{crowd.size}.git", "is_public_repository": True}
    made = await crowd.here.alice.made("/repository_registry", body)
    return await crowd.here.alice.delete(f"/repository_registry/{made['uuid']}")


def _webhook(method: str) -> Call:
    async def ask(crowd: Crowd) -> Reply:
        path = f"/repository_registry/webhook/{crowd.here.registry['uuid']}"
        return await crowd.here.alice.call(method, path)

    return ask


async def _push(crowd: Crowd) -> Reply:
    made = await crowd.here.alice.made(f"/repository_registry/webhook/{crowd.here.registry['uuid']}", None)
    path = f"/webhooks/{crowd.here.registry['uuid']}"
    return await crowd.here.nobody.call("POST", path, headers={"X-Gitlab-Token": made["secret"]})


async def _new_repo(crowd: Crowd, name: str = "new-repo") -> Reply:
    body = {
        "repository_registry_uuid": crowd.here.registry["uuid"], "default_branch": "main", "visibility_level": "Public",
        "name": f"{name}-{crowd.size}", "is_compilable_repo": False, "is_only_tag_update": False,
    }  # fmt: skip
    return await crowd.here.alice.post("/repos", body)


async def _move_units(crowd: Crowd) -> Reply:
    """All units follow their Repo to another commit, whose program has other nodes."""
    here = crowd.here
    await crowd.write(units.update().values(synced_commit=None, current_commit_version="0" * 40))
    return await here.alice.patch(f"/repos/{here.repo['uuid']}", {"is_auto_update_repo": True})


async def _open_repo(crowd: Crowd) -> Reply:
    return await crowd.here.alice.patch(f"/repos/{crowd.here.repo['uuid']}", {"visibility_level": "Public"})


async def _update_units(crowd: Crowd) -> Reply:
    await crowd.write(units.update().values(current_commit_version="0" * 40))
    return await crowd.here.alice.patch(f"/repos/update_units_firmware/{crowd.here.repo['uuid']}")


async def _run_job(crowd: Crowd) -> Reply:
    return await crowd.here.admin.post("/jobs/expiry/run")


async def _bulk_update(crowd: Crowd) -> Reply:
    """As many Repos follow their branch as the crowd has."""
    await crowd.write(units.update().values(current_commit_version="0" * 40))
    return await crowd.here.admin.post("/repos/bulk_update")


async def _delete_repo(crowd: Crowd) -> Reply:
    """It was granted to as many units as there are."""
    repo = (await _new_repo(crowd, "gone-repo")).body["uuid"]
    listed = await crowd.here.alice.get("/units", {"limit": 500, "search_string": "crowd"})
    await crowd.write(permissions.insert().values([
        {"uuid": uuids.uuid4(), "agent_type": "Unit", "agent_unit_uuid": uuids.UUID(unit["uuid"]),
         "resource_type": "Repo", "resource_repo_uuid": uuids.UUID(repo)} for unit in listed.body["units"]
    ]))  # fmt: skip
    return await crowd.here.alice.delete(f"/repos/{repo}")


async def _new_unit(crowd: Crowd) -> Reply:
    body = {
        "repo_uuid": crowd.here.repo["uuid"], "visibility_level": "Public", "name": f"single-{crowd.size}",
        "is_auto_update_from_repo_unit": True,
    }  # fmt: skip
    return await crowd.here.alice.post("/units", body)


async def _patch_private(crowd: Crowd) -> Reply:
    (made,) = await crowd.batch(crowd.here.alice, 1, f"secret-{crowd.size}")
    return await crowd.here.alice.patch(f"/units/{made['uuid']}", {"visibility_level": "Private"})


async def _hold_hub(crowd: Crowd) -> Reply:
    """Its target is looked up and its nodes are compared."""
    await crowd.write(units.update().values(synced_commit=None))
    body = {"is_auto_update_from_repo_unit": True}
    return await crowd.here.alice.patch(f"/units/{crowd.hub['uuid']}", body)


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


def _of_hub(method: str, path: str, body: Any = None) -> Call:
    """Ask something of the unit that is linked with all others."""

    async def ask(crowd: Crowd) -> Reply:
        options = {} if body is None else {"json": body}
        return await crowd.here.alice.call(method, path.format(uuid=crowd.hub["uuid"]), **options)

    return ask


async def _readme(crowd: Crowd) -> Reply:
    form = FormData()
    form.add_field("file", "[general]\nname = 'Thermometer'\n", filename="pepeunit.toml")
    return await crowd.here.alice.call("POST", "/units/convert_toml_to_md", data=form)


async def _judge(crowd: Crowd) -> Reply:
    unit = await crowd.here.gateway.unit(crowd.here.alice, crowd.hub["uuid"])
    topic = f"{crowd.here.gateway.settings.domain}/{crowd.nodes['raw_out']['uuid']}"
    return await crowd.here.nobody.post("/units/auth", {"token": unit.token, "topic": topic})


async def _change_node(crowd: Crowd) -> Reply:
    path = f"/unit_nodes/{crowd.nodes['raw_out']['uuid']}"
    return await crowd.here.alice.patch(path, {"max_connections": 5000})


async def _set_input(crowd: Crowd) -> Reply:
    path = f"/unit_nodes/set_state_input/{crowd.nodes['raw_in']['uuid']}"
    return await crowd.here.alice.patch(path, {"state": "1"})


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


async def _check_pipe(crowd: Crowd) -> Reply:
    form = FormData()
    form.add_field("data", PIPE, filename="pipe.yml")
    return await crowd.here.alice.call("POST", "/unit_nodes/check_data_pipe_config", data=form)


async def _clear(crowd: Crowd) -> Reply:
    path = f"/unit_nodes/delete_data_pipe_data/{crowd.nodes['temperature/pepeunit']['uuid']}"
    return await crowd.here.alice.delete(path)


async def _grant(crowd: Crowd) -> Reply:
    resource = {"resource_uuid": crowd.hub["uuid"], "resource_type": "Unit"}
    body = {"agent_uuid": crowd.here.bob.uuid, "agent_type": "User", **resource}
    return await crowd.here.alice.post("/permission", body)


async def _revoke(crowd: Crowd) -> Reply:
    params = {"agent_uuid": crowd.here.bob.uuid, "resource_uuid": crowd.hub["uuid"]}
    return await crowd.here.alice.call("DELETE", "/permission/any", params=params)


WRITES: dict[str, list[Call]] = {
    "POST /users": [_new_user],
    "POST /users/auth": [_log_in],
    "PATCH /users/{uuid}": [_change_password],
    "PATCH /users/block/{uuid}": [_block],
    "PATCH /users/unblock/{uuid}": [_unblock],
    "DELETE /users/{uuid}": [_delete_user],
    "POST /tokens": [_new_token],
    "DELETE /tokens/{uuid}": [_delete_token],
    "POST /repository_registry": [_new_repository],
    "PATCH /repository_registry/set_credentials/{uuid}": [_set_credentials],
    "PATCH /repository_registry/update_local_repository/{uuid}": [_fetch],
    "DELETE /repository_registry/{uuid}": [_delete_repository],
    "POST /repository_registry/webhook/{uuid}": [_webhook("POST")],
    "DELETE /repository_registry/webhook/{uuid}": [_webhook("DELETE")],
    "POST /webhooks/{uuid}": [_push],
    "POST /repos": [_new_repo],
    "PATCH /repos/{uuid}": [_move_units, _open_repo],
    "PATCH /repos/update_units_firmware/{uuid}": [_update_units],
    "POST /repos/bulk_update": [_bulk_update],
    "POST /jobs/{name}/run": [_run_job],
    "DELETE /repos/{uuid}": [_delete_repo],
    "POST /units": [_new_unit],
    "POST /units/batch": [lambda crowd: crowd.post_batch(crowd.here.alice, crowd.size, f"more-{crowd.size}")],
    "PATCH /units/{uuid}": [_patch_private, _hold_hub],
    "DELETE /units/{uuid}": [_delete_linked],
    "POST /units/reissue_token/{uuid}": [_of_hub("POST", "/units/reissue_token/{uuid}")],
    "POST /units/revoke_token/{uuid}": [_of_hub("POST", "/units/revoke_token/{uuid}")],
    "PATCH /units/env/{uuid}": [_of_hub("PATCH", "/units/env/{uuid}", {"env_json_string": '{"SPEED": 9}'})],
    "DELETE /units/env/{uuid}": [_of_hub("DELETE", "/units/env/{uuid}")],
    "POST /units/set_state_storage/{uuid}": [_of_hub("POST", "/units/set_state_storage/{uuid}", {"state": "kept"})],
    "POST /units/send_command_to_input_base_topic/{uuid}": [
        _of_hub("POST", f"/units/send_command_to_input_base_topic/{{uuid}}?command={command}")
        for command in ("Update", "SchemaUpdate")
    ],
    "POST /units/convert_toml_to_md": [_readme],
    "POST /units/auth": [_judge],
    "PATCH /unit_nodes/{uuid}": [_change_node],
    "PATCH /unit_nodes/set_state_input/{uuid}": [_set_input],
    "POST /unit_nodes/create_unit_node_edge": [_link],
    "DELETE /unit_nodes/edges/{uuid}": [_unlink],
    "POST /unit_nodes/check_data_pipe_config": [_check_pipe],
    "POST /unit_nodes/set_data_pipe_config": [lambda crowd: crowd.set_pipe("temperature/pepeunit")],
    "DELETE /unit_nodes/delete_data_pipe_data/{uuid}": [_clear],
    "POST /permission": [_grant],
    "DELETE /permission/{anything}": [_revoke],
}
