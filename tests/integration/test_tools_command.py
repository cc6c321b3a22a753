"""`pepeunit login | repo | unit | node` as a person runs them, against a real gateway and a real git server."""

import asyncio
import json
import os
import re
import stat

import pytest
import pytest_asyncio

from tests.support.command import PROGRAM, Command, Done
from tests.support.gateway import PASSWORD
from tests.support.mqtt import CONNACK, PUBLISH, SUBACK, RawClient, connect_packet, publish_packet, subscribe_packet
from tests.support.rest_world import world
from tests.support.sample_program import SCHEMA_EXAMPLE, make_unit, nodes_of, sample_tree

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
    command = Command(here.folder / "alice", PATH=os.defpath)  # where no pepeunit lies
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
    assert re.fullmatch(r"pepeunit login: [a-z].+\n", done.err), done.err
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
    assert re.fullmatch(r"pepeunit unit: [^:]+; log in again: pepeunit login URL --login NAME\n", done.err), done.err
    script = await command("unit", "list", "--json")
    assert script.err.startswith("pepeunit unit: 401: 1: No Access: ")


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
        f"start it: cd 'my boiler' && {PROGRAM} device run main.py\n",
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
    assert done.out.endswith(f"start it: cd shed-unit && {PROGRAM} device run main.py\n")
    assert (alice.folder / "shed-unit" / "main.py").read_text() == "print('hello')\n"


async def test_units_are_listed_for_people_and_for_scripts(here, alice):
    unit = await make_unit(here.alice, here.repo["uuid"], "listed-unit")
    table = await alice("unit", "list")
    assert table.out.startswith("NAME ")
    assert re.search(rf"^listed-unit +- +- +never +{unit['uuid']}$", table.out, re.MULTILINE)
    rows = json.loads((await alice("unit", "list", "--json")).out)
    assert unit in rows
    repos = json.loads((await alice("repo", "list", "--json")).out)
    assert here.repo["uuid"] in [repo["uuid"] for repo in repos]


async def test_an_input_is_set_and_seen_with_its_value(here, alice):
    unit = await make_unit(here.alice, here.repo["uuid"], "fan-unit")
    nodes = await nodes_of(here.alice, unit["uuid"])
    done = await alice("node", "set", "fan-unit", "set_fan/pepeunit", "-5.5")
    assert done == Done(0, "fan-unit:set_fan/pepeunit is set\n", "")
    assert await alice("node", "set", "fan-unit:raw_in", "low speed") == Done(0, "fan-unit:raw_in is set\n", "")
    listed = await alice("node", "list", "fan-unit")
    names = ("raw_in", "set_fan/pepeunit", "raw_out", "temperature/pepeunit")
    kinds, values = ("Input ", "Input ", "Output", "Output"), ("low speed", "-5.5", "-", "-")
    assert listed.out.splitlines() == [
        f"TYPE    NAME{' ' * 18}UUID{' ' * 34}VALUE",
        *(
            f"{kind}  {name:20}  {nodes[name]['uuid']}  {value}"
            for kind, name, value in zip(kinds, names, values, strict=True)
        ),
    ]
    rows = json.loads((await alice("node", "list", "fan-unit", "--json")).out)
    assert [(row["topic_name"], row["state"]) for row in rows][:2] == [
        ("raw_in", "low speed"),
        ("set_fan/pepeunit", "-5.5"),
    ]
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
    assert again.err == "pepeunit node: these two nodes are linked already\n"
    giver, taker = await alice("node", "links", "giver-unit"), await alice("node", "links", "taker-unit")
    assert giver.out == taker.out
    assert giver.out.splitlines()[1:] == ["giver-unit:temperature/pepeunit  taker-unit:set_fan/pepeunit"]
    assert len(json.loads((await alice("node", "links", "giver-unit", "--json")).out)) == 1


async def test_a_link_is_taken_away(here, alice):
    for name in ("loose-giver", "loose-taker"):
        await make_unit(here.alice, here.repo["uuid"], name)
    ends = ("loose-giver:temperature/pepeunit", "loose-taker:set_fan/pepeunit")
    missing = await alice("node", "unlink", *ends)
    expected = f"{ends[0]} does not feed {ends[1]}; see: pepeunit node links loose-giver"
    assert missing == Done(1, "", f"pepeunit node: {expected}\n")
    await alice("node", "link", *ends)
    assert await alice("node", "unlink", *ends) == Done(0, f"{ends[0]} no longer feeds {ends[1]}\n", "")
    assert (await alice("node", "links", "loose-taker")).out == "there are none yet\n"


async def test_a_link_to_what_one_may_not_see_is_listed_without_its_name(here, alice):
    mine = await make_unit(here.alice, here.repo["uuid"], "open-unit")
    theirs = await make_unit(here.bob, here.repo["uuid"], "hidden-unit")
    ends = {
        "node_output_uuid": (await nodes_of(here.alice, mine["uuid"]))["temperature/pepeunit"]["uuid"],
        "node_input_uuid": (await nodes_of(here.bob, theirs["uuid"]))["set_fan/pepeunit"]["uuid"],
    }
    await here.bob.made("/unit_nodes/create_unit_node_edge", ends)
    assert (await here.bob.patch(f"/units/{theirs['uuid']}", {"visibility_level": "Private"})).status == 200
    listed = await alice("node", "links", "open-unit")
    assert listed.out.splitlines()[1:] == ["open-unit:temperature/pepeunit  (a node that you may not see)"]


async def test_settings_are_read_and_typed_and_the_unit_is_told(here, alice):
    unit = await make_unit(here.alice, here.repo["uuid"], "env-unit")
    before = await alice("unit", "env", "env-unit")
    assert before.out.splitlines()[:2] == ['PLACE  "hall"'.replace("  ", " " * 19), "SPEED" + " " * 19 + "3"]
    whole = json.loads((await alice("unit", "env", "env-unit", "--json")).out)
    assert whole == (await here.alice.get(f"/units/env/{unit['uuid']}")).body
    assert whole["PU_AUTH_TOKEN"] not in before.out
    topic = f"{here.gateway.settings.domain}/input_base_topic/{unit['uuid']}/env_update/pepeunit"
    device = await _connect(here, unit["uuid"])
    try:
        await device.send(subscribe_packet(topic))
        await device.expect(SUBACK)
        done = await alice("unit", "env", "env-unit", "SPEED=5", "PLACE=living room")
        assert done.code == 0, done
        assert done.out.startswith("stored for env-unit: SPEED, PLACE; the gateway sends EnvUpdate.")
        assert (await device.expect(PUBLISH)).message()[0] == topic
    finally:
        await device.close()
    env = (await here.alice.get(f"/units/env/{unit['uuid']}")).body
    assert (env["SPEED"], env["PLACE"]) == (5, "living room")
    unknown = await alice("unit", "env", "env-unit", "SPED=5")
    assert (unknown.code, unknown.out) == (1, "")
    assert "the unit has no setting SPED; it has: SPEED, PLACE" in unknown.err
    assert (await alice("unit", "env", "env-unit", "SPEED")).code == 2


async def test_a_program_that_hears_of_no_settings_is_named_as_such(here, alice):
    tree = sample_tree(here.git, here.folder / "work", "deaf")
    schema = {**SCHEMA_EXAMPLE, "input_base_topic": ["update/pepeunit"]}
    tree.write("schema_example.json", json.dumps(schema))
    tree.commit("deaf")
    tree.push()
    await alice("repo", "add", here.git.url("deaf"), "--name", "deaf-repo", "--branch", "main")
    await alice("unit", "create", "deaf-unit", "--repo", "deaf-repo")
    done = await alice("unit", "env", "deaf-unit", "SPEED=5")
    assert "does not list env_update/pepeunit, so it gets them with its next update or download" in done.out


async def test_a_unit_is_shown_in_words_and_for_scripts(here, alice):
    unit = await make_unit(here.alice, here.repo["uuid"], "shown-unit")
    lines = (await alice("unit", "show", "shown-unit")).out.splitlines()
    assert "repo              sample-repo" in lines
    assert "version           it has not reported one yet" in lines
    assert json.loads((await alice("unit", "show", "shown-unit", "--json")).out) == unit


async def test_a_unit_is_removed_only_when_that_is_meant(here, alice):
    unit = await make_unit(here.alice, here.repo["uuid"], "gone-unit")
    asked = await alice("unit", "remove", "gone-unit")
    assert (asked.code, asked.out) == (2, "")
    done = await alice("unit", "remove", "gone-unit", "--yes")
    assert done == Done(0, "unit gone-unit is removed; its program stays where it was downloaded to\n", "")
    assert (await here.alice.get(f"/units/{unit['uuid']}")).status == 404


async def test_an_address_that_leads_elsewhere_is_told_with_its_form(here, tmp_path):
    for path in ("/pepeunit/elsewhere", "/other/docs"):
        arguments = ("login", here.gateway.origin + path, "--login", "alice", "--password-stdin")
        done = await Command(tmp_path)(*arguments, typed=PASSWORD + "\n")
        assert (done.code, done.out) == (1, "")
        assert "give only http://HOST:PORT" in done.err
    arguments = ("login", here.gateway.origin + "/pepeunit/docs", "--login", "alice", "--password-stdin")
    assert (await Command(tmp_path)(*arguments, typed=PASSWORD + "\n")).code == 0


@pytest.mark.parametrize("command", ["Update", "EnvUpdate", "SchemaUpdate", "LogSync"])
async def test_a_command_reaches_the_unit(here, alice, command):
    uuid = (await make_unit(here.alice, here.repo["uuid"], f"told-{command}"))["uuid"]
    topic = f"{here.gateway.settings.domain}/input_base_topic/{uuid}/{_WIRE[command]}/pepeunit"
    device = await _connect(here, uuid)
    try:
        await device.send(subscribe_packet(topic))
        await device.expect(SUBACK)
        done = await alice("unit", "command", f"told-{command}", command.lower())
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
    expected = "pepeunit unit: only the creator and the unit itself may do this\n"
    assert stolen == Done(1, "", expected)
    assert not (alice.folder / "bobs-unit").exists()
