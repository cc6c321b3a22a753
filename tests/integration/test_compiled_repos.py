"""Compiled programs: from a tag and its release to a unit that is told where its program lies."""

import io
import itertools
import tarfile

import pytest
import pytest_asyncio

from tests.support.compiled_program import CompiledProgram, link
from tests.support.field_unit import eventually
from tests.support.gateway import GatewayUnderTest
from tests.support.git_platforms import Trouble
from tests.support.polling import until

BOTH_DATABASES = True

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory):
    async with GatewayUnderTest(
        tmp_path_factory.mktemp("data"), repo_poll_interval=1.0, update_spread=0.0, max_external_repo_size=5
    ) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(gateway):
    return await gateway.user("alice")


both_platforms = pytest.mark.parametrize("program", ["Github", "Gitlab"], indirect=True)


@pytest.fixture
def program(request, gateway, alice, tmp_path):
    kind = getattr(request, "param", "Github")
    made = CompiledProgram(gateway, alice, tmp_path, kind, f"blink{next(NUMBERS)}")
    yield made
    made.server.stop()


async def wrong(program, body, *names):
    """Ask for a unit that cannot be; the answer is 422 with code 5 and names what there is."""
    wanted = {
        "repo_uuid": program.repo["uuid"],
        "visibility_level": "Public",
        "name": "never",
        "is_auto_update_from_repo_unit": True,
    }
    reply = await program.owner.post("/units", {**wanted, **body})
    assert reply.status == 422, reply.body
    assert reply.detail.startswith("422: 5: "), reply.detail
    assert all(name in reply.detail for name in names), reply.detail
    return reply.detail


@both_platforms
async def test_w33_a_tag_and_its_release_reach_a_unit_however_many_releases_there_are(program):
    """W33: only the first thirty of GitHub's were read, and a tag without a release was an exception."""
    program.release("v1", "pi", "esp32")
    for number in range(45 if program.kind == "Github" else 130):
        program.release(f"nightly-{number}", "pi")
    await program.make_repo()
    unit = await program.connected("unit", "pi")
    assert unit.env["PU_COMMIT_VERSION"] == program.tree.head()
    commit = program.push("v2")
    await program.told(unit.api.uuid, "'v2' is not known")
    assert await unit.hears_nothing()
    program.release("v2", "esp32", "pi")
    await program.pass_time()
    assert await program.command(unit) == {
        "COMMAND": "Update",
        "PU_COMMIT_VERSION": commit,
        "COMPILED_FIRMWARE_LINK": link("v2", "pi"),
    }
    shown = await program.shown(unit.api.uuid)
    assert (shown["firmware_update_status"], shown["firmware_update_error"]) == ("RequestSent", None)
    assert await unit.hears_nothing()
    names = {entry["name"] for entry in await platforms(program)}
    assert {"pi", "esp32"} <= names


async def platforms(program, **params):
    reply = await program.owner.get(f"/repos/available_platforms/{program.repo['uuid']}", params)
    assert reply.status == 200, reply.body
    return reply.body


async def test_w33_a_unit_without_a_program_is_refused_with_the_names_that_there_are(program):
    """W33: it was an exception and a 500."""
    program.release("v1", "pi", "esp32")
    await program.make_repo()
    await wrong(program, {"target_firmware_platform": "toaster"}, "'toaster'", "pi", "esp32")
    await wrong(program, {}, "target_firmware_platform", "pi", "esp32")
    await wrong(program, {"target_firmware_platform": "PI"}, "'PI'", "pi", "esp32")
    assert (await program.owner.get("/units", {"repo_uuid": program.repo["uuid"]})).body["count"] == 0
    body = {"repo_uuid": program.repo["uuid"], "visibility_level": "Public", "is_auto_update_from_repo_unit": True}
    units = [
        {**body, "name": f"{program.name}-a", "target_firmware_platform": "pi"},
        {**body, "name": f"{program.name}-b", "target_firmware_platform": "toaster"},
    ]
    headers = {"Idempotency-Key": f"w33-{program.name}"}
    reply = await program.owner.call("POST", "/units/batch", json={"units": units}, headers=headers)
    assert (reply.status, "units[1]: Release 'v1' has no program called 'toaster'" in reply.detail) == (422, True)
    assert (await program.owner.get("/units", {"repo_uuid": program.repo["uuid"]})).body["count"] == 0


async def test_w33_a_tag_without_a_release_is_refused_wherever_it_is_asked_for(program):
    program.release("v1", "pi")
    await program.make_repo()
    unit = await program.unit("unit", "pi")
    itself = await program.gateway.unit(program.owner, unit)
    program.push("v2")
    await program.told(unit, "'v2' is not known")
    await wrong(program, {"target_firmware_platform": "pi"}, "'v2'")
    for reply in (
        await program.owner.patch(f"/units/{unit}", {"target_firmware_platform": "esp32"}),
        await itself.get(f"/units/env/{unit}"),
        await itself.get(f"/units/get_current_schema/{unit}"),
        await itself.get(f"/units/firmware/tar/{unit}"),
        await program.owner.post(f"/units/send_command_to_input_base_topic/{unit}", None, params={"command": "Update"}),
    ):
        assert (reply.status, reply.detail.startswith("422: 5: ")) == (422, True), reply.body
    assert await platforms(program) == []
    assert (await program.owner.patch(f"/units/{unit}", {"name": f"{program.name}-renamed"})).status == 200


async def test_each_unit_gets_its_own_link_and_one_without_a_program_harms_no_other(program):
    program.release("v1", "pi", "esp32", "toaster")
    await program.make_repo()
    pi, board, toaster = [await program.connected(name, name) for name in ("pi", "esp32", "toaster")]
    await program.pass_time(2)
    program.release("v2", "pi", "esp32")
    program.push("v2")
    assert (await program.command(pi))["COMPILED_FIRMWARE_LINK"] == link("v2", "pi")
    assert (await program.command(board))["COMPILED_FIRMWARE_LINK"] == link("v2", "esp32")
    await program.told(toaster.api.uuid, "has no program called 'toaster'; set target_firmware_platform to one of: ")
    assert "pi, esp32" in (await program.shown(toaster.api.uuid))["firmware_update_error"]
    assert await toaster.hears_nothing()
    program.project.files("v2")["toaster"] = link("v2", "toaster")
    await program.sync()
    assert (await program.command(toaster))["COMPILED_FIRMWARE_LINK"] == link("v2", "toaster")
    assert await pi.hears_nothing(), "a unit that was commanded already was commanded again"


async def test_a_unit_with_another_platform_is_told_where_that_program_lies(program):
    program.release("v1", "pi", "esp32")
    await program.make_repo()
    unit = await program.connected("unit", "pi")
    reply = await program.owner.patch(f"/units/{unit.api.uuid}", {"target_firmware_platform": "esp32"})
    assert (reply.status, reply.body["target_firmware_platform"]) == (200, "esp32")
    assert (await program.command(unit))["COMPILED_FIRMWARE_LINK"] == link("v1", "esp32")
    for platform in ("toaster", None):
        reply = await program.owner.patch(f"/units/{unit.api.uuid}", {"target_firmware_platform": platform})
        assert (reply.status, "pi, esp32" in reply.detail) == (422, True)
    assert (await program.shown(unit.api.uuid))["target_firmware_platform"] == "esp32"


async def test_explicit_updates_tell_the_link_too(program):
    program.release("v1", "pi")
    await program.make_repo()
    unit = await program.connected("unit", "pi")
    path = f"/units/send_command_to_input_base_topic/{unit.api.uuid}"
    assert (await program.owner.post(path, None, params={"command": "Update"})).status == 204
    assert (await program.command(unit))["COMPILED_FIRMWARE_LINK"] == link("v1", "pi")
    await unit.report("0" * 40)

    async def reported():
        return (await program.shown(unit.api.uuid))["current_commit_version"]

    await eventually(reported, "0" * 40)
    assert (await program.owner.patch(f"/repos/update_units_firmware/{program.repo['uuid']}")).status == 204
    assert (await program.command(unit))["COMPILED_FIRMWARE_LINK"] == link("v1", "pi")


async def test_an_archive_of_a_compiled_repo_has_the_two_files_of_the_unit_only(program):
    program.release("v1", "pi")
    await program.make_repo()
    unit = await program.unit("unit", "pi")
    reply = await program.owner.get(f"/units/firmware/tar/{unit}")
    assert reply.status == 200, reply.body
    with tarfile.open(fileobj=io.BytesIO(reply.body)) as archive:
        names = [member.name.removeprefix("./") for member in archive.getmembers() if member.isfile()]
    assert sorted(names) == ["env.json", "schema.json"]


async def test_a_unit_that_has_its_version_is_served_although_the_release_is_gone(program):
    program.release("v1", "pi")
    await program.make_repo()
    unit = await program.unit("unit", "pi")
    program.project.releases.clear()
    await program.sync()
    assert await program.synced() == ("Updated", "", [])
    itself = await program.gateway.unit(program.owner, unit)
    for path in ("env", "get_current_schema", "firmware/tar", "firmware/zip"):
        assert (await itself.get(f"/units/{path}/{unit}")).status == 200, path


async def test_a_compilable_repo_that_follows_its_branch_is_refused(program):
    program.release("v1", "pi")
    await program.make_repo()
    reply = await program.owner.patch(f"/repos/{program.repo['uuid']}", {"is_only_tag_update": False})
    assert (reply.status, reply.detail[:8]) == (422, "422: 6: ")


@both_platforms
async def test_w32_a_platform_that_fails_stops_no_fetch_takes_nothing_away_and_is_told(program):
    """W32: errors of the network were not caught, and the status hung at Processing."""
    program.release("v1", "pi")
    program.platform.trouble = Trouble(reset=True)
    await program.make_repo()
    status, error, tags = await program.synced()
    assert (status, error.startswith("Releases: "), "the connection failed" in error, tags) == (
        "Updated", True, True, [],
    )  # fmt: skip
    program.platform.trouble = Trouble()
    await program.pass_time()  # it recovers by itself

    async def known():
        return await program.synced()

    await eventually(known, ("Updated", "", ["v1"]))
    unit = await program.unit("unit", "pi")
    for trouble in (Trouble(status=500), Trouble(status=200, body=b"<html>"), Trouble(status=404)):
        program.platform.trouble = trouble
        await program.sync()
        status, error, tags = await program.synced()
        assert (status, bool(error), tags) == ("Updated", True, ["v1"])
    asked = len(program.platform.questions)
    await program.pass_time(2)
    commit = program.push("v2")

    async def fetched():
        path = f"/repository_registry/branch_commits/{program.registry['uuid']}"
        return (await program.owner.get(path, {"repo_branch": "main", "limit": 1})).body[0]["commit"]

    await eventually(fetched, commit)
    await program.told(unit, "'v2' is not known")
    await until(known, lambda now: now[1].startswith("Releases: "))
    assert len(program.platform.questions) > asked
    program.platform.trouble = Trouble()
    program.release("v2", "pi")
    await program.sync()
    assert await program.synced() == ("Updated", "", ["v2", "v1"])


@both_platforms
async def test_w32_a_platform_that_wants_no_questions_gets_none_and_what_was_known_stays(program):
    program.release("v1", "pi")
    await program.make_repo()
    program.platform.left = 0
    program.platform.reset_at = int(program.gateway.registry.context.clock().timestamp()) + 3600
    await program.sync()
    asked = len(program.platform.questions)
    await program.sync()
    status, error, tags = await program.synced()
    assert (status, "no more questions until" in error, tags) == ("Updated", True, ["v1"])
    assert len(program.platform.questions) == asked
    assert await program.unit("unit", "pi")


@both_platforms
async def test_w32_what_is_too_large_by_its_platforms_account_is_not_even_fetched(program, capfd):
    """W32: the error text failed itself, and the status hung at Processing."""
    program.project.size, program.project.token = 6 * 2**20, "good-token"
    body = {
        "platform": program.kind,
        "repository_url": program.project.url,
        "is_public_repository": False,
        "credentials": {"username": "me", "pat_token": "good-token"},
    }
    program.registry = await program.owner.made("/repository_registry", body)
    status, error, _ = await program.synced()
    assert (status, "6.0 MiB" in error, "PU_MAX_EXTERNAL_REPO_SIZE" in error) == ("Error", True, True)
    assert program.server.requests == [], "git was asked"
    assert "good-token" not in error
    program.project.size = 2**20
    path = f"/repository_registry/set_credentials/{program.registry['uuid']}"
    assert (await program.owner.patch(path, body["credentials"])).status == 204
    assert (await program.synced())[:2] == ("Updated", "")
    program.project.size = 6 * 2**20  # once it is here it is only counted
    await program.sync()
    assert (await program.synced())[:2] == ("Updated", "")
    logged = "".join(capfd.readouterr())
    assert "repository.sync.failed" in logged
    assert "good-token" not in logged
