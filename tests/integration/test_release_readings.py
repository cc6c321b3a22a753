"""Who is asked for releases, with whose token, and how often."""

import asyncio
import itertools
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from pepeunit_gateway.registry.releases import LEAST_INTERVAL
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.storage.tables import repository_registry
from tests.support.compiled_program import CompiledProgram
from tests.support.field_unit import eventually
from tests.support.gateway import GatewayUnderTest
from tests.support.webhooks import Webhook

BOTH_DATABASES = True

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


def readings(program):
    return len([path for path in program.platform.questions if "/releases" in path])


async def ask(program, times=1):
    """Synchronise as a User who asks does."""
    context, uuid = program.gateway.registry.context, UUID(program.registry["uuid"])
    await asyncio.gather(*(sync_repository(context, uuid) for _ in range(times)))


async def end_the_minute(program):
    """Move everything that is noted of releases a minute back, which is what a minute does."""
    table = repository_registry
    mine = table.c.uuid == UUID(program.registry["uuid"])
    async with program.gateway.registry.context.database.write() as connection:
        row = (await connection.execute(table.select().where(mine))).one()
        last, due = row.releases_datetime, row.releases_due_datetime
        earlier = {"releases_datetime": last - LEAST_INTERVAL, "releases_due_datetime": due and due - LEAST_INTERVAL}
        await connection.execute(table.update().where(mine).values(earlier))


async def test_releases_that_no_repo_needs_are_read_once_whoever_asks(program):
    """Whoever registered a repository could have the quota of all used up, ten seconds after ten seconds."""
    program.release("v1", "pi")
    await register(program)
    assert (readings(program), (await program.synced())[2]) == (1, ["v1"])
    program.push("v2")
    for _ in range(3):
        await program.pass_time(600)
        await ask(program)
    assert readings(program) == 1


async def test_a_repo_that_needs_them_has_them_read_at_most_once_a_minute(program):
    program.release("v1", "pi")
    await program.make_repo()
    await program.pass_time(2)
    before = readings(program)
    for number in range(2, 5):
        program.push(f"v{number}")
        await ask(program)
    assert readings(program) == before + 1


async def test_of_many_who_ask_at_once_one_reads(program):
    program.release("v1", "pi")
    await program.make_repo()
    await program.pass_time(2)
    before = readings(program)
    await ask(program, times=5)
    assert readings(program) == before + 1


async def test_a_release_that_is_told_within_the_minute_is_read_at_its_end_though_nobody_asks_again(program):
    program.release("v1", "pi")
    await program.make_repo()
    hook = await Webhook.make(program.owner, program.registry["uuid"])
    before = readings(program)
    program.release("v2", "pi")
    assert (await hook.github()).status == 202

    async def noted():
        table = repository_registry
        query = table.select().where(table.c.uuid == UUID(program.registry["uuid"]))
        async with program.gateway.registry.context.database.read() as connection:
            row = (await connection.execute(query)).one()
        return row.releases_due_datetime is not None and row.releases_due_datetime - row.releases_datetime

    await eventually(noted, timedelta(minutes=1))
    assert (readings(program), await program.synced()) == (before, ("Updated", "", ["v1"]))
    await end_the_minute(program)

    async def known():
        return (await program.synced())[2]

    await eventually(known, ["v2", "v1"])
    assert readings(program) == before + 1


async def test_a_failure_that_harms_no_unit_is_tried_again_after_an_hour(program):
    program.platform.trouble.status = 500
    await register(program)
    assert "error of its own" in (await program.synced())[1]
    program.platform.trouble.status = None
    await program.pass_time(59)
    await ask(program)
    assert readings(program) == 1
    await program.pass_time(60)
    await ask(program)
    assert (readings(program), (await program.synced())[1]) == (2, "")
