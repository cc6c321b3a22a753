"""`pepeunit repo webhook` and docs/webhooks.md, as a person uses them: the script of the page is run by a real push."""

import asyncio
import json
import re
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.command import Command, Done
from tests.support.field_unit import eventually
from tests.support.gateway import PASSWORD
from tests.support.rest_world import world
from tests.support.sample_program import make_unit

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"
REPO = "sample-repo"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world"), repo_poll_interval=3600) as made:
        yield made


async def _logged_in(here, name):
    command = Command(here.folder / name)
    done = await command("login", here.gateway.origin, "--login", name, "--password-stdin", typed=PASSWORD + "\n")
    assert done.code == 0, done
    return command


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(here):
    return await _logged_in(here, "alice")


def printed(done):
    """The address and the secret."""
    assert done.code == 0, done
    return re.search(r"^url +(\S+)$", done.out, re.MULTILINE)[1], re.search(r"^secret +(\S+)", done.out, re.MULTILINE)[
        1
    ]


async def is_set(here):
    return (await here.alice.get(f"/repository_registry/{here.registry['uuid']}")).body["is_webhook_set"]


async def test_the_command_prints_what_a_git_server_must_know_and_where_it_goes(here, alice):
    done = await alice("repo", "webhook", REPO)
    url, secret = printed(done)
    assert url.endswith(f"/pepeunit/api/v1/webhooks/{here.registry['uuid']}")
    assert len(secret) == 64
    for place in ("GitHub", "GitLab", "Gitea", "post-receive", "docs/webhooks.md", here.registry["repository_url"]):
        assert place in done.out
    assert "private network" in done.out
    made = json.loads((await alice("repo", "webhook", REPO, "--json")).out)
    assert made["url"] == url
    assert made["secret"] != secret
    assert await is_set(here)


async def test_it_is_turned_off_and_that_twice_is_fine(here, alice):
    await alice("repo", "webhook", REPO)
    said = f"pushes to the git repository of {REPO} are noticed by looking, as before\n"
    for _ in range(2):
        assert await alice("repo", "webhook", REPO, "--off") == Done(0, said, "")
    assert not await is_set(here)


async def test_who_did_not_register_the_repository_is_told_so(here):
    bob = await _logged_in(here, "bobby")
    done = await bob("repo", "webhook", REPO)
    expected = f"pepeunit repo: repo {REPO}: only who registered its git repository may do this\n"
    assert done == Done(1, "", expected)
    assert (await bob("repo", "webhook", REPO, "--off")).code == 1


async def test_the_script_of_the_page_tells_of_a_push_with_curl_and_openssl(here, alice):
    url, secret = printed(await alice("repo", "webhook", REPO))
    (script,) = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", PAGE.read_text(), re.DOTALL)
    port = here.gateway.given.http_port
    near = re.sub(r"^http://[^/]+", f"http://127.0.0.1:{port}", url)  # PU_DOMAIN is this machine's name
    for word, value in (("PASTE-THE-ADDRESS", near), ("PASTE-THE-SECRET", secret)):
        assert script.count(word) == 1
        script = script.replace(word, value)
    hook = here.tree.bare / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(script)
    hook.chmod(0o700)
    unit = (await make_unit(here.alice, here.repo["uuid"], "unit-1"))["uuid"]
    here.tree.write("main.py", "print('told')\n")
    here.tree.commit("told")
    await asyncio.to_thread(here.tree.push)  # the hook asks the gateway, which runs in this process

    async def status():
        return (await here.alice.get(f"/units/{unit}")).body["firmware_update_status"]

    await eventually(status, "RequestSent")
