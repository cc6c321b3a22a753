"""Repositories that were registered as private and ask nobody for credentials: what works there proves nothing."""

from uuid import UUID

import pytest
import pytest_asyncio

from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.registry.credentials import CredentialSlot, write_slots
from pepeunit_gateway.registry.entities import CredentialStatus
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.storage.tables import repository_registry
from tests.support.gateway import Api, GatewayUnderTest
from tests.support.git_server import GitServer
from tests.support.sample_program import sample_tree

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = {"username": "reader", "pat_token": "good-token"}
GARBAGE = {"username": "x", "pat_token": "garbage"}


class Stage:
    """A git server, and a gateway on which Alice registers and Bob is a stranger."""

    def __init__(self, git: GitServer, gateway: GatewayUnderTest, alice: Api, bob: Api) -> None:
        self.git, self.gateway, self.alice, self.bob = git, gateway, alice, bob

    def body(self, url: str, *, is_public: bool = False) -> dict[str, object]:
        return {
            "platform": "Git",
            "repository_url": url,
            "is_public_repository": is_public,
            "credentials": None if is_public else GOOD,
        }

    async def slot(self, user: Api, uuid: str) -> str | None:
        body = (await user.get(f"/repository_registry/get_credentials/{uuid}")).body
        return body and body["status"]

    async def reads(self, user: Api, uuid: str) -> int:
        return (await user.get(f"/repository_registry/branch_commits/{uuid}", {"repo_branch": "main"})).status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("open")
    with GitServer(folder / "git") as git:
        sample_tree(git, folder / "work")
        settings = {"repo_poll_interval": 3600, "min_interval_sync_repository": 0.0}
        async with GatewayUnderTest(folder / "data", git_allow_file=str(git.root), **settings) as gateway:
            yield Stage(git, gateway, await gateway.user("alice"), await gateway.user("bobby"))


@pytest_asyncio.fixture(loop_scope="module")
async def opened(stage):
    """A registry of a repository that anybody may read, though its creator says that it is private."""
    made = await stage.alice.made("/repository_registry", stage.body(stage.git.url("sample")))
    assert made["sync_status"] == "Updated", made
    yield made["uuid"]
    assert (await stage.alice.delete(f"/repository_registry/{made['uuid']}")).status == 204


@pytest.mark.parametrize("credentials", [GARBAGE, GOOD])
async def test_where_nobody_is_asked_for_credentials_a_strangers_open_nothing(stage, opened, credentials):
    """Also the very ones of the creator, which may be as much made up as any others."""
    assert (await stage.slot(stage.alice, opened), await stage.reads(stage.alice, opened)) == ("Valid", 200)
    reply = await stage.bob.patch(f"/repository_registry/set_credentials/{opened}", credentials)
    assert (reply.status, "anybody can read this repository without credentials" in reply.detail) == (422, True)
    await sync_repository(stage.gateway.registry.context, UUID(opened))
    assert (await stage.slot(stage.bob, opened), await stage.reads(stage.bob, opened)) == ("Error", 403)
    assert (await stage.slot(stage.alice, opened), await stage.reads(stage.alice, opened)) == ("Valid", 200)


async def test_while_it_is_unknown_whether_anybody_is_asked_a_strangers_open_nothing(stage, opened, monkeypatch):
    async def unknown(_url):
        return None

    monkeypatch.setattr(stage.gateway.registry.context.mirrors, "is_open", unknown)
    reply = await stage.bob.patch(f"/repository_registry/set_credentials/{opened}", GARBAGE)
    assert (reply.status, "are not verified; set them again" in reply.detail) == (422, True)
    assert (await stage.slot(stage.bob, opened), await stage.reads(stage.bob, opened)) == ("NotVerified", 403)


async def test_once_the_server_asks_good_credentials_open_it(stage, opened):
    stage.git.credentials = (GOOD["username"], GOOD["pat_token"])
    try:
        reply = await stage.bob.patch(f"/repository_registry/set_credentials/{opened}", GOOD)
    finally:
        stage.git.credentials = None
    assert reply.status == 204
    assert (await stage.slot(stage.bob, opened), await stage.reads(stage.bob, opened)) == ("Valid", 200)


async def test_a_file_repository_is_not_registered_as_private(stage):
    url = f"file://{stage.git.bare('sample')}"
    reply = await stage.alice.post("/repository_registry", stage.body(url))
    assert (reply.status, "register it as public" in reply.detail) == (422, True)
    assert (await stage.alice.get("/repository_registry", {"search_string": "file:"})).body["count"] == 0


async def test_of_a_file_repository_that_is_registered_as_private_only_the_creators_slot_counts(stage):
    url = f"file://{stage.git.bare('sample')}"
    uuid = (await stage.alice.made("/repository_registry", stage.body(url, is_public=True)))["uuid"]
    slots = {
        UUID(user.uuid): CredentialSlot(Credentials(**GOOD), CredentialStatus.VALID)
        for user in (stage.alice, stage.bob)
    }
    context = stage.gateway.registry.context
    values = {
        "is_public_repository": False,
        "cipher_credentials_private_repository": write_slots(context.cipher, slots),
    }
    async with context.act() as act:
        row = repository_registry.c.uuid == UUID(uuid)
        await act.connection.execute(repository_registry.update().where(row).values(values))
    assert (await stage.reads(stage.alice, uuid), await stage.reads(stage.bob, uuid)) == (200, 403)
    reply = await stage.bob.patch(f"/repository_registry/set_credentials/{uuid}", GARBAGE)
    assert (reply.status, await stage.slot(stage.bob, uuid)) == (422, "Error")
    assert (await stage.alice.delete(f"/repository_registry/{uuid}")).status == 204
