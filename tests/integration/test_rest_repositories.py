"""Repository registry and repos over HTTP, with a real git server."""

from uuid import UUID

import pytest
import pytest_asyncio

from tests.support.git_server import GitServer
from tests.support.ports import free_port
from tests.support.rest_world import MISSING, world
from tests.support.sample_program import make_repo, make_unit, sample_tree

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


def _registry_body(url, **more):
    return {"platform": "Git", "repository_url": url, "is_public_repository": True, **more}


def _repo_body(here, **more):
    return {
        "repository_registry_uuid": here.registry["uuid"],
        "default_branch": "main",
        "visibility_level": "Public",
        "name": "another-repo",
        "is_compilable_repo": False,
        **more,
    }


async def test_a_registered_repository_is_fetched_and_shows_its_branches(here):
    reply = await here.nobody.get(f"/repository_registry/{here.registry['uuid']}")
    assert reply.status == 200
    assert reply.body["branches"] == ["main"]
    assert reply.body["sync_status"] == "Updated"
    assert reply.body["sync_error"] is None
    assert reply.body["local_repository_size"] > 0
    assert reply.body["creator_uuid"] == here.alice.uuid
    assert reply.body["sync_last_datetime"].endswith("Z")


async def test_commits_are_listed_newest_first_and_a_limit_of_zero_gives_none(here):
    path = f"/repository_registry/branch_commits/{here.registry['uuid']}"
    reply = await here.alice.get(path, {"repo_branch": "main"})
    assert (reply.status, reply.body[-1]["summary"], reply.body[-1]["tag"]) == (200, "first", None)
    assert reply.body[0]["commit"] == here.tree.head()
    assert (await here.alice.get(path, {"repo_branch": "main", "limit": 0})).body == []
    assert (await here.alice.get(path)).status == 422
    assert (await here.alice.get(path, {"repo_branch": "no-such-branch"})).status == 422
    assert (await here.nobody.get(path, {"repo_branch": "main"})).status == 401


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a.git",
        "https://example.org/a",
        "file:///etc/a.git",
        "ssh://git@example.org/a.git",
        "https://user:secret-part@example.org/a.git",
        "--upload-pack=touch",
        "",
        "https://example.org/a.git\n",
        "https://[broken/a.git",
    ],
)
async def test_bad_addresses_are_refused_and_leave_no_row(here, url):
    before = (await here.alice.get("/repository_registry")).body["count"]
    reply = await here.alice.post("/repository_registry", _registry_body(url))
    assert reply.status == 422
    assert reply.detail.startswith("422: 13: Repository Registry Validation Error: ")
    assert "secret-part" not in reply.detail
    assert (await here.alice.get("/repository_registry")).body["count"] == before


async def test_an_unreachable_server_still_answers_201_and_says_why(here):
    """W32."""
    url = f"http://127.0.0.1:{free_port()}/gone.git"
    made = await here.alice.made("/repository_registry", _registry_body(url))
    assert (made["sync_status"], made["branches"]) == ("Error", [])
    assert made["sync_error"]
    assert (await here.alice.delete(f"/repository_registry/{made['uuid']}")).status == 204


async def test_an_address_is_registered_once(here):
    reply = await here.bob.post("/repository_registry", _registry_body(here.registry["repository_url"]))
    assert reply.status == 409
    assert reply.detail.startswith("409: 13: Repository Registry Validation Error: ")


async def test_a_repository_in_use_is_not_deleted_and_never_by_others(here):
    path = f"/repository_registry/{here.registry['uuid']}"
    assert (await here.bob.delete(path)).status == 403
    assert (await here.alice.delete(path)).status == 409
    assert (await here.nobody.delete(path)).status == 401


async def test_w12_a_private_repository_needs_credentials_and_shows_them_to_their_owner_only(here, tmp_path):
    with GitServer(tmp_path / "git", credentials=("alice", "token-of-alice")) as server:
        sample_tree(server, tmp_path / "work", "secret")
        body = _registry_body(server.url("secret"), is_public_repository=False)
        missing = await here.alice.post("/repository_registry", body)
        assert (missing.status, "username and pat_token" in missing.detail) == (422, True)
        body["credentials"] = {"username": "alice", "pat_token": "wrong-token"}
        made = await here.alice.made("/repository_registry", body)
        path, uuid = "/repository_registry", made["uuid"]
        assert made["sync_status"] == "Error"
        assert "wrong-token" not in str(made)
        right = {"username": "alice", "pat_token": "token-of-alice"}
        assert (await here.alice.patch(f"{path}/set_credentials/{uuid}", right)).status == 204
        assert (await here.alice.get(f"{path}/{uuid}")).body["sync_status"] == "Updated"
        slot = await here.alice.get(f"{path}/get_credentials/{uuid}")
        masked = {"username": "alice", "pat_token": "********"}  # W12: what was stored is never shown again
        assert slot.body == {"credentials": masked, "status": "Valid"}
        assert (await here.alice.patch(f"{path}/set_credentials/{uuid}", masked)).status == 422
        others = await here.bob.get(f"{path}/get_credentials/{uuid}")
        assert (others.status, others.body) == (200, None)
        assert (await here.nobody.get(f"{path}/{uuid}")).status == 401
        assert (await here.nobody.get(path, {"uuids": uuid})).body["count"] == 0
        assert (await here.bob.patch(f"{path}/update_local_repository/{uuid}")).status == 403
        assert (await here.alice.patch(f"{path}/update_local_repository/{uuid}")).status == 204
        assert (await here.bob.post("/repos", _repo_body(here, repository_registry_uuid=uuid))).status == 403


async def test_public_repositories_take_no_credentials(here):
    path = f"/repository_registry/set_credentials/{here.registry['uuid']}"
    reply = await here.alice.patch(path, {"username": "a", "pat_token": "b"})
    assert reply.status == 422


async def test_a_repo_takes_the_optional_fields_of_its_patch(here):
    commit = here.tree.head()
    body = _repo_body(here, name="pinned-repo", is_auto_update_repo=False, default_commit=commit)
    made = await here.alice.made("/repos", {**body, "is_only_tag_update": False})
    assert (made["is_auto_update_repo"], made["default_commit"], made["is_only_tag_update"]) == (False, commit, False)
    plain = await here.alice.made("/repos", _repo_body(here, name="plain-repo"))
    assert (plain["is_auto_update_repo"], plain["default_commit"], plain["is_only_tag_update"]) == (True, None, True)


async def test_a_repo_patch_tells_absent_from_null(here):
    """W37."""
    commit = here.tree.head()
    body = _repo_body(here, name="w37-repo", is_auto_update_repo=False, default_commit=commit)
    path = f"/repos/{(await here.alice.made('/repos', body))['uuid']}"
    kept = await here.alice.patch(path, {"name": "w37-renamed", "visibility_level": None})
    assert (kept.body["name"], kept.body["default_commit"]) == ("w37-renamed", commit)
    assert kept.body["visibility_level"] == "Public"
    cleared = await here.alice.patch(path, {"default_commit": None})
    assert (cleared.status, cleared.body["default_commit"]) == (200, None)


async def test_a_repo_stays_only_at_a_commit_that_its_units_could_run(here):
    commit = here.tree.head()
    refused = await here.alice.post(
        "/repos", _repo_body(here, name="stay-repo", is_auto_update_repo=False, default_commit="123")
    )
    assert (refused.status, "has no commit '123'" in refused.detail) == (422, True)
    made = await here.alice.made("/repos", _repo_body(here, name="stay-repo", default_commit="123"))
    path = f"/repos/{made['uuid']}"
    for change in ({"is_auto_update_repo": False}, {"is_auto_update_repo": False, "default_commit": "f" * 40}):
        reply = await here.alice.patch(path, change)
        assert (reply.status, reply.detail[:7], "choose another" in reply.detail) == (422, "422: 5:", True)
    pin = {"is_auto_update_repo": False, "default_commit": commit}
    assert (await here.alice.patch(path, pin)).status == 200
    untagged = await here.alice.patch(path, {"is_compilable_repo": True})
    assert (untagged.status, "carries no tag" in untagged.detail) == (422, True)
    assert (await here.alice.get(path)).body["is_compilable_repo"] is False
    assert (await here.bob.patch(path, {"default_commit": "123"})).status == 403
    mirror = here.gateway.registry.context.mirrors.mirror(UUID(here.registry["uuid"]))
    mirror.rename(aside := mirror.with_name("aside"))
    lost = await here.alice.patch(path, {"default_commit": "f" * 40})
    assert (lost.status, "not been fetched yet" in lost.detail) == (422, True)
    assert (await here.alice.patch(path, {**pin, "name": "stay-again"})).status == 200, "an echo asks nobody"
    aside.rename(mirror)


@pytest.mark.parametrize("name", ["abc", "x" * 21, "no space", "a/bcd"])
async def test_repo_names_outside_the_rule_are_refused(here, name):
    reply = await here.alice.post("/repos", _repo_body(here, name=name))
    assert reply.status == 422
    assert reply.detail.startswith("422: 6: Repo Validation Error: the name ")


async def test_a_repo_needs_a_known_registry_and_branch_and_a_free_name(here):
    assert (await here.alice.post("/repos", _repo_body(here, repository_registry_uuid=MISSING))).status == 404
    branch = await here.alice.post("/repos", _repo_body(here, default_branch="no-such-branch"))
    assert (branch.status, "it has: main" in branch.detail) == (422, True)
    assert (await here.alice.post("/repos", _repo_body(here, name="sample-repo"))).status == 409
    assert (await here.alice.post("/repos", _repo_body(here, visibility_level="Secret"))).status == 422
    assert (await here.nobody.post("/repos", _repo_body(here))).status == 401


async def test_only_the_creator_changes_and_deletes_a_repo(here):
    made = await here.alice.made("/repos", _repo_body(here, name="owned-repo"))
    path = f"/repos/{made['uuid']}"
    for stranger, status in ((here.bob, 403), (here.admin, 403), (here.nobody, 401)):
        assert (await stranger.patch(path, {"name": "stolen-repo"})).status == status
        assert (await stranger.patch(f"/repos/update_units_firmware/{made['uuid']}")).status == status
    for stranger, status in ((here.bob, 403), (here.nobody, 401)):
        assert (await stranger.delete(path)).status == status
    assert (await here.alice.patch(f"/repos/update_units_firmware/{made['uuid']}")).status == 204
    assert (await here.alice.delete(path)).status == 204
    assert (await here.alice.get(path)).status == 404


async def test_a_repo_with_units_is_not_deleted_and_counts_their_versions(here, tmp_path):
    sample_tree(here.git, tmp_path / "work", "counted")
    _, repo = await make_repo(here.alice, here.git.url("counted"), "counted-repo")
    await make_unit(here.alice, repo["uuid"], "counted-unit")
    assert (await here.alice.delete(f"/repos/{repo['uuid']}")).status == 409
    versions = await here.nobody.get(f"/repos/versions/{repo['uuid']}")
    assert (versions.status, versions.body) == (200, {"unit_count": 0, "versions": []})


async def test_repos_are_found_by_search_registry_and_creator(here):
    params = {"search_string": "SAMPLE-re main", "creators_uuids": here.alice.uuid}
    reply = await here.nobody.get("/repos", params)
    assert [repo["name"] for repo in reply.body["repos"]] == ["sample-repo"]
    assert (await here.nobody.get("/repos", {"creator_uuid": here.bob.uuid})).body == {"count": 0, "repos": []}
    assert (await here.nobody.get("/repos", {"search_string": "100%"})).body["count"] == 0


async def test_unknown_uuids_are_404_everywhere(here):
    for path in ("/repos", "/repos/versions", "/repository_registry"):
        assert (await here.alice.get(f"{path}/{MISSING}")).status == 404, path
    commits = f"/repository_registry/branch_commits/{MISSING}"
    assert (await here.alice.get(commits, {"repo_branch": "main"})).status == 404
    assert (await here.alice.get(f"/repository_registry/get_credentials/{MISSING}")).status == 404
    assert (await here.alice.patch(f"/repos/{MISSING}", {"name": "fine-name"})).status == 404
    assert (await here.alice.patch(f"/repos/update_units_firmware/{MISSING}")).status == 404
    assert (await here.alice.patch(f"/repository_registry/update_local_repository/{MISSING}")).status == 404
    assert (await here.alice.delete(f"/repos/{MISSING}")).status == 404
    assert (await here.alice.delete(f"/repository_registry/{MISSING}")).status == 404
