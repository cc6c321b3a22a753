"""Who is asked for releases, with whose token, and how often."""

import itertools

import pytest
import pytest_asyncio

from tests.support.compiled_program import CompiledProgram
from tests.support.gateway import GatewayUnderTest

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = itertools.count()
NEVER = 3600


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    async with GatewayUnderTest(tmp_path_factory.mktemp("data"), repo_poll_interval=NEVER) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(gateway):
    return await gateway.user("alice")


@pytest.fixture
def program(gateway, alice, tmp_path):
    made = CompiledProgram(gateway, alice, tmp_path, "Github", f"blink{next(NUMBERS)}")
    yield made
    made.server.stop()


@pytest.fixture
def asked(gateway, monkeypatch):
    """With whose credentials the platform is asked, and whether the operator's would do."""
    seen, platforms = [], gateway.registry.context.platforms
    real = platforms.client

    def client(platform, url, credentials, *, shown_public=False):
        seen.append((credentials and credentials.pat_token, shown_public))
        return real(platform, url, credentials, shown_public=shown_public)

    monkeypatch.setattr(platforms, "client", client)
    return seen


async def register(program, **more):
    body = {"platform": "Github", "repository_url": program.project.url, "is_public_repository": True, **more}
    program.registry = await program.owner.made("/repository_registry", body)


async def test_the_operators_token_asks_about_nothing_that_anybody_cannot_fetch(program, asked):
    """The size of the operator's private repositories was told to whoever named one."""
    program.server.credentials = ("me", "good-token")
    await register(program)
    assert (await program.synced())[0] == "Error"
    assert asked == [(None, False)]


async def test_the_operators_token_asks_about_what_was_fetched_without_one(program, asked):
    await register(program)
    assert (await program.synced())[0] == "Updated"
    assert asked == [(None, False), (None, True)]


async def test_who_has_a_token_asks_with_it_alone(program, asked):
    program.server.credentials = ("me", "good-token")
    program.project.token = "good-token"
    await register(program, is_public_repository=False, credentials={"username": "me", "pat_token": "good-token"})
    assert (await program.synced())[0] == "Updated"
    assert set(asked) == {("good-token", False)}
