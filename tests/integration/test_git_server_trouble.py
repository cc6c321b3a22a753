"""A git server in trouble, seen from the gateway: units go on being served, the registry tells what is wrong, and when
the server is well again the gateway finds out by itself.
"""

import asyncio
import threading
from functools import partial

import pytest
import pytest_asyncio

from pepeunit_gateway import parts
from pepeunit_gateway.firmware.mirrors import MirrorCache
from tests.support.endless import endless_pack, endless_progress
from tests.support.field_unit import eventually
from tests.support.git_server import Fault
from tests.support.rest_world import World, world
from tests.support.sample_program import make_unit

pytestmark = pytest.mark.asyncio(loop_scope="module")

OFTEN = 1.0
PATIENCE = 1
TIMEOUT = 5.0
ADVERTISED = "application/x-git-upload-pack-advertisement"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    """One gateway that gives servers a second and a fetch five, and a unit that follows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MirrorCache", partial(MirrorCache, patience=PATIENCE))
        patch.setattr(parts, "_GIT_TIMEOUT", TIMEOUT)
        async with world(
            tmp_path_factory.mktemp("trouble"), repo_poll_interval=OFTEN, max_external_repo_size=1
        ) as made:
            yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unit(stage: World):
    return (await make_unit(stage.alice, stage.repo["uuid"], "unit-1"))["uuid"]


@pytest.fixture(autouse=True)
def healthy_server(stage: World):
    """Whatever a test did to the server is over at its end."""
    yield
    stage.git.fault = Fault()


def push(stage: World, *, rewritten: bool = False) -> str:
    """Push a commit that differs from every other one, on top of or instead of the last."""
    if rewritten:
        stage.tree.git("checkout", "--quiet", "--orphan", "new")
        stage.tree.git("branch", "--quiet", "--delete", "--force", "main")
        stage.tree.git("branch", "--move", "main")
    stage.tree.write("main.py", f"print({stage.tree.git('rev-list', '--all', '--count')!r}, {rewritten})\n")
    commit = stage.tree.commit("next")
    stage.tree.push()
    return commit


async def served(stage: World, unit: str) -> tuple[str, list[int]]:
    """The version that a unit would get now, and the status of everything it needs for that."""
    paths = [f"/units/env/{unit}", f"/units/get_current_schema/{unit}", f"/units/firmware/tgz/{unit}"]
    replies = [await stage.alice.get(path) for path in paths]
    return replies[0].body["PU_COMMIT_VERSION"], [reply.status for reply in replies]


async def told(stage: World, hint: str) -> tuple[str, bool]:
    body = (await stage.alice.get(f"/repository_registry/{stage.registry['uuid']}")).body
    return body["sync_status"], hint in (body["sync_error"] or "")


TROUBLE = {
    "an error of its own": (Fault(status=500), "answers with an error of its own; try again later"),
    "a page": (Fault(status=200, headers={"Content-Type": "text/html"}, body=b"<html>"), "announces no branches"),
    "garbage": (Fault(status=200, headers={"Content-Type": ADVERTISED}, body=b"\0" * 999), "failed: "),
    "no access any more": (Fault(status=401), "refuses access"),
    "a redirect": (Fault(status=301, headers={"Location": "http://127.0.0.1:1/"}), "register the final URL"),
    "a reset": (Fault(cut_after=50), "broke off before everything had arrived; try again"),
    "a pack without end": (Fault(endless=endless_pack), "PU_MAX_EXTERNAL_REPO_SIZE"),
    "words without end": (Fault(endless=endless_progress), "took longer than 5 s; try again later"),
}


@pytest.mark.parametrize(("fault", "hint"), TROUBLE.values(), ids=TROUBLE.keys())
async def test_w19_a_server_in_trouble_harms_no_unit_is_told_and_forgiven(stage, unit, fault, hint):
    before, _ = await served(stage, unit)
    stage.git.fault = fault
    new = push(stage)
    await eventually(lambda: told(stage, hint), ("Error", True), limit=20)
    assert await served(stage, unit) == (before, [200] * 3)
    stage.git.fault = Fault()
    await eventually(lambda: served(stage, unit), (new, [200] * 3), limit=20)
    await eventually(lambda: told(stage, ""), ("Updated", True))


async def test_w19_a_server_that_is_down_harms_no_unit_is_told_and_found_again(stage, unit):
    before, _ = await served(stage, unit)
    stage.git.stop()
    new = push(stage)
    try:
        await eventually(lambda: told(stage, "cannot be reached; check that it runs"), ("Error", True), limit=20)
        assert await served(stage, unit) == (before, [200] * 3)
    finally:
        stage.git.start()
    await eventually(lambda: served(stage, unit), (new, [200] * 3), limit=20)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_w19_units_are_served_while_a_silent_server_is_waited_for(stage, unit, method):
    before, _ = await served(stage, unit)
    fault = Fault(release=threading.Event(), held=method)
    stage.git.fault = fault
    new = push(stage)
    assert await asyncio.to_thread(fault.arrived.wait, 20)
    assert await served(stage, unit) == (before, [200] * 3)
    await eventually(lambda: told(stage, "sent nothing for too long; try again later"), ("Error", True), limit=20)
    assert await served(stage, unit) == (before, [200] * 3)
    stage.git.fault = Fault()
    fault.release.set()
    await eventually(lambda: served(stage, unit), (new, [200] * 3), limit=20)


async def test_a_slow_server_is_waited_for_and_units_get_what_it_brings(stage, unit):
    stage.git.fault = Fault(pause=0.1)
    new = push(stage)
    await eventually(lambda: served(stage, unit), (new, [200] * 3), limit=20)
    assert await told(stage, "") == ("Updated", True)


async def test_rewritten_history_is_followed_and_nothing_is_in_between(stage, unit):
    before, _ = await served(stage, unit)
    seen = set()

    async def versions() -> tuple[str, list[int]]:
        answer = await served(stage, unit)
        seen.add((answer[0], *answer[1]))
        return answer

    new = push(stage, rewritten=True)
    await eventually(versions, (new, [200] * 3), limit=20)
    assert seen <= {(before, 200, 200, 200), (new, 200, 200, 200)}
