"""Credentials of private repositories: each user's own, and nobody's opens the door for another."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.storage.tables import repository_registry
from tests.support.field_unit import eventually
from tests.support.gateway import Api, GatewayUnderTest
from tests.support.git_server import GitServer
from tests.support.sample_program import sample_tree

BOTH_DATABASES = True

GOOD = {"username": "reader", "pat_token": "good-token"}
GARBAGE = {"username": "x", "pat_token": "garbage"}


class Private:
    """Alice's private repository on a server that asks for credentials; Bob is a stranger."""

    def __init__(self, git: GitServer, gateway: GatewayUnderTest, alice: Api, bob: Api, uuid: str) -> None:
        self.git, self.gateway, self.alice, self.bob, self.uuid = git, gateway, alice, bob, uuid

    async def slot(self, user: Api) -> str | None:
        body = (await user.get(f"/repository_registry/get_credentials/{self.uuid}")).body
        return body and body["status"]

    async def store(self, user: Api, credentials: dict[str, str]) -> int:
        return (await user.patch(f"/repository_registry/set_credentials/{self.uuid}", credentials)).status

    async def reads(self, user: Api) -> int:
        path = f"/repository_registry/branch_commits/{self.uuid}"
        return (await user.get(path, {"repo_branch": "main"})).status

    async def sync_status(self) -> str:
        return (await self.alice.get(f"/repository_registry/{self.uuid}")).body["sync_status"]


@pytest.fixture
async def private(tmp_path):
    with GitServer(tmp_path / "git", credentials=(GOOD["username"], GOOD["pat_token"])) as git:
        sample_tree(git, tmp_path / "work")
        async with GatewayUnderTest(tmp_path / "data", repo_poll_interval=3600) as gateway:
            alice, bob = await gateway.user("alice"), await gateway.user("bobby")
            body = {
                "platform": "Git",
                "repository_url": git.url("sample"),
                "is_public_repository": False,
                "credentials": GOOD,
            }
            made = await alice.made("/repository_registry", body)
            assert made["sync_status"] == "Updated", made
            yield Private(git, gateway, alice, bob, made["uuid"])


async def test_what_worked_is_valid_and_opens_the_repository_to_its_owner_only(private):
    assert (await private.slot(private.alice), await private.slot(private.bob)) == ("Valid", None)
    assert (await private.reads(private.alice), await private.reads(private.bob)) == (200, 403)


async def test_another_users_good_credentials_are_tried_and_open_it_to_them(private):
    assert await private.store(private.bob, GOOD) == 204
    assert (await private.slot(private.bob), await private.reads(private.bob)) == ("Valid", 200)


async def test_garbage_is_tried_and_harms_nobody(private):
    assert await private.store(private.bob, GARBAGE) == 204
    assert (await private.slot(private.bob), await private.reads(private.bob)) == ("Error", 403)
    assert (await private.slot(private.alice), await private.sync_status()) == ("Valid", "Updated")
    await sync_repository(private.gateway.registry.context, UUID(private.uuid))
    assert (await private.slot(private.alice), await private.sync_status()) == ("Valid", "Updated")


async def test_garbage_that_is_stored_while_the_owners_credentials_are_tried_learns_nothing_from_them(private):
    private.git.fault.status = 403
    await private.alice.patch(f"/repository_registry/update_local_repository/{private.uuid}")
    assert await private.slot(private.alice) == "Error"
    private.git.fault.status = None
    release = private.git.fault.release = threading.Event()
    private.git.fault.arrived.clear()
    poll = asyncio.create_task(sync_repository(private.gateway.registry.context, UUID(private.uuid)))
    assert await asyncio.to_thread(private.git.fault.arrived.wait, 10)
    storing = asyncio.create_task(private.store(private.bob, GARBAGE))

    async def stored() -> str | None:
        return await private.slot(private.bob)

    async with asyncio.timeout(10):
        while await stored() is None:
            pass
    release.set()
    private.git.fault.release = None
    await poll
    assert await storing == 204
    assert (await private.slot(private.bob), await private.reads(private.bob)) == ("Error", 403)
    assert await private.slot(private.alice) == "Valid"


async def test_credentials_that_could_fill_the_row_are_refused(private):
    for field, size in (("username", 256), ("pat_token", 1025)):
        assert await private.store(private.bob, {**GOOD, field: "x" * size}) == 422
    assert await private.slot(private.bob) is None


async def test_w13_people_fetch_a_registry_not_more_often_than_the_interval_says(tmp_path):
    """W13, whichever route asks for the fetch."""
    with GitServer(tmp_path / "git", credentials=(GOOD["username"], GOOD["pat_token"])) as git:
        sample_tree(git, tmp_path / "work")
        async with GatewayUnderTest(tmp_path / "data", min_interval_sync_repository=3600.0) as gateway:
            alice = await gateway.user("alice")
            body = {
                "platform": "Git",
                "repository_url": git.url("sample"),
                "is_public_repository": False,
                "credentials": GOOD,
            }
            uuid = (await alice.made("/repository_registry", body))["uuid"]
            bob = await gateway.user("bobby")
            for user, path, sent in (
                (alice, "set_credentials", GOOD),
                (alice, "update_local_repository", None),
                (bob, "set_credentials", GOOD),  # the limit is the registry's, not one for each user
            ):
                reply = await user.patch(f"/repository_registry/{path}/{uuid}", sent)
                assert (reply.status, reply.detail.split(":")[1]) == (429, " 17"), reply.body
                assert 3500 < int(reply.headers["Retry-After"]) <= 3600


async def test_w13_of_many_who_fetch_a_registry_at_once_one_does(tmp_path):
    """W13: it is fetched once, into one folder, and the others are told when to come again."""
    with GitServer(tmp_path / "git") as git:
        sample_tree(git, tmp_path / "work")
        async with GatewayUnderTest(tmp_path / "data", min_interval_sync_repository=3600.0) as gateway:
            people = [await gateway.user(name) for name in ("alice", "bobby", "carol")]
            body = {"platform": "Git", "repository_url": git.url("sample"), "is_public_repository": True}
            uuid = (await people[0].made("/repository_registry", body))["uuid"]
            async with gateway.registry.context.act() as act:
                await act.connection.execute(repository_registry.update().values(asked_datetime=None))
            path = f"/repository_registry/update_local_repository/{uuid}"
            replies = await asyncio.gather(*(user.patch(path) for user in people * 3))
    assert sorted(reply.status for reply in replies) == [204] + [429] * 8


async def test_w13_a_gateway_that_polls_more_often_than_the_interval_refuses_nobody(tmp_path):
    """W13: what counts is when people asked; polls fetch too, and with them nobody's turn ever came."""
    with GitServer(tmp_path / "git", credentials=(GOOD["username"], GOOD["pat_token"])) as git:
        sample_tree(git, tmp_path / "work")
        often = {"repo_poll_interval": 1.0, "min_interval_sync_repository": 3600.0}
        async with GatewayUnderTest(tmp_path / "data", **often) as gateway:
            alice = await gateway.user("alice")
            body = {"platform": "Git", "repository_url": git.url("sample"), "is_public_repository": False}
            made = await alice.made("/repository_registry", {**body, "credentials": GOOD})
            path = "/repository_registry"

            async def fetched_by() -> str:
                shown = (await alice.get(f"{path}/{made['uuid']}")).body
                return "people" if shown["sync_last_datetime"] == made["sync_last_datetime"] else "a poll"

            for route, sent in (("set_credentials", GOOD), ("update_local_repository", None)):
                async with gateway.registry.context.act() as act:
                    ago = act.now - timedelta(hours=1)
                    await act.connection.execute(repository_registry.update().values(asked_datetime=ago))
                await eventually(fetched_by, "a poll")
                assert (await alice.patch(f"{path}/{route}/{made['uuid']}", sent)).status == 204
                made = (await alice.get(f"{path}/{made['uuid']}")).body
                await eventually(fetched_by, "a poll")
                assert (await alice.patch(f"{path}/{route}/{made['uuid']}", sent)).status == 429


async def sync_on_days(private: Private, days: int) -> list[bool]:
    """Let the gateway fetch once on each of the next days; return how it went."""
    context = private.gateway.registry.context
    went = []
    for day in range(days):
        later = context.clock() + timedelta(days=day)
        on_that_day = replace(context, clock=lambda later=later: later)
        went.append((await sync_repository(on_that_day, UUID(private.uuid)))[0])
    return went


@pytest.mark.parametrize("refusal", [401, 403, 404])
async def test_w20_credentials_that_were_withdrawn_are_found_out_though_those_of_another_user_still_work(
    private, refusal
):
    """W20: what opened the repository once must not open it for ever, and the fetch goes on with the next."""
    newer = {"username": "reader", "pat_token": "newer-token"}
    private.git.credentials = (newer["username"], newer["pat_token"])
    private.git.refusal = refusal
    assert await private.store(private.bob, newer) == 204
    assert (await private.slot(private.alice), await private.slot(private.bob)) == ("Valid", "Valid")
    assert await sync_on_days(private, 2) == [True, True]
    assert (await private.slot(private.alice), await private.slot(private.bob)) == ("Error", "Valid")
    assert (await private.reads(private.alice), await private.reads(private.bob)) == (403, 200)
    assert await private.sync_status() == "Updated"


async def test_credentials_that_see_no_repository_where_others_see_one_are_an_error_at_once(private):
    private.git.refusal = 404
    assert await private.store(private.bob, GARBAGE) == 204
    assert (await private.slot(private.alice), await private.slot(private.bob)) == ("Valid", "Error")
    assert (await private.reads(private.bob), await private.sync_status()) == (403, "Updated")


async def test_a_repository_that_nobody_sees_any_more_says_nothing_about_anybodys_credentials(private):
    assert await private.store(private.bob, GOOD) == 204
    private.git.credentials = ("reader", "other-token")
    private.git.refusal = 404
    assert await sync_on_days(private, 2) == [False, False]
    assert (await private.slot(private.alice), await private.slot(private.bob)) == ("Valid", "Valid")
    told = (await private.alice.get(f"/repository_registry/{private.uuid}")).body
    assert (told["sync_status"], "There is no git repository at this URL" in told["sync_error"]) == ("Error", True)
