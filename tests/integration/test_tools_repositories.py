"""`pepeunit repo …` as a person runs it, against a real gateway and real git servers."""

import pytest
import pytest_asyncio

from tests.support.command import Command, Done
from tests.support.gateway import PASSWORD, GatewayUnderTest
from tests.support.git_server import GitServer
from tests.support.rest_world import world
from tests.support.sample_program import sample_tree

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(here):
    """Alice's terminal; she is logged in."""
    return await _logged_in(here.gateway, here.folder / "alice")


async def _logged_in(gateway, folder):
    command = Command(folder)
    done = await command("login", gateway.origin, "--login", "alice", "--password-stdin", typed=PASSWORD + "\n")
    assert done.code == 0, done
    return command


async def test_a_registered_repository_is_used_again(here, alice):
    url = here.registry["repository_url"]
    done = await alice(
        "repo", "add", url, "--name", "second-repo", "--branch", "main", "--tags-only", "--visibility", "Public"
    )
    assert done.code == 0, done
    found = (await here.nobody.get("/repos", {"search_string": "second-repo"})).body["repos"][0]
    assert (found["repository_registry_uuid"], found["is_only_tag_update"]) == (here.registry["uuid"], True)
    taken = await alice("repo", "add", url, "--name", "second-repo", "--branch", "main")
    assert (taken.code, taken.out) == (1, "")
    assert taken.err == "pepeunit repo: the name second-repo is taken\n"


async def test_a_registered_repository_is_found_however_its_address_is_written(here, alice):
    url = here.registry["repository_url"].replace("http://127.0.0.1", "HTTP://127.1").replace("/sample", "//./sample")
    assert url != here.registry["repository_url"]
    done = await alice("repo", "add", url, "--name", "spelled-repo", "--branch", "main")
    assert done.code == 0, done
    found = (await here.alice.get("/repos", {"search_string": "spelled-repo"})).body["repos"][0]
    assert found["repository_registry_uuid"] == here.registry["uuid"]


async def test_a_registered_repository_is_fetched_before_its_branch_is_looked_for(here, alice):
    url = here.registry["repository_url"]
    arguments = ("repo", "add", url, "--name", "third-repo", "--branch", "later")
    missing = await alice(*arguments)
    expected = f"{url} has no branch later; its branches: main; mend that and run the command again"
    assert missing == Done(1, "", f"pepeunit repo: {expected}\n")
    here.tree.git("branch", "later")
    here.tree.push()
    done = await alice(*arguments)
    assert done.code == 0, done


async def test_who_comes_too_early_is_told_when_to_come_again(tmp_path):
    with GitServer(tmp_path / "git") as server:
        tree = sample_tree(server, tmp_path / "work", "slow")
        async with GatewayUnderTest(tmp_path / "data", min_interval_sync_repository=5.0) as gateway:
            await gateway.user("alice")
            alice = await _logged_in(gateway, tmp_path / "alice")
            add = ("repo", "add", server.url("slow"), "--branch")
            assert (await alice(*add, "main", "--name", "slow-repo")).code == 0
            assert (await alice(*add, "main", "--name", "slow-repo-2")).code == 0  # what is there is fresh enough
            tree.git("branch", "later")
            tree.push()
            early = await alice(*add, "later", "--name", "slow-repo-3")
            assert early.code == 1
            assert early.err.endswith("run the command again (it was fetched a moment ago: try again in 5 s)\n"), early


async def test_a_repository_that_cannot_be_fetched_says_why_and_leaves_nothing(here, alice, tmp_path):
    with GitServer(tmp_path / "git") as server:
        url = server.url("later")
        arguments = ("repo", "add", url, "--name", "later-repo", "--branch", "main")
        failed = await alice(*arguments)
        assert (failed.code, failed.out) == (1, "")
        assert failed.err.startswith(f"pepeunit repo: the gateway cannot fetch {url}: ")
        assert failed.err.endswith("; nothing was registered\n")
        assert failed.err.count("\n") == 1
        found = (await here.alice.get("/repository_registry", {"search_string": url})).body
        assert found["count"] == 0
        sample_tree(server, tmp_path / "work", "later")
        wrong = await alice(*arguments[:-1], "master")
        assert wrong.err.endswith(f"{url} has no branch master; its branches: main; nothing was registered\n")
        bad_name = await alice("repo", "add", url, "--name", "a", "--branch", "main")
        assert bad_name.err == "pepeunit repo: the name must have 4 to 20 characters\n"
        assert (await here.alice.get("/repository_registry", {"search_string": url})).body["count"] == 0
        assert (await alice(*arguments)).code == 0
    broken = await alice("repo", "add", url, "--name", "later-repo-2", "--branch", "main")
    assert broken.err.endswith("; mend that and run the command again\n")
    assert (await alice("repo", "list")).out.splitlines()[-1].startswith("later-repo: The git server at ")
    assert (await here.alice.get("/repository_registry", {"search_string": url})).body["count"] == 1


async def test_a_repo_is_removed_with_its_repository_unless_something_needs_them(here, alice, tmp_path):
    with GitServer(tmp_path / "git") as server:
        sample_tree(server, tmp_path / "work", "short")
        url = server.url("short")
        for name in ("short-repo", "short-repo-2"):
            assert (await alice("repo", "add", url, "--name", name, "--branch", "main")).code == 0
        await alice("unit", "create", "short-unit", "--repo", "short-repo-2")
        followed = await alice("repo", "remove", "short-repo-2")
        assert (followed.code, followed.out) == (1, "")
        assert "pepeunit unit remove NAME" in followed.err
        said = "repo short-repo is removed; its git repository stays: others use it or registered it\n"
        assert await alice("repo", "remove", "short-repo") == Done(0, said, "")
        assert (await alice("unit", "remove", "short-unit", "--yes")).code == 0
        assert await alice("repo", "remove", "short-repo-2") == Done(0, "repo short-repo-2 is removed\n", "")
        assert (await here.alice.get("/repository_registry", {"search_string": url})).body["count"] == 0


async def test_a_private_repository_takes_its_credentials_from_stdin(alice, tmp_path):
    with GitServer(tmp_path / "git", credentials=("alice", "token-of-alice")) as server:
        sample_tree(server, tmp_path / "work", "secret")
        arguments = ("repo", "add", server.url("secret"), "--name", "secret-repo", "--branch", "main", "--private")
        public = await alice(*arguments[:-1])
        assert "if the repository is private, add --private, which asks for a name and a token; nothing" in public.err
        empty = await alice(*arguments, typed="alice\n")
        assert (empty.code, "neither may be empty" in empty.err) == (2, True)
        wrong = await alice(*arguments, typed="alice\nwrong-token\n")
        assert (wrong.code, wrong.out) == (1, "")
        assert "wrong-token" not in wrong.err
        assert wrong.err.endswith("check the user name and the token; nothing was registered\n")
        done = await alice(*arguments, typed="alice\ntoken-of-alice\n")
        assert done.code == 0, done
        assert "token-of-alice" not in done.out + done.err
