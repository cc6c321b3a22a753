"""Of several gateways one asks a platform for releases: the one that was asked itself, else the one on duty."""

import pytest

from pepeunit_gateway.jobs.duty import Duty
from pepeunit_gateway.jobs.repository_poll import RepositoryPoll
from tests.support.compiled_program import CompiledProgram, link
from tests.support.redis import RedisServer
from tests.support.two_gateways_inside import two_gateways


@pytest.fixture
async def pair(tmp_path):
    with RedisServer(tmp_path / "redis") as redis:
        async with two_gateways(tmp_path, redis, update_spread=0.0) as pair:
            yield pair


@pytest.fixture
def program(pair, tmp_path):
    made = CompiledProgram(pair.one.gateway, pair.one.alice, tmp_path / "compiled", "Github", "blink")
    made.release("v1", "pi")
    yield made
    made.server.stop()


async def test_what_one_reads_on_request_the_one_on_duty_commands_and_who_is_not_on_duty_asks_nothing(pair, program):
    await program.make_repo()
    unit = await program.connected("unit", "pi")
    assert pair.second.registry.context.bus.shared
    commit = program.push("v2")
    program.release("v2", "pi")
    await program.pass_time(2)
    path = f"/repository_registry/update_local_repository/{program.registry['uuid']}"
    assert (await pair.there(pair.one.alice).patch(path)).status == 204
    assert await program.command(unit) == {
        "COMMAND": "Update",
        "PU_COMMIT_VERSION": commit,
        "COMPILED_FIRMWARE_LINK": link("v2", "pi"),
    }
    program.push("v3")
    assert (await pair.there(pair.one.alice).patch(path)).status == 204
    await program.told(unit.api.uuid, "'v3' is not known")
    program.release("v3", "pi")  # nothing moves in git any more
    await program.pass_time(2)
    assert (await pair.there(pair.one.alice).patch(path)).status == 204
    assert (await program.command(unit))["COMPILED_FIRMWARE_LINK"] == link("v3", "pi")
    await program.pass_time()
    asked = len(program.platform.questions)
    for poll, asks in (
        (RepositoryPoll(pair.second.registry, 3600, duty=Duty(pair.second.registry.context, "second")), False),
        (RepositoryPoll(pair.one.gateway.registry, 3600), True),
    ):
        await poll.run()
        await poll.settle()
        assert (len(program.platform.questions) > asked) is asks
