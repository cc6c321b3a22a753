"""A small unit program in a served git repository, and the entities that lead to units of it."""

import json
from pathlib import Path
from typing import Any

from tests.support.gateway import Api
from tests.support.git_server import GitServer, WorkTree

__all__ = ["ENV_EXAMPLE", "SCHEMA_EXAMPLE", "make_repo", "make_unit", "nodes_of", "sample_tree", "write_sample"]

ENV_EXAMPLE = {"SPEED": 3, "PLACE": "hall"}
SCHEMA_EXAMPLE = {
    "input_base_topic": ["update/pepeunit", "env_update/pepeunit", "schema_update/pepeunit", "log_sync/pepeunit"],
    "output_base_topic": ["state/pepeunit", "log/pepeunit"],
    "input_topic": ["set_fan/pepeunit", "raw_in"],
    "output_topic": ["temperature/pepeunit", "raw_out"],
}


def write_sample(tree: WorkTree) -> None:
    """Commit the program."""
    tree.write("main.py", "print('hello')\n")
    tree.write("env_example.json", json.dumps(ENV_EXAMPLE))
    tree.write("schema_example.json", json.dumps(SCHEMA_EXAMPLE))
    tree.commit("first")


def sample_tree(server: GitServer, folder: Path, name: str = "sample") -> WorkTree:
    """Commit and serve the program."""
    tree = WorkTree.create(folder / name, bare=server.bare(name))
    write_sample(tree)
    tree.push()
    return tree


async def make_repo(
    owner: Api, url: str, name: str, *, platform: str = "Git", **more: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Register the repository and make a Repo that follows its branch; return both."""
    registry = await owner.made(
        "/repository_registry", {"platform": platform, "repository_url": url, "is_public_repository": True}
    )
    assert registry["sync_status"] == "Updated", registry
    body = {
        "repository_registry_uuid": registry["uuid"],
        "default_branch": "main",
        "visibility_level": "Public",
        "name": name,
        "is_compilable_repo": False,
        "is_only_tag_update": False,
        **more,
    }
    return registry, await owner.made("/repos", body)


async def make_unit(owner: Api, repo_uuid: str, name: str, **more: Any) -> dict[str, Any]:
    """Make a unit that follows its Repo."""
    body = {
        "repo_uuid": repo_uuid,
        "visibility_level": "Public",
        "name": name,
        "is_auto_update_from_repo_unit": True,
        **more,
    }
    return await owner.made("/units", body)


async def nodes_of(owner: Api, unit_uuid: str) -> dict[str, dict[str, Any]]:
    """Return the nodes of a unit by their names."""
    reply = await owner.get("/unit_nodes", {"unit_uuid": unit_uuid})
    assert reply.status == 200, reply.body
    return {node["topic_name"]: node for node in reply.body["unit_nodes"]}
