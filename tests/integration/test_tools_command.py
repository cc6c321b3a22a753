"""`pepeunit login | repo | unit | node` as a person runs them, against a real gateway and a real git server."""

import asyncio
import json
import re
import stat

import pytest
import pytest_asyncio

from tests.support.command import Command, Done
from tests.support.gateway import PASSWORD
from tests.support.git_server import GitServer
from tests.support.mqtt import CONNACK, PUBLISH, SUBACK, RawClient, connect_packet, publish_packet, subscribe_packet
from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of, sample_tree

pytestmark = pytest.mark.asyncio(loop_scope="module")

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


_WIRE = {"Update": "update", "EnvUpdate": "env_update", "SchemaUpdate": "schema_update", "LogSync": "log_sync"}


async def _connect(here, uuid):
    device = await RawClient.open(here.gateway.settings.mqtt_port)
    await device.send(connect_packet(uuid, (await here.gateway.unit(here.alice, uuid)).token))
    await device.expect(CONNACK)
    return device


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alice(here):
    """Alice's terminal; she is logged in."""
    command = Command(here.folder / "alice")
    done = await command("login", here.gateway.origin, "--login", "alice", "--password-stdin", typed=PASSWORD + "\n")
    assert done == Done(0, f"logged in to {here.gateway.origin}/pepeunit/api/v1 as alice\n", "")
    return command


async def test_the_login_is_kept_for_its_owner_alone_and_never_shown(here, tmp_path):
    command = Command(tmp_path)
    arguments = ("login", f"{here.gateway.origin}/pepeunit/api/v1", "--login", "bobby", "--password-stdin")
    done = await command(*arguments, typed=PASSWORD + "\n")
    kept = json.loads(command.login_file.read_text())
    assert done.code == 0
    assert kept["token"] not in done.out + done.err
    assert PASSWORD not in command.login_file.read_text()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (command.login_file, command.login_file.parent)]
    assert modes == [0o600, 0o700]
    assert (await here.nobody.with_token(kept["token"]).get("/users")).status == 200
    assert await command("login", "--logout") == Done(0, "logged out\n", "")
    refused = "pepeunit unit: you are not logged in; first run: pepeunit login URL --login NAME\n"
    assert await command("unit", "list") == Done(1, "", refused)


async def test_a_wrong_password_is_told_and_keeps_nothing(here, tmp_path):
    command = Command(tmp_path)
    done = await command("login", here.gateway.origin, "--login", "bobby", "--password-stdin", typed="wrong-one\n")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(r"pepeunit login: 401: 1: No Access: .+\n", done.err)
    assert "log in again" not in done.err
    assert not command.login_file.exists()


async def test_without_a_terminal_the_password_is_never_read_by_accident(here, tmp_path):
    done = await Command(tmp_path)("login", here.gateway.origin, "--login", "bobby", typed=PASSWORD + "\n")
    assert (done.code, done.out) == (2, "")
    assert "--password-stdin" in done.err


async def test_a_token_that_counts_no_more_says_to_log_in_again(here, tmp_path):
    command = Command(tmp_path)
    await here.gateway.user("caroline")
    await command("login", here.gateway.origin, "--login", "caroline", "--password-stdin", typed=PASSWORD + "\n")
    kept = json.loads(command.login_file.read_text())
    caroline = here.nobody.with_token(kept["token"])
    changed = await caroline.patch(f"/users/{here.alice.uuid}", {"password": "another-horse-9"})
    assert (changed.status, changed.body["login"]) == (200, "caroline")
    done = await command("unit", "list")
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(
        r"pepeunit unit: 401: 1: No Access: .+; log in again: pepeunit login URL --login NAME\n", done.err
    )


async def test_from_a_repository_to_a_unit_that_is_ready_to_start(here, alice):
    sample_tree(here.git, here.folder / "work", "heating")
    url = here.git.url("heating")
    added = await alice("repo", "add", url, "--name", "heating", "--branch", "main")
    assert re.fullmatch(rf"repo heating \({UUID}\) follows main of {re.escape(url)}\n", added.out), added
    created = await alice("unit", "create", "boiler", "--repo", "heating")
    assert re.fullmatch(rf"unit boiler \({UUID}\) follows heating\n", created.out), created
    unit = re.search(UUID, created.out)[0]
    repo = (await here.alice.get(f"/repos/{re.search(UUID, added.out)[0]}")).body
    assert (repo["is_only_tag_update"], repo["is_auto_update_repo"]) == (False, True)
    assert repo["visibility_level"] == (await here.alice.get(f"/units/{unit}")).body["visibility_level"] == "Private"

    listed = await alice("repo", "list")
    assert re.search(rf"^heating +{UUID}  main    commits  {re.escape(url)}$", listed.out, re.MULTILINE), listed.out

    done = await alice("unit", "download", "boiler", "my boiler")
    folder = alice.folder / "my boiler"
    assert done == Done(
        0,
        "unit boiler lies in my boiler; env.json holds its token, keep it to yourself\n"
        "start it: cd 'my boiler' && pepeunit device run main.py\n",
        "",
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "env.json",
        "env_example.json",
        "main.py",
        "schema.json",
        "schema_example.json",
    ]
    assert stat.S_IMODE((folder / "env.json").stat().st_mode) == 0o600
    env = json.loads((folder / "env.json").read_text())
    assert (await here.nobody.with_token(env["PU_AUTH_TOKEN"]).get(f"/units/env/{unit}")).body == env

    again = await alice("unit", "download", "boiler", "my boiler")
    assert again == Done(1, "", "pepeunit unit: my boiler is not empty; name another folder or empty it\n")
    below = await alice("unit", "download", "boiler", "my boiler/main.py/below")
    assert below == Done(1, "", "pepeunit unit: my boiler/main.py/below: Not a directory\n")


async def test_a_download_goes_to_a_folder_of_the_units_name(here, alice):
    await make_unit(here.alice, here.repo["uuid"], "shed-unit")
    done = await alice("unit", "download", "shed-unit")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("start it: cd shed-unit && pepeunit device run main.py\n")
    assert (alice.folder / "shed-unit" / "main.py").read_text() == "print('hello')\n"


async def test_a_registered_repository_is_used_again(here, alice):
    url = here.registry["repository_url"]
    done = await alice(
        "repo", "add", url, "--name", "second-repo", "--branch", "main", "--tags-only", "--visibility", "Public"
    )
    assert done.code == 0, done
    found = (await here.nobody.get("/repos", {"search_string": "second-repo"})).body["repos"][0]
    assert (found["repository_registry_uuid"], found["is_only_tag_update"]) == (here.registry["uuid"], True)
    taken = await alice("repo", "add", url, "--name", "second-repo", "--branch", "main")
    assert (taken.code, taken.out) == (1, "")
    assert re.fullmatch(r"pepeunit repo: 409: 6: Repo Validation Error: .+\n", taken.err)
    missing = await alice("repo", "add", url, "--name", "third-repo", "--branch", "nowhere")
    assert (missing.code, missing.out) == (1, "")
    assert "it has: main" in missing.err


async def test_a_repository_that_cannot_be_fetched_says_why_and_works_once_it_can(alice, tmp_path):
    with GitServer(tmp_path / "git") as server:
        url = server.url("later")
        arguments = ("repo", "add", url, "--name", "later-repo", "--branch", "main")
        for _ in range(2):  # registered by the first, reused by the second
            failed = await alice(*arguments)
            assert (failed.code, failed.out) == (1, "")
            assert failed.err.startswith(f"pepeunit repo: the gateway cannot fetch {url}: ")
            assert failed.err.endswith("; mend that and run the command again\n")
            assert failed.err.count("\n") == 1
        sample_tree(server, tmp_path / "work", "later")
        done = await alice(*arguments)
        assert done.code == 0, done


async def test_a_private_repository_takes_its_credentials_from_stdin(alice, tmp_path):
    with GitServer(tmp_path / "git", credentials=("alice", "token-of-alice")) as server:
        sample_tree(server, tmp_path / "work", "secret")
        arguments = ("repo", "add", server.url("secret"), "--name", "secret-repo", "--branch", "main", "--private")
        wrong = await alice(*arguments, typed="alice\nwrong-token\n")
        assert (wrong.code, wrong.out) == (1, "")
        assert "wrong-token" not in wrong.err
        done = await alice(*arguments, typed="alice\ntoken-of-alice\n")
        assert done.code == 0, done
        assert "token-of-alice" not in done.out + done.err


async def test_units_are_listed_for_people_and_for_scripts(here, alice):
    unit = await make_unit(here.alice, here.repo["uuid"], "listed-unit")
    table = await alice("unit", "list")
    assert table.out.startswith("NAME ")
    assert re.search(
        rf"^listed-unit +- +- +\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\dZ  {unit['uuid']}$", table.out, re.MULTILINE
    )
    rows = json.loads((await alice("unit", "list", "--json")).out)
    assert unit in rows
    repos = json.loads((await alice("repo", "list", "--json")).out)
    assert here.repo["uuid"] in [repo["uuid"] for repo in repos]


async def test_an_input_is_set_and_seen_with_its_value(here, alice):
    unit = await make_unit(here.alice, here.repo["uuid"], "fan-unit")
    nodes = await nodes_of(here.alice, unit["uuid"])
    done = await alice("node", "set", "fan-unit", "set_fan/pepeunit", "-5.5")
    assert done == Done(0, "fan-unit:set_fan/pepeunit is set\n", "")
    listed = await alice("node", "list", "fan-unit")
    names = ("raw_in", "set_fan/pepeunit", "raw_out", "temperature/pepeunit")
    kinds, values = ("Input ", "Input ", "Output", "Output"), ("-", "-5.5", "-", "-")
    assert listed.out.splitlines() == [
        f"TYPE    NAME{' ' * 18}UUID{' ' * 34}VALUE",
        *(
            f"{kind}  {name:20}  {nodes[name]['uuid']}  {value}"
            for kind, name, value in zip(kinds, names, values, strict=True)
        ),
    ]
    rows = json.loads((await alice("node", "list", "fan-unit", "--json")).out)
    assert [(row["topic_name"], row["state"]) for row in rows][:2] == [("raw_in", None), ("set_fan/pepeunit", "-5.5")]
    output = await alice("node", "set", "fan-unit", "raw_out", "1")
    expected = "pepeunit node: unit fan-unit has no Input raw_out; its Inputs: raw_in, set_fan/pepeunit\n"
    assert output == Done(1, "", expected)


async def test_an_output_is_linked_to_an_input(here, alice):
    for name in ("giver-unit", "taker-unit"):
        await make_unit(here.alice, here.repo["uuid"], name)
    arguments = ("node", "link", "giver-unit:temperature/pepeunit", "taker-unit:set_fan/pepeunit")
    expected = "giver-unit:temperature/pepeunit feeds taker-unit:set_fan/pepeunit\n"
    assert await alice(*arguments) == Done(0, expected, "")
    again = await alice(*arguments)
    assert (again.code, again.out) == (1, "")
    assert re.fullmatch(r"pepeunit node: 409: 8: UnitNode Validation Error: .+\n", again.err)


@pytest.mark.parametrize("command", ["Update", "EnvUpdate", "SchemaUpdate", "LogSync"])
async def test_a_command_reaches_the_unit(here, alice, command):
    uuid = (await make_unit(here.alice, here.repo["uuid"], f"told-{command}"))["uuid"]
    topic = f"{here.gateway.settings.domain}/input_base_topic/{uuid}/{_WIRE[command]}/pepeunit"
    device = await _connect(here, uuid)
    try:
        await device.send(subscribe_packet(topic))
        await device.expect(SUBACK)
        done = await alice("unit", "command", f"told-{command}", command)
        assert done == Done(0, f"the gateway sends {command} to told-{command}\n", "")
        assert (await device.expect(PUBLISH)).message()[0] == topic
    finally:
        await device.close()


async def test_what_a_unit_reports_is_listed_and_its_log_is_shown_the_newest_at_the_end(here, alice):
    uuid = (await make_unit(here.alice, here.repo["uuid"], "talking-unit"))["uuid"]
    assert await alice("unit", "logs", "talking-unit") == Done(0, "", "")
    commit = here.tree.head()
    lines = [{"level": "info", "text": "one"}, {"level": "Error", "text": "two\n\x1b[2J"}]
    base = f"{here.gateway.settings.domain}/output_base_topic/{uuid}"
    device = await _connect(here, uuid)
    try:
        state = json.dumps({"pu_commit_version": commit}).encode()
        await device.send(publish_packet(f"{base}/state/pepeunit", state, qos=1, mid=1))
        await device.send(publish_packet(f"{base}/log/pepeunit", json.dumps(lines).encode(), qos=1, mid=2))
        async with asyncio.timeout(20):  # until the ingest has stored both
            while not (shown := await alice("unit", "logs", "talking-unit")).out:
                pass
            while f"  {commit[:8]}  " not in (await alice("unit", "list")).out:
                pass
    finally:
        await device.close()
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
    assert re.fullmatch(rf"{time}  Info      one\n{time}  Error     two\\n\\x1b\[2J\n", shown.out), shown
    rows = json.loads((await alice("unit", "logs", "talking-unit", "--json")).out)
    assert [row["text"] for row in rows] == ["one", "two\n\x1b[2J"]


async def test_unknown_names_and_others_units_are_refused(here, alice):
    bob_repo = {"visibility_level": "Public", "name": "bobs-unit", "repo_uuid": here.repo["uuid"]}
    await here.bob.made("/units", {**bob_repo, "is_auto_update_from_repo_unit": True})
    unknown = await alice("unit", "download", "nobody-unit")
    assert unknown == Done(
        1, "", "pepeunit unit: there is no unit nobody-unit that you may see; see: pepeunit unit list\n"
    )
    norepo = await alice("unit", "create", "some-unit", "--repo", "no-such-repo")
    assert norepo == Done(
        1, "", "pepeunit unit: there is no repo no-such-repo that you may see; see: pepeunit repo list\n"
    )
    stolen = await alice("unit", "download", "bobs-unit")
    expected = "pepeunit unit: 403: 1: No Access: only the creator and the unit itself may do this\n"
    assert stolen == Done(1, "", expected)
    assert not (alice.folder / "bobs-unit").exists()
