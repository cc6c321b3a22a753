"""Two gateways of which the second knows an older state of the repository, because nobody told it of the newer one.

What it is asked for never follows the older state: it fetches first, or says 503 where it cannot.
"""

import json
from dataclasses import replace
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import select

from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.repository_poll import RepositoryPoll
from pepeunit_gateway.registry.refs_states import read_state, record_state
from pepeunit_gateway.registry.syncing import sync_repository
from pepeunit_gateway.registry.updates import Updates
from pepeunit_gateway.registry.verdicts import Verdicts
from pepeunit_gateway.storage.tables import repository_registry, units
from tests.support.field_unit import eventually
from tests.support.git_server import Fault
from tests.support.older_mirror import BUTTONS, MAKING, READS, Behind
from tests.support.redis import RedisServer
from tests.support.rest_world import world
from tests.support.sample_program import SCHEMA_EXAMPLE, make_unit, nodes_of
from tests.support.two_gateways_inside import two_gateways

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", params=["Redis is there", "Redis is away"])
def redis_is_away(request):
    return request.param == "Redis is away"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory, redis_is_away):
    folder = tmp_path_factory.mktemp("pair")
    with RedisServer(folder / "redis") as redis:
        async with two_gateways(folder, redis) as made:
            if redis_is_away:
                redis.kill()
            yield made


@pytest.mark.parametrize("request_", READS, ids=[path for _, path in READS])
async def test_w22_a_read_at_a_gateway_with_an_older_mirror_deletes_no_node(pair, request_):
    behind = await Behind.make(pair)
    nodes = await behind.seen_by_one()
    assert behind.heads() == [behind.new, behind.old]
    reply = await behind.ask_two(*request_)
    assert reply.status in {200, 204}, reply.body
    assert await behind.nodes() == nodes
    assert behind.heads() == [behind.new] * 2


@pytest.mark.parametrize("request_", BUTTONS, ids=[button[1] for button in BUTTONS])
async def test_w44_a_button_at_a_gateway_with_an_older_mirror_sends_nobody_back(pair, request_):
    behind = await Behind.make(pair)
    nodes = await behind.seen_by_one()
    reply = await behind.ask_two(*request_)
    assert reply.status in {200, 204}, reply.body
    assert await behind.commanded() <= {behind.new}
    assert await behind.nodes() == nodes


async def test_a_unit_that_is_made_at_a_gateway_with_an_older_mirror_has_the_nodes_of_the_newer_one(pair):
    behind = await Behind.make(pair)
    nodes = await behind.seen_by_one()
    method, path, body = MAKING
    reply = await behind.ask_two(method, path, {**body, "name": f"made-{behind.unit[:8]}"})
    assert reply.status == 201, reply.body
    assert (await nodes_of(pair.one.alice, reply.body["uuid"])).keys() == nodes.keys()


async def test_w44_the_job_at_a_gateway_with_an_older_mirror_fetches_before_it_commands(pair):
    behind = await Behind.make(pair)
    second = pair.second.registry
    duty = Duty(second.context, "second")
    poll = RepositoryPoll(second, 3600, duty=duty)
    poll._commanding._duty = None  # as one that has been on duty for long, whether Redis is there or not
    await poll.run()
    await poll.settle()
    later = behind.push("later")
    behind.new, behind.old = later, behind.new
    nodes = await behind.seen_by_one()
    assert behind.heads() == [later, behind.old]
    await poll.resend()
    assert await behind.commanded() <= {behind.old, later}
    assert await behind.nodes() == nodes
    await poll.settle()
    assert behind.heads() == [later] * 2
    assert await behind.nodes() == nodes
    await poll.stop()


@pytest.fixture
async def unreachable(pair):
    """The git server answers 503 until the test is over."""

    def begin():
        pair.one.git.fault = Fault(status=503)

    yield begin
    pair.one.git.fault = Fault()


async def test_w22_w44_a_gateway_that_cannot_fetch_the_newer_state_says_503_and_writes_nothing(pair, unreachable):
    behind = await Behind.make(pair)
    nodes = await behind.seen_by_one()
    unreachable()
    for request_ in (*READS, *BUTTONS, MAKING):
        reply = await behind.ask_two(*request_)
        assert (reply.status, reply.headers.get("Retry-After")) == (503, "5"), (request_, reply.body)
    commanded = await pair.second.registry.updates.update_all(again=True)
    assert commanded.behind == {behind.registry}
    assert await behind.commanded() == set()
    assert await behind.nodes() == nodes
    assert (await pair.one.alice.patch(f"/units/{behind.unit}", BUTTONS[0][2])).status == 200  # who has it, goes on
    assert await behind.commanded() == {behind.new}
    pair.one.git.fault = Fault()

    async def status():
        return (await behind.ask_two(*READS[0])).status

    await eventually(status, 200)
    assert await behind.nodes() == nodes


async def test_what_follows_the_commit_that_an_older_mirror_knows_is_served_by_it(pair, unreachable):
    behind = await Behind.make(pair)
    nodes = await behind.nodes()
    await sync_repository(behind.contexts[0], behind.registry, told=True)
    unreachable()
    for request_ in READS:
        reply = await behind.ask_two(*request_)
        assert reply.status in {200, 204}, reply.body
    assert await behind.nodes() == nodes


async def test_w44_a_branch_that_was_pushed_back_is_news_to_the_gateway_that_saw_it_ahead(pair):
    behind = await Behind.make(pair)
    await behind.seen_by_one()
    await sync_repository(behind.contexts[1], behind.registry, told=True)
    assert behind.heads() == [behind.new] * 2
    ahead = await read_state(behind.contexts[0], behind.registry)
    behind.tree.git("reset", "--quiet", "--hard", behind.old)
    behind.tree.push()
    nodes = await behind.seen_by_one()
    back = await read_state(behind.contexts[0], behind.registry)
    assert back.number == ahead.number + 1
    for request_ in (*READS, *BUTTONS):
        assert (await behind.ask_two(*request_)).status in {200, 204}
    assert await behind.nodes() == nodes
    assert await behind.commanded() <= {behind.old}
    assert await read_state(behind.contexts[1], behind.registry) == back


async def test_a_gateway_that_saw_only_the_state_before_and_after_is_not_behind(pair, unreachable):
    behind = await Behind.make(pair)
    await behind.seen_by_one()
    behind.tree.git("reset", "--quiet", "--hard", behind.old)
    behind.tree.push()
    await sync_repository(behind.contexts[0], behind.registry, told=True)
    unreachable()
    assert (await behind.ask_two(*READS[0])).status == 200
    assert behind.heads() == [behind.old] * 2


async def test_a_gateway_without_the_mirror_fetches_it_when_it_is_asked(pair):
    behind = await Behind.make(pair)
    nodes = await behind.seen_by_one()
    await behind.contexts[1].mirrors.remove(behind.registry)
    for request_ in (*READS, *BUTTONS):
        reply = await behind.ask_two(*request_)
        assert reply.status in {200, 204}, reply.body
        await behind.contexts[1].mirrors.remove(behind.registry)
    assert await behind.nodes() == nodes


async def test_w44_a_fetch_that_is_late_never_takes_the_place_of_a_newer_state(pair):
    behind = await Behind.make(pair)
    began = await read_state(behind.contexts[1], behind.registry)
    await sync_repository(behind.contexts[1], behind.registry, told=True)
    await behind.seen_by_one()
    state = await read_state(behind.contexts[0], behind.registry)
    later = behind.push("later")
    await sync_repository(behind.contexts[0], behind.registry, told=True)
    newest = await read_state(behind.contexts[0], behind.registry)
    assert (began.number + 1, state.number + 1) == (state.number, newest.number)
    assert await record_state(behind.contexts[1], behind.registry, began) == newest
    assert await read_state(behind.contexts[0], behind.registry) == newest
    assert behind.heads() == [later, behind.new]


async def test_w44_who_fetched_while_another_recorded_news_fetches_again(pair):
    behind = await Behind.make(pair)
    one, two = behind.contexts

    class Overtaken:
        """The mirrors of the second gateway; while the first fetch goes on, the first gateway records newer news."""

        overtaken = False

        def __getattr__(self, name):
            return getattr(two.mirrors, name)

        async def sync(self, *where, **more):
            result = await two.mirrors.sync(*where, **more)
            if not self.overtaken:
                self.overtaken, behind.new = True, behind.push("meanwhile")
                await sync_repository(one, behind.registry, told=True)
            return result

    assert await sync_repository(replace(two, mirrors=Overtaken()), behind.registry, told=True) == (True, True)
    assert behind.heads() == [behind.new] * 2
    state = await read_state(one, behind.registry)
    assert state.key == two.mirrors.key(behind.registry)


async def test_w44_news_that_come_between_the_look_and_the_transaction_count(pair):
    behind = await Behind.make(pair)
    one, two = behind.contexts
    await sync_repository(two, behind.registry, told=True)
    old = behind.new

    class Interrupted:
        """The mirrors of the second gateway; while it reads the target's files, the first gateway records news."""

        interrupted = False

        def __getattr__(self, name):
            return getattr(two.mirrors, name)

        async def read_file(self, registry, commit, path):
            if not self.interrupted:
                self.interrupted, behind.new = True, behind.push("in-between")
                await sync_repository(one, behind.registry, told=True)
            return await two.mirrors.read_file(registry, commit, path)

    target = await Updates(replace(two, mirrors=Interrupted())).update_unit(UUID(behind.unit))
    assert target.commit == behind.new != old
    assert await behind.commanded() == {behind.new}
    assert "in-between" in await behind.nodes()


async def test_w44_a_gateway_with_an_older_mirror_takes_no_report_of_the_former_version_for_a_success(pair):
    behind = await Behind.make(pair)
    await behind.seen_by_one()
    await pair.one.gateway.registry.updates.update_unit(UUID(behind.unit))

    async def status():
        query = select(units.c.firmware_update_status).where(units.c.uuid == UUID(behind.unit))
        async with behind.contexts[0].database.read() as connection:
            return (await connection.execute(query)).scalar_one()

    assert await status() == "RequestSent"
    await Verdicts(behind.contexts[1]).judge(UUID(behind.unit), behind.old)
    assert await status() == "RequestSent"
    assert await behind.commanded() == {behind.new}
    await Verdicts(behind.contexts[0]).judge(UUID(behind.unit), behind.new)
    assert await status() == "Success"


async def test_a_database_that_was_restored_from_before_is_brought_up_by_the_next_fetch(pair):
    behind = await Behind.make(pair)
    await behind.seen_by_one()
    restored = repository_registry.update().values(refs_number=1, refs_key="of an earlier day")
    async with behind.contexts[0].database.write() as connection:
        await connection.execute(restored)
    assert (await behind.ask_two(*READS[0])).status == 200
    assert behind.heads() == [behind.new] * 2
    state = await read_state(behind.contexts[0], behind.registry)
    assert (state.number, state.key) == (2, behind.contexts[1].mirrors.key(behind.registry))


async def test_a_gateway_that_is_alone_follows_its_mirror_whatever_is_recorded(tmp_path):
    async with world(tmp_path, repo_poll_interval=3600) as stage:
        unit = (await make_unit(stage.alice, stage.repo["uuid"], "unit"))["uuid"]
        stage.tree.write("schema_example.json", json.dumps({**SCHEMA_EXAMPLE, "output_topic": ["pressure"]}))
        stage.tree.commit("other topics")
        stage.tree.push()
        await stage.gateway.registry.context.mirrors.sync(UUID(stage.registry["uuid"]), stage.git.url("sample"), None)
        stage.git.fault = Fault(status=503)
        reply = await stage.alice.get(f"/units/get_current_schema/{unit}")
        assert reply.status == 200, reply.body
        assert "pressure" in await nodes_of(stage.alice, unit)
