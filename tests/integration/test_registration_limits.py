"""Registrations are fetches too: of one address, however it is written, and by one user, there are only so many."""

from uuid import UUID, uuid4

import pytest

from pepeunit_gateway.storage.tables import repository_registry
from tests.support.gateway import Api, GatewayUnderTest, Reply
from tests.support.git_server import GitServer
from tests.support.ports import free_port
from tests.support.sample_program import sample_tree

BOTH_DATABASES = True

REGISTRY = "/repository_registry"
LONG = 3600.0


@pytest.fixture
def git(tmp_path):
    with GitServer(tmp_path / "git") as server:
        sample_tree(server, tmp_path / "work")
        yield server


async def register(user: Api, url: str) -> Reply:
    return await user.post(REGISTRY, {"platform": "Git", "repository_url": url, "is_public_repository": True})


async def remove(user: Api, uuid: str) -> None:
    assert (await user.delete(f"{REGISTRY}/{uuid}")).status == 204


def spellings(git: GitServer) -> list[str]:
    """The sample's address as others may write it."""
    paths = ("//sample.git", "/./sample.git", "/a/../sample.git", "/%73ample.git")
    hosts = (f"http://127.1:{git.port}/sample.git", f"HTTP://2130706433:{git.port}/sample.git")
    return [git.url("sample"), *(f"http://127.0.0.1:{git.port}{path}" for path in paths), *hosts]


async def test_w13_an_address_that_is_deleted_and_registered_again_waits_for_the_interval(tmp_path, git):
    """W13: each was one more clone, and so was each other spelling."""
    async with GatewayUnderTest(tmp_path / "data", min_interval_sync_repository=LONG) as gateway:
        alice, bob = await gateway.user("alice"), await gateway.user("bobby")
        made = await register(alice, git.url("sample"))
        assert made.body["sync_status"] == "Updated"
        await remove(alice, made.body["uuid"])
        asked = len(git.requests)
        for url in spellings(git):
            for user in (alice, bob) if url == git.url("sample") else (alice,):
                reply = await register(user, url)
                assert (reply.status, reply.detail.split(":")[1]) == (429, " 17"), reply.body
                assert 3500 < int(reply.headers["Retry-After"]) <= LONG
        assert len(git.requests) == asked
        assert (await alice.get(REGISTRY)).body["count"] == 0


async def test_w13_every_spelling_of_a_registered_address_is_registered_already(tmp_path, git):
    """W13, whether or not fetches are limited; and what is stored is a spelling that git takes."""
    async with GatewayUnderTest(tmp_path / "data") as gateway:
        alice = await gateway.user("alice")
        for first in spellings(git):
            made = await register(alice, first)
            assert (made.status, made.body["sync_status"]) == (201, "Updated"), first
            assert made.body["repository_url"] == git.url("sample")
            for url in spellings(git):
                assert (await register(alice, url)).status == 409, (first, url)
            await remove(alice, made.body["uuid"])


async def test_w13_what_was_fetched_on_request_is_not_registered_anew_at_once(tmp_path, git):
    """W13: the row is deleted, but not when it was fetched."""
    async with GatewayUnderTest(tmp_path / "data", min_interval_sync_repository=LONG) as gateway:
        alice = await gateway.user("alice")
        uuid = uuid4()
        async with gateway.registry.context.act() as act:  # registered long ago
            values = {"platform": "Git", "repository_url": git.url("sample"), "creator_uuid": UUID(alice.uuid)}
            times = {"create_datetime": act.now, "last_update_datetime": act.now}
            await act.connection.execute(repository_registry.insert().values(uuid=uuid, **values, **times))
        assert (await alice.patch(f"{REGISTRY}/update_local_repository/{uuid}")).status == 204
        await remove(alice, str(uuid))
        assert (await register(alice, git.url("sample"))).status == 429


async def test_w13_a_user_registers_ten_repositories_a_minute_and_no_more(tmp_path):
    """W13: of addresses there are as many as one likes."""
    urls = [f"http://127.0.0.1:{free_port()}/{number}.git" for number in range(11)]
    async with GatewayUnderTest(tmp_path / "data", min_interval_sync_repository=0.001) as gateway:
        alice, bob = await gateway.user("alice"), await gateway.user("bobby")
        replies = [await register(alice, url) for url in urls]
        assert [reply.status for reply in replies] == [201] * 10 + [429]
        assert 0 < int(replies[-1].headers["Retry-After"]) <= 60
        assert replies[-1].detail.startswith("429: 17: Too Many Requests: you may register 10 repositories in 60 s")
        assert (await register(bob, urls[-1])).status == 201
