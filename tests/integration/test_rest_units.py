"""Units, their files and their private data over HTTP, with a real git server."""

import base64
import hashlib
import io
import json
import tarfile
import zipfile
import zlib

import pytest
import pytest_asyncio

from tests.support.rest_world import MISSING, world
from tests.support.sample_program import ENV_EXAMPLE, SCHEMA_EXAMPLE, make_repo, make_unit, nodes_of, sample_tree

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

_OWN = (
    "/units/env/{}",
    "/units/get_target_version/{}",
    "/units/get_current_schema/{}",
    "/units/firmware/zip/{}",
    "/units/firmware/tar/{}",
    "/units/firmware/tgz/{}",
    "/units/get_state_storage/{}",
    "/units/log_list/?uuid={}",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unit(here):
    return await make_unit(here.alice, here.repo["uuid"], "shared-unit")


def _body(here, **more):
    return {
        "repo_uuid": here.repo["uuid"],
        "visibility_level": "Public",
        "name": "another-unit",
        "is_auto_update_from_repo_unit": True,
        **more,
    }


async def test_a_unit_is_made_with_its_nodes(here, unit):
    assert unit["unit_state"] is None
    assert unit["unit_nodes"] == []
    assert unit["creator_uuid"] == here.alice.uuid
    nodes = await nodes_of(here.alice, unit["uuid"])
    assert {name: node["type"] for name, node in nodes.items()} == {
        "set_fan/pepeunit": "Input",
        "raw_in": "Input",
        "temperature/pepeunit": "Output",
        "raw_out": "Output",
    }
    assert nodes["temperature/pepeunit"]["is_data_pipe_active"] is True
    assert nodes["raw_out"]["is_data_pipe_active"] is False


@pytest.mark.parametrize("name", ["abc", "x" * 21, "no space", "юнит-юнит"])
async def test_unit_names_outside_the_rule_are_refused(here, name):
    reply = await here.alice.post("/units", _body(here, name=name))
    assert reply.status == 422
    assert reply.detail.startswith("422: 7: Unit Validation Error: the name ")


async def test_a_unit_needs_a_known_repo_and_a_free_name(here, unit):
    assert (await here.alice.post("/units", _body(here, repo_uuid=MISSING))).status == 404
    assert (await here.alice.post("/units", _body(here, name=unit["name"]))).status == 409
    assert (await here.nobody.post("/units", _body(here))).status == 401
    pinned = await here.alice.post("/units", _body(here, is_auto_update_from_repo_unit=False))
    assert (pinned.status, "repo_branch and repo_commit" in pinned.detail) == (422, True)
    token = await here.gateway.unit(here.alice, unit["uuid"])
    assert (await token.post("/units", _body(here))).status == 403


async def test_nobody_makes_a_unit_of_a_repo_they_may_not_see(here, tmp_path):
    """W7."""
    sample_tree(here.git, tmp_path / "work", "hidden")
    _, repo = await make_repo(here.alice, here.git.url("hidden"), "hidden-repo", visibility_level="Private")
    body = _body(here, repo_uuid=repo["uuid"], visibility_level="Private", name="w7-unit")
    assert (await here.bob.post("/units", body)).status == 403
    assert (await here.alice.get("/units", {"search_string": "w7-unit"})).body["count"] == 0
    assert (await here.alice.post("/units", {**body, "visibility_level": "Public"})).status == 422
    assert (await here.alice.post("/units", body)).status == 201


async def test_only_the_creator_and_the_unit_itself_reach_what_is_private(here, unit):
    other = await make_unit(here.alice, here.repo["uuid"], "other-unit")
    own = await here.gateway.unit(here.alice, unit["uuid"])
    stranger = await here.gateway.unit(here.alice, other["uuid"])
    for template in _OWN:
        path = template.format(unit["uuid"])
        assert (await here.alice.get(path)).status == 200, path
        assert (await own.get(path)).status == 200, path
        for caller in (here.bob, here.admin, stranger):
            assert (await caller.get(path)).status == 403, path
        assert (await here.nobody.get(path)).status == 401, path
        assert (await here.alice.get(template.format(MISSING))).status == 404, path


async def test_env_is_the_example_the_generated_and_the_typed_values(here, unit):
    path = f"/units/env/{unit['uuid']}"
    env = (await here.alice.get(path)).body
    assert env["PU_COMMIT_VERSION"] == here.tree.head()
    assert {key: env[key] for key in ENV_EXAMPLE} == ENV_EXAMPLE
    assert env["PU_DOMAIN"] == here.gateway.settings.domain
    assert (await here.alice.get(path)).body == env, "W37: two reads agree"
    typed = {"env_json_string": json.dumps({"SPEED": 9, "UNKNOWN": 1, "PU_COMMIT_VERSION": "x"})}
    own = await here.gateway.unit(here.alice, unit["uuid"])
    assert (await own.patch(path, typed)).status == 403
    assert (await here.bob.patch(path, typed)).status == 403
    assert (await here.alice.patch(path, typed)).status == 204
    assert (await here.alice.get(path)).body == {**env, "SPEED": 9}
    assert (await here.alice.delete(path)).status == 204
    assert (await here.alice.get(path)).body["SPEED"] == 3


@pytest.mark.parametrize(("text", "code"), [("{", 9), ("[1]", 7), ("", 9), ('"text"', 7)])
async def test_env_that_is_no_object_is_refused(here, unit, text, code):
    reply = await here.alice.patch(f"/units/env/{unit['uuid']}", {"env_json_string": text})
    assert reply.status == 422
    assert reply.detail.startswith(f"422: {code}: ")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"SPEED": NaN}', 9),
        ('{"SPEED": -Infinity}', 9),
        ('{"SPEED": 1e999}', 9),
        ('{"PLACE": "\\ud800"}', 9),
        ('{"SPEED": ' + "[" * 100_000 + "]" * 100_000 + "}", 9),
        ('{"PU_SECRET_KEY": null}', 7),
        ('{"PU_MQTT_PORT": "1883"}', 7),
    ],
    ids=["nan", "infinity", "too large", "surrogate", "depth", "null key", "text port"],
)
async def test_env_that_no_device_could_read_back_is_refused_and_changes_nothing(here, unit, text, code):
    path = f"/units/env/{unit['uuid']}"
    before = (await here.alice.get(path)).body
    reply = await here.alice.patch(path, {"env_json_string": text})
    assert (reply.status, reply.detail.startswith(f"422: {code}: ")) == (422, True), reply.body
    assert (await here.alice.get(path)).body == before


async def test_schema_names_the_units_own_topics(here, unit):
    schema = (await here.alice.get(f"/units/get_current_schema/{unit['uuid']}")).body
    nodes = await nodes_of(here.alice, unit["uuid"])
    domain = here.gateway.settings.domain
    assert schema["output_topic"]["raw_out"] == [f"{domain}/{nodes['raw_out']['uuid']}"]
    assert schema["input_topic"]["set_fan/pepeunit"] == [f"{domain}/{nodes['set_fan/pepeunit']['uuid']}/pepeunit"]
    assert schema["output_base_topic"]["state/pepeunit"] == [
        f"{domain}/output_base_topic/{unit['uuid']}/state/pepeunit"
    ]


def _digest(body):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


async def test_archives_carry_type_length_and_digest_and_the_units_files(here, unit):
    expected = (await here.alice.get(f"/units/env/{unit['uuid']}")).body
    for kind, media in (("zip", "application/zip"), ("tar", "application/x-tar"), ("tgz", "application/x-tar")):
        path = f"/units/firmware/{kind}/{unit['uuid']}"
        reply = await here.alice.get(path)
        assert (reply.status, reply.headers["Content-Type"]) == (200, media)
        assert reply.headers["Content-Length"] == str(len(reply.body))
        assert reply.headers["Repr-Digest"] == _digest(reply.body)
        assert "Content-Disposition" not in reply.headers
        head = await here.alice.head(path)
        assert (head.status, head.body, head.headers["Repr-Digest"]) == (200, b"", reply.headers["Repr-Digest"])
        assert head.headers["Content-Length"] == reply.headers["Content-Length"]
        if kind == "zip":
            packed = zipfile.ZipFile(io.BytesIO(reply.body))
            files = {name.removeprefix("./"): packed.read(name) for name in packed.namelist()}
        else:
            plain = zlib.decompress(reply.body, wbits=9) if kind == "tgz" else reply.body
            with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
                members = [member for member in tar.getmembers() if member.isfile()]
                files = {member.name.removeprefix("./"): tar.extractfile(member).read() for member in members}
        assert json.loads(files["env.json"]) == expected
        assert files["main.py"] == b"print('hello')\n"
        assert not any(name.startswith(".git") for name in files)


async def test_the_stream_format_follows_wbits_and_level(here, unit):
    path = f"/units/firmware/tgz/{unit['uuid']}"
    plain = (await here.alice.get(f"/units/firmware/tar/{unit['uuid']}")).body
    for wbits, level in ((9, 9), (15, -1), (-15, 1), (31, 0)):
        reply = await here.alice.get(path, {"wbits": wbits, "level": level})
        assert zlib.decompress(reply.body, wbits=wbits) == plain
    for params in ({"wbits": 8}, {"wbits": 16}, {"level": 10}, {"level": -2}, {"wbits": 10**30}):
        reply = await here.alice.get(path, params)
        assert reply.status == 422, params
    assert (await here.alice.get(path, {"wbits": "many"})).detail[0]["loc"] == ["query", "wbits"]


async def test_storage_keeps_a_text_and_an_empty_one_clears(here, unit):
    own = await here.gateway.unit(here.alice, unit["uuid"])
    setting, getting = f"/units/set_state_storage/{unit['uuid']}", f"/units/get_state_storage/{unit['uuid']}"
    assert (await own.get(getting)).body == ""
    text = 'привет "\\ \u0000 \U0001f600'
    assert (await own.post(setting, {"state": text})).status == 204
    assert (await here.alice.get(getting)).body == text
    largest = "\U0001f600" * here.gateway.settings.max_cipher_length
    assert (await own.post(setting, {"state": largest})).status == 204
    assert (await own.get(getting)).body == largest
    too_long = await own.post(setting, {"state": "x" * (here.gateway.settings.max_cipher_length + 1)})
    assert (too_long.status, too_long.detail.startswith("422: 12: Cipher Error: ")) == (422, True)
    assert (await own.post(setting, {"state": ""})).status == 204
    assert (await own.get(getting)).body == ""
    assert (await here.bob.post(setting, {"state": "x"})).status == 403
    assert (await own.post(setting, {})).detail[0]["loc"] == ["body", "state"]


async def test_commands_are_queued_by_the_creator_and_the_unit_only(here, unit):
    path = f"/units/send_command_to_input_base_topic/{unit['uuid']}"
    own = await here.gateway.unit(here.alice, unit["uuid"])
    for command in ("Update", "EnvUpdate", "SchemaUpdate", "LogSync"):
        assert (await here.alice.call("POST", path, params={"command": command})).status == 204, command
    assert (await own.call("POST", path, params={"command": "EnvUpdate"})).status == 204
    assert (await here.bob.call("POST", path, params={"command": "EnvUpdate"})).status == 403
    assert (await here.alice.call("POST", path, params={"command": "Reset"})).status == 422
    assert (await here.alice.call("POST", path)).detail[0]["loc"] == ["query", "command"]


async def test_w9_both_spellings_of_the_log_list_answer(here, unit):
    for path in ("/units/log_list/", "/units/log_list"):
        params = [("uuid", unit["uuid"]), ("level", "Error"), ("level", "Info")]
        assert (await here.alice.get(path, params)).body == {"count": 0, "unit_logs": []}
    quoted = await here.alice.get("/units/log_list/", {"uuid": unit["uuid"], "level": "Error') OR 1=1 --"})
    assert quoted.status == 422, "W9: levels are no free text"


async def test_a_unit_patch_tells_absent_from_null(here):
    """W37."""
    commit = here.tree.head()
    made = await make_unit(
        here.alice,
        here.repo["uuid"],
        "w37-unit",
        is_auto_update_from_repo_unit=False,
        repo_branch="main",
        repo_commit=commit,
    )
    path = f"/units/{made['uuid']}"
    kept = await here.alice.patch(path, {"name": "w37-again"})
    assert (kept.body["name"], kept.body["repo_branch"], kept.body["repo_commit"]) == ("w37-again", "main", commit)
    assert (await here.alice.patch(path, {"repo_commit": None})).status == 422, "a pinned unit needs its commit"
    follow = {"is_auto_update_from_repo_unit": True, "repo_branch": None, "repo_commit": None}
    cleared = await here.alice.patch(path, follow)
    assert (cleared.status, cleared.body["repo_branch"], cleared.body["repo_commit"]) == (200, None, None)


async def test_a_commit_alone_does_not_pin_a_unit_that_follows_its_repo(here):
    made = await make_unit(here.alice, here.repo["uuid"], "pin-unit")
    path, commit = f"/units/{made['uuid']}", here.tree.head()
    for change in ({"repo_commit": commit}, {"is_auto_update_from_repo_unit": True, "repo_commit": "123"}):
        reply = await here.alice.patch(path, change)
        assert (reply.status, reply.detail[:7]) == (422, "422: 7:")
        assert "is_auto_update_from_repo_unit=false, repo_branch and repo_commit" in reply.detail
    assert (await here.alice.get(path)).body["repo_commit"] is None
    pin = {"is_auto_update_from_repo_unit": False, "repo_branch": "main", "repo_commit": commit}
    assert (await here.alice.patch(path, pin)).status == 200
    assert (await here.alice.patch(path, {**pin, "is_auto_update_from_repo_unit": True})).status == 200
    echoed = await here.alice.patch(path, {"repo_commit": commit, "name": "pin-again"})
    assert (echoed.status, echoed.body["name"], echoed.body["repo_commit"]) == (200, "pin-again", commit)


async def test_only_the_creator_changes_and_deletes_a_unit(here):
    made = await make_unit(here.alice, here.repo["uuid"], "owned-unit")
    path = f"/units/{made['uuid']}"
    own = await here.gateway.unit(here.alice, made["uuid"])
    assert (await here.admin.patch(path, {"name": "stolen-unit"})).status == 403
    for stranger, status in ((here.bob, 403), (own, 403), (here.nobody, 401)):
        assert (await stranger.patch(path, {"name": "stolen-unit"})).status == status
        assert (await stranger.delete(path)).status == status
    assert (await here.alice.delete(path)).status == 204
    assert (await here.alice.get(path)).status == 404
    assert (await own.get(path)).status == 401, "the token of a deleted unit is worth nothing"
    assert (await here.nobody.get("/unit_nodes", {"unit_uuid": made["uuid"]})).body["count"] == 0


async def test_a_unit_whose_example_becomes_unreadable_is_told_so_and_heals_with_the_next_push(here, tmp_path):
    tree = sample_tree(here.git, tmp_path / "work", "turning")
    registry, repo = await make_repo(here.alice, here.git.url("turning"), "turning-repo")
    unit = await make_unit(here.alice, repo["uuid"], "turning-unit")
    for content, status in ((r'{"A": "\ud800"}', 422), ('{"A": 1e999}', 422), ('{"A": "fine"}', 200)):
        tree.write("env_example.json", content)
        tree.commit(content)
        tree.push()
        reply = await here.alice.patch(f"/repository_registry/update_local_repository/{registry['uuid']}")
        assert reply.status == 204, reply.body
        for path in ("env", "firmware/tar", "get_current_schema"):
            reply = await here.alice.get(f"/units/{path}/{unit['uuid']}")
            assert reply.status == status, reply.body
            if status == 422:
                assert reply.detail.startswith("422: 9: JSON Decode Error: env_example.json: "), reply.detail
                assert '"A"' in reply.detail


async def test_units_are_listed_with_their_nodes_where_asked(here, unit):
    plain = await here.nobody.get("/units", {"uuids": unit["uuid"]})
    assert plain.body["units"][0]["unit_nodes"] == []
    params = {"uuids": unit["uuid"], "is_include_output_unit_nodes": "true", "unit_node_type": "Output"}
    reply = await here.nobody.get("/units", params)
    nodes = reply.body["units"][0]["unit_nodes"]
    assert {node["topic_name"] for node in nodes} == {"temperature/pepeunit", "raw_out"}


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("schema_example.json", None, 5),
        ("env_example.json", None, 5),
        ("schema_example.json", "{", 9),
        ("env_example.json", "[1", 9),
        ("env_example.json", "[1]", 5),
        ("schema_example.json", '{"input_topic": []}', 5),
        ("env_example.json", r'{"A": "\ud800"}', 9),
        ("env_example.json", '{"A": 1e999}', 9),
        ("env_example.json", '{"A": ' + "[" * 300 + "]" * 300 + "}", 9),
        ("schema_example.json", json.dumps(SCHEMA_EXAMPLE | {"x\udfff": 1}), 9),
        ("schema_example.json", json.dumps(SCHEMA_EXAMPLE).replace("[", "[1e999, ", 1), 9),
    ],
)
async def test_a_repository_with_broken_example_files_makes_no_unit_and_says_why(here, tmp_path, file, content, code):
    name = f"broken-{hashlib.sha256((file + str(content)).encode()).hexdigest()[:8]}"
    tree = sample_tree(here.git, tmp_path / "work", name)
    (tree.folder / file).unlink()
    if content is not None:
        tree.write(file, content)
    tree.commit("break it")
    tree.push()
    _, repo = await make_repo(here.alice, here.git.url(name), name)
    before = (await here.alice.get("/units")).body["count"]
    reply = await here.alice.post("/units", _body(here, repo_uuid=repo["uuid"], name=name))
    assert reply.status == 422
    assert reply.detail.startswith(f"422: {code}: "), reply.detail
    assert file in reply.detail
    assert (await here.alice.get("/units")).body["count"] == before
