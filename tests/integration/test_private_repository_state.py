"""What the entry of a private repository tells, and to whom."""

import pytest
import pytest_asyncio

from pepeunit_gateway.storage.tables import repository_registry
from tests.support.gateway import GatewayUnderTest
from tests.support.git_server import GitServer
from tests.support.sample_program import make_unit, sample_tree

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = {"username": "reader", "pat_token": "good-token"}
WITHDRAWN = {"username": "reader", "pat_token": "withdrawn"}
RELEASES = '{"v1": [["pi", "https://files.example/pi"]]}'
NOTHING = ([], None, None)


class Stage:
    """Alice's private repository with a release, and a public one."""

    def __init__(self, git, gateway):
        self.git, self.gateway = git, gateway

    async def prepare(self):
        self.alice, self.bob = await self.gateway.user("alice"), await self.gateway.user("bobby")
        self.admin = await self.gateway.admin()
        body = {"platform": "Git", "repository_url": self.git.url("sample"), "is_public_repository": False}
        made = await self.alice.made("/repository_registry", {**body, "credentials": GOOD})
        self.uuid = made["uuid"]
        repo = {
            "repository_registry_uuid": self.uuid,
            "default_branch": "main",
            "visibility_level": "Public",
            "name": "sample",
            "is_compilable_repo": False,
            "is_only_tag_update": False,
        }
        unit = await make_unit(self.alice, (await self.alice.made("/repos", repo))["uuid"], "hall")
        self.unit = await self.gateway.unit(self.alice, unit["uuid"])

    async def say(self, **columns):
        async with self.gateway.registry.context.database.write() as connection:
            await connection.execute(repository_registry.update().values(**columns))

    async def told(self, agent):
        """Branches, releases and what is wrong, as one entry and as a list tell it alike."""
        one = (await agent.get(f"/repository_registry/{self.uuid}")).body
        listed = (await agent.get("/repository_registry", {"uuids": self.uuid})).body["repositories_registry"]
        assert listed == [one]
        assert one["repository_url"] == self.git.url("sample")
        return one["branches"], one["releases_data"], one["sync_error"]

    async def store(self, user, credentials):
        return (await user.patch(f"/repository_registry/set_credentials/{self.uuid}", credentials)).status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("private")
    with GitServer(folder / "git", credentials=(GOOD["username"], GOOD["pat_token"])) as git:
        sample_tree(git, folder / "work")
        async with GatewayUnderTest(folder / "data", repo_poll_interval=3600) as gateway:
            stage = Stage(git, gateway)
            await stage.prepare()
            yield stage


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def _state(stage):
    assert await stage.store(stage.alice, GOOD) == 204
    await stage.say(releases_data=RELEASES, sync_error="Releases: trouble")


async def test_branches_releases_and_trouble_are_for_who_has_valid_credentials(stage):
    everything = (["main"], RELEASES, "Releases: trouble")
    assert await stage.told(stage.alice) == everything
    for other in (stage.bob, stage.admin, stage.unit):
        assert await stage.told(other) == NOTHING


async def test_a_creator_whose_credentials_do_not_work_is_told_what_is_wrong_and_nothing_else(stage):
    await stage.store(stage.alice, WITHDRAWN)
    assert await stage.told(stage.alice) == ([], None, "Releases: trouble")


async def test_credentials_that_cannot_be_read_open_nothing_and_the_list_is_there(stage):
    await stage.say(cipher_credentials_private_repository="AAAA.AAAA")
    try:
        assert await stage.told(stage.bob) == NOTHING
        assert await stage.told(stage.alice) == ([], None, "Releases: trouble")
    finally:
        await stage.say(cipher_credentials_private_repository=None)


async def test_a_public_repository_tells_everything_to_everybody(stage):
    await stage.say(is_public_repository=True)
    try:
        for agent in (stage.bob, stage.unit, stage.alice.with_token(None)):
            assert await stage.told(agent) == (["main"], RELEASES, "Releases: trouble")
    finally:
        await stage.say(is_public_repository=False)
