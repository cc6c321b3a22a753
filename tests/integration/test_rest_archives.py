"""Archives over HTTP: what devices, browsers and people who resume a download ask for."""

import asyncio
import base64
import hashlib
import io
import json
import random
import tarfile
import zipfile
import zlib

import pytest
import pytest_asyncio

from tests.support.packed_program import count_packings
from tests.support.rest_world import world
from tests.support.sample_program import make_unit, nodes_of

BOTH_DATABASES = True
pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = ("tar", "zip", "tgz")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory):
    async with world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unit(here):
    return await make_unit(here.alice, here.repo["uuid"], "archived-unit")


def path_of(unit, kind="tgz"):
    return f"/units/firmware/{kind}/{unit['uuid']}"


async def ask(api, path, params=None, **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.call("GET", path, params=params, headers=sent)


def files_of(body, kind, wbits=9):
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            return {name: packed.read(name) for name in packed.namelist() if not name.endswith("/")}
    plain = zlib.decompress(body, wbits=wbits) if kind == "tgz" else body
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as packed:
        return {info.name.removeprefix("./"): packed.extractfile(info).read() for info in packed if info.isfile()}


async def link(here, source, target):
    """Let an Input of `target` receive an Output of `source`."""
    output = (await nodes_of(here.alice, source["uuid"]))["temperature/pepeunit"]
    entry = (await nodes_of(here.alice, target["uuid"]))["raw_in"]
    await here.alice.made(
        "/unit_nodes/create_unit_node_edge", {"node_output_uuid": output["uuid"], "node_input_uuid": entry["uuid"]}
    )
    return output, entry


@pytest.mark.parametrize("kind", KINDS)
async def test_the_archives_env_and_schema_are_those_that_the_unit_can_ask_for(here, kind):
    unit = await make_unit(here.alice, here.repo["uuid"], f"compared-{kind}")
    others = [await make_unit(here.alice, here.repo["uuid"], f"source-{kind}-{number}") for number in range(2)]
    links = [await link(here, other, unit) for other in others]
    typed = {"SPEED": 7, "PLACE": "küche", "PU_MAX_LOG_LENGTH": 32, "PU_AUTH_TOKEN": "x", "PU_COMMIT_VERSION": "y"}
    env_path = f"/units/env/{unit['uuid']}"
    assert (await here.alice.patch(env_path, {"env_json_string": json.dumps(typed)})).status == 204
    own = await here.gateway.unit(here.alice, unit["uuid"])
    files = files_of((await own.get(path_of(unit, kind))).body, kind)
    env, schema = json.loads(files["env.json"]), json.loads(files["schema.json"])
    assert (env, schema) == (
        (await own.get(env_path)).body,
        (await own.get(f"/units/get_current_schema/{unit['uuid']}")).body,
    )
    assert (env["SPEED"], env["PLACE"], env["PU_MAX_LOG_LENGTH"]) == (7, "küche", 32)
    assert env["PU_AUTH_TOKEN"] == own.token
    domain = here.gateway.settings.domain
    entry = links[0][1]
    assert schema["input_topic"]["raw_in"] == [
        f"{domain}/{entry['uuid']}", *(f"{domain}/{output['uuid']}/pepeunit" for output, _ in links)
    ]  # fmt: skip
    assert files["env.json"].startswith(b'{\n    "'), "indented by four"
    assert list(files)[-2:] == ["env.json", "schema.json"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_download_that_broke_off_goes_on_where_it_was(here, unit, kind):
    path = path_of(unit, kind)
    whole = await here.alice.get(path)
    size, tag = len(whole.body), whole.headers["ETag"]
    assert tag == f'"{hashlib.sha256(whole.body).hexdigest()}"'
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.headers["Cache-Control"] == "private, no-cache"
    got = b""
    for stop in [*sorted(random.Random(5).sample(range(1, size), 6)), size]:
        part = await ask(here.alice, path, Range=f"bytes={len(got)}-{stop - 1}", If_Range=tag)
        assert (part.status, part.headers["Content-Range"]) == (206, f"bytes {len(got)}-{stop - 1}/{size}")
        assert part.headers["Repr-Digest"] == whole.headers["Repr-Digest"]
        assert part.headers["Content-Length"] == str(len(part.body))
        got += part.body
    assert got == whole.body
    assert (await ask(here.alice, path, Range="bytes=-100")).body == whole.body[-100:]
    beyond = await ask(here.alice, path, Range=f"bytes={size}-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert (await ask(here.alice, path, Range="bytes=0-1,5-6")).body == whole.body


async def test_a_client_that_has_the_archive_gets_it_again_only_once_it_has_changed(here):
    unit = await make_unit(here.alice, here.repo["uuid"], "asked-again")
    path = path_of(unit)
    first = await here.alice.get(path)
    tag = first.headers["ETag"]
    same = await ask(here.alice, path, If_None_Match=f'"other", {tag}')
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag)
    assert same.headers["Repr-Digest"] == first.headers["Repr-Digest"]
    body = {"env_json_string": '{"SPEED": 99}'}
    assert (await here.alice.patch(f"/units/env/{unit['uuid']}", body)).status == 204
    fresh = await ask(here.alice, path, If_None_Match=tag)
    assert (fresh.status, fresh.headers["ETag"] != tag) == (200, True)
    assert json.loads(files_of(fresh.body, "tgz")["env.json"])["SPEED"] == 99
    rest = await ask(here.alice, path, Range="bytes=10-", If_Range=tag)
    assert (rest.status, rest.body) == (200, fresh.body), "no part of another archive"


async def test_knowing_the_tag_of_an_archive_opens_nothing(here, unit):
    path = path_of(unit)
    tag = (await here.alice.get(path)).headers["ETag"]
    for headers in ({"If_None_Match": tag}, {"If_None_Match": "*"}, {"Range": "bytes=0-1"}):
        refused = await ask(here.bob, path, **headers)
        assert (refused.status, "ETag" in refused.headers, "Repr-Digest" in refused.headers) == (403, False, False)
        assert refused.headers["Cache-Control"] == "no-store"


async def test_the_same_unit_gets_the_same_bytes_in_every_container(here, unit):
    plain = (await here.alice.get(path_of(unit, "tar"))).body
    for wbits in (9, -9, 25, 15, -15, 31):
        for level in (-1, 0, 9):
            params = {"wbits": wbits, "level": level}
            reply = await here.alice.get(path_of(unit), params)
            assert zlib.decompress(reply.body, wbits=wbits) == plain
            assert (await here.alice.get(path_of(unit), params)).body == reply.body


async def test_w49_units_that_download_all_at_once_get_their_own_and_the_commit_is_packed_once(here, monkeypatch):
    here.tree.write("packed_once.py", "x = 1\n" * 5_000)
    here.tree.commit("another version")
    here.tree.push()
    assert (
        await here.alice.patch(f"/repository_registry/update_local_repository/{here.registry['uuid']}")
    ).status < 300
    packed = count_packings(monkeypatch)
    units = [await make_unit(here.alice, here.repo["uuid"], f"crowd-{number}") for number in range(6)]
    wanted = [(unit, kind) for unit in units for kind in KINDS for _ in range(3)]
    random.Random(3).shuffle(wanted)
    replies = await asyncio.gather(*(here.alice.get(path_of(unit, kind)) for unit, kind in wanted))
    tokens = {unit["uuid"]: (await here.gateway.unit(here.alice, unit["uuid"])).token for unit in units}
    for (unit, kind), reply in zip(wanted, replies, strict=True):
        digest = base64.b64encode(hashlib.sha256(reply.body).digest()).decode()
        assert reply.headers["Repr-Digest"] == f"sha-256=:{digest}:"
        files = files_of(reply.body, kind)
        assert json.loads(files["env.json"])["PU_AUTH_TOKEN"] == tokens[unit["uuid"]]
        assert files["packed_once.py"] == b"x = 1\n" * 5_000
    assert len(packed) == 1
