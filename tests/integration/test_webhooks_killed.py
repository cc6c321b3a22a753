"""A gateway that is killed between the answer to a push and its fetch: the next start finds what was pushed."""

import asyncio
import threading
from contextlib import asynccontextmanager

from aiohttp import ClientSession, ClientTimeout

from tests.support.field_unit import eventually
from tests.support.gateway import PASSWORD, Api
from tests.support.gateway_process import GatewayProcess, run_command
from tests.support.git_server import GitServer
from tests.support.sample_program import make_repo, make_unit, sample_tree
from tests.support.webhooks import Webhook

VARIABLES = {
    "PU_GIT_ALLOW_PRIVATE": "true",
    "PU_REPO_POLL_INTERVAL": "3600",
    "PU_DOMAIN": "pepeunit.test",
    "PU_SECURE": "false",
}


@asynccontextmanager
async def running(folder):
    """Start the gateway on `folder`; gives the process and the Admin's API."""
    with GatewayProcess(folder, **VARIABLES) as process:
        await asyncio.to_thread(process.wait_until_started)
        async with ClientSession(timeout=ClientTimeout(total=30)) as session:
            nobody = Api(session, f"http://127.0.0.1:{process.http_port}/pepeunit/api/v1")
            reply = await nobody.post("/users/auth", {"credentials": "root-admin", "password": PASSWORD})
            yield process, nobody.with_token(reply.body["token"])


async def test_a_push_whose_gateway_was_killed_before_the_fetch_is_found_by_the_next_start(tmp_path):
    create = ("user", "create-admin", "--login", "root-admin", "--password-stdin")
    done = await asyncio.to_thread(run_command, tmp_path, *create, stdin=f"{PASSWORD}\n", **VARIABLES)
    assert done.returncode == 0, done.stderr
    with GitServer(tmp_path / "git") as git:
        tree = sample_tree(git, tmp_path / "work")
        async with running(tmp_path) as (process, admin):
            registry, repo = await make_repo(admin, git.url("sample"), "sample-repo")
            unit = (await make_unit(admin, repo["uuid"], "unit-1"))["uuid"]
            hook = await Webhook.make(admin, registry["uuid"])
            git.fault.release = threading.Event()
            tree.write("main.py", "print('new')\n")
            tree.commit("second")
            tree.push()
            assert (await hook.github()).status == 202
            assert await asyncio.to_thread(git.fault.arrived.wait, 10)
            process.process.kill()
            process.process.wait(10)
        git.fault.release.set()
        git.fault.release = None
        async with running(tmp_path) as (_, admin):

            async def status():
                return (await admin.get(f"/units/{unit}")).body["firmware_update_status"]

            await eventually(status, "RequestSent")
