"""A unit is never more open than its Repo, a node never more open than its unit (protocol/security.md 4.5)."""

import asyncio

import pytest
import pytest_asyncio

from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEVELS = ("Public", "Internal", "Private")
PAIRS = [(parent, child) for parent in LEVELS for child in LEVELS]


def fits(parent, child):
    return LEVELS.index(child) >= LEVELS.index(parent)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


async def _repo(here, level):
    body = {
        "repository_registry_uuid": here.registry["uuid"],
        "default_branch": "main",
        "visibility_level": level,
        "name": f"r-{here.gateway.registry.context.clock().timestamp()}"[:20],
        "is_compilable_repo": False,
        "is_only_tag_update": False,
    }
    return (await here.alice.made("/repos", body))["uuid"]


def _name(here):
    return f"u-{here.gateway.registry.context.clock().timestamp()}"[:20]


async def _set(here, path, level):
    return await here.alice.patch(path, {"visibility_level": level})


@pytest.mark.parametrize(("parent", "child"), PAIRS)
async def test_a_unit_is_made_and_changed_within_its_repo(here, parent, child):
    repo = await _repo(here, parent)
    body = {"repo_uuid": repo, "visibility_level": child, "is_auto_update_from_repo_unit": True}
    made = await here.alice.post("/units", {**body, "name": _name(here)})
    assert made.status == (201 if fits(parent, child) else 422), made.body
    unit = await make_unit(here.alice, repo, _name(here), visibility_level="Private")
    changed = await _set(here, f"/units/{unit['uuid']}", child)
    assert changed.status == (200 if fits(parent, child) else 422), changed.body
    if changed.status == 422:
        assert changed.detail.startswith("422: 2: ")
        assert (await here.alice.get(f"/units/{unit['uuid']}")).body["visibility_level"] == "Private"


@pytest.mark.parametrize(("parent", "child"), PAIRS)
async def test_a_node_is_changed_within_its_unit(here, parent, child):
    unit = await make_unit(here.alice, here.repo["uuid"], _name(here), visibility_level=parent)
    node = (await nodes_of(here.alice, unit["uuid"]))["raw_in"]
    assert node["visibility_level"] == parent, "a new node is as open as its unit"
    changed = await _set(here, f"/unit_nodes/{node['uuid']}", child)
    assert changed.status == (200 if fits(parent, child) else 422), changed.body


@pytest.mark.parametrize(("parent", "child"), PAIRS)
async def test_a_repo_is_changed_only_where_all_of_its_units_still_fit(here, parent, child):
    repo = await _repo(here, "Public")
    for level in {"Private", child}:
        await make_unit(here.alice, repo, _name(here), visibility_level=level)
    changed = await _set(here, f"/repos/{repo}", parent)
    assert changed.status == (200 if fits(parent, child) else 422), changed.body
    stays = parent if fits(parent, child) else "Public"
    assert (await here.alice.get(f"/repos/{repo}")).body["visibility_level"] == stays


async def test_a_unit_that_closes_takes_its_nodes_along_and_leaves_them_closed(here):
    unit = await make_unit(here.alice, here.repo["uuid"], _name(here))
    path = f"/units/{unit['uuid']}"
    nodes = await nodes_of(here.alice, unit["uuid"])
    assert (await _set(here, f"/unit_nodes/{nodes['raw_in']['uuid']}", "Private")).status == 200

    async def levels():
        return {name: node["visibility_level"] for name, node in (await nodes_of(here.alice, unit["uuid"])).items()}

    assert (await _set(here, path, "Internal")).status == 200
    assert await levels() == {**dict.fromkeys(nodes, "Internal"), "raw_in": "Private"}
    assert (await _set(here, path, "Public")).status == 200
    assert await levels() == {**dict.fromkeys(nodes, "Internal"), "raw_in": "Private"}


async def test_a_repo_that_closes_while_a_unit_is_made_never_has_a_more_open_one(here):
    """W28: whichever comes first, the rule holds afterwards."""
    for _ in range(5):
        repo = await _repo(here, "Public")
        body = {"repo_uuid": repo, "visibility_level": "Public", "is_auto_update_from_repo_unit": True}
        made, closed = await asyncio.gather(
            here.alice.post("/units", {**body, "name": _name(here)}), _set(here, f"/repos/{repo}", "Private")
        )
        assert sorted((made.status < 300, closed.status < 300)) == [False, True], (made.body, closed.body)
