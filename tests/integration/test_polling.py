"""What the look at the repositories does by itself: private ones are followed, and trouble with one stays its own."""

import random

from tests.support.field_unit import eventually
from tests.support.gateway import Api, GatewayUnderTest
from tests.support.git_server import GitServer, WorkTree
from tests.support.rest_world import World, world
from tests.support.sample_program import make_repo, make_unit, sample_tree

BOTH_DATABASES = True

OFTEN = 1.0
TOO_LARGE = random.Random(1).randbytes(2 * 2**20)
SECRET = {"username": "reader", "pat_token": "good-token"}


def push(tree: WorkTree, content: bytes | str = "print('new')\n") -> str:
    tree.write("main.py", content)
    commit = tree.commit("next")
    tree.push()
    return commit


async def status(owner: Api, unit: str) -> str | None:
    return (await owner.get(f"/units/{unit}")).body["firmware_update_status"]


async def synced(owner: Api, registry: str) -> tuple[str, str]:
    body = (await owner.get(f"/repository_registry/{registry}")).body
    return body["sync_status"], body["sync_error"] or ""


async def test_w20_a_private_repository_is_followed_with_what_its_owner_stored(tmp_path):
    """W20: the job had no credentials, so private registries went to Error every hour."""
    with GitServer(tmp_path / "git", credentials=(SECRET["username"], SECRET["pat_token"])) as git:
        tree = sample_tree(git, tmp_path / "work")
        async with GatewayUnderTest(tmp_path / "data", repo_poll_interval=OFTEN) as gateway:
            alice = await gateway.user("alice")
            body = {
                "platform": "Git",
                "repository_url": git.url("sample"),
                "is_public_repository": False,
                "credentials": SECRET,
            }
            registry = await alice.made("/repository_registry", body)
            body = {
                "repository_registry_uuid": registry["uuid"],
                "default_branch": "main",
                "visibility_level": "Public",
                "name": "private",
                "is_compilable_repo": False,
                "is_only_tag_update": False,
            }
            repo = await alice.made("/repos", body)
            unit = (await make_unit(alice, repo["uuid"], "unit-1"))["uuid"]
            push(tree)
            await eventually(lambda: status(alice, unit), "RequestSent")
            assert await synced(alice, registry["uuid"]) == ("Updated", "")


async def healthy_neighbour(stage: World) -> tuple[WorkTree, str]:
    """Another repository with a unit of Bob's."""
    tree = sample_tree(stage.git, stage.folder / "neighbour", "neighbour")
    _, repo = await make_repo(stage.bob, stage.git.url("neighbour"), "neighbour")
    return tree, (await make_unit(stage.bob, repo["uuid"], "neighbour"))["uuid"]


async def test_w32_a_repository_that_outgrows_the_limit_is_told_and_harms_nothing(tmp_path):
    """W32: the error text failed itself, the status hung at Processing and the mirror was gone already."""
    async with world(tmp_path, repo_poll_interval=OFTEN, max_external_repo_size=1) as stage:
        unit = (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]
        tree, neighbour = await healthy_neighbour(stage)
        good = stage.tree.head()
        push(stage.tree, TOO_LARGE)

        async def told() -> tuple[str, bool]:
            state, error = await synced(stage.alice, stage.registry["uuid"])
            return state, "PU_MAX_EXTERNAL_REPO_SIZE" in error

        await eventually(told, ("Error", True))
        push(tree)
        await eventually(lambda: status(stage.bob, neighbour), "RequestSent")
        env = await stage.alice.get(f"/units/env/{unit}")
        assert (env.status, env.body["PU_COMMIT_VERSION"]) == (200, good)
        assert (await stage.alice.get(f"/units/firmware/tar/{unit}")).status == 200


async def test_w32_a_git_server_that_is_gone_neither_stops_a_start_nor_its_units(tmp_path):
    """W32: the error of the network was not caught and took the start along."""
    with GitServer(tmp_path / "git") as git:
        sample_tree(git, tmp_path / "work")
        async with GatewayUnderTest(tmp_path / "data") as gateway:
            alice = await gateway.user("alice")
            registry, repo = await make_repo(alice, git.url("sample"), "sample-repo")
            unit = (await make_unit(alice, repo["uuid"], "unit-1"))["uuid"]
    async with GatewayUnderTest(tmp_path / "data", repo_poll_interval=OFTEN) as gateway:
        alice = await gateway.login("alice", alice.uuid)

        async def told() -> tuple[str, bool]:
            state, error = await synced(alice, registry["uuid"])
            return state, "cannot be reached" in error

        await eventually(told, ("Error", True))
        assert (await alice.get(f"/units/firmware/tar/{unit}")).status == 200
