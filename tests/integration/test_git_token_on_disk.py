"""W6 for a whole gateway: a git token is nowhere on its disk, in its logs or in what it answers."""

import base64
import json
import urllib.parse
import zlib
from pathlib import Path

from aiohttp import ClientSession, ClientTimeout

from tests.support.field_unit import eventually
from tests.support.gateway import PASSWORD, Api
from tests.support.gateway_process import GatewayProcess, children_named, run_command
from tests.support.git_server import GitServer
from tests.support.sample_program import make_unit, sample_tree

USER, TOKEN = "git-reader", "glpat+Qx7zW1kP/0vRb8nYt3uSecret"


def spellings() -> list[bytes]:
    """The token in clear, quoted, in base64 at every offset and inside a Basic header."""
    clear = TOKEN.encode()
    shifted = [base64.b64encode(b" " * shift + clear)[4:-4] for shift in range(3)]
    basic = base64.b64encode(f"{USER}:{TOKEN}".encode())
    forms = [clear, TOKEN.replace("/", "\\/").encode(), urllib.parse.quote(TOKEN, safe="").encode()]
    return [*forms, *shifted, basic, clear[7:17], base64.urlsafe_b64encode(clear), clear.hex().encode()]


def told_in(content: bytes) -> bool:
    return any(spelling in content for spelling in spellings())


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def register(gateway: GatewayProcess, url: str) -> list[bytes]:
    """Register the private repository over REST, fetch it again, download an archive; return what was answered."""
    async with ClientSession(timeout=ClientTimeout(total=30)) as session:
        api = Api(session, f"http://127.0.0.1:{gateway.http_port}/pepeunit/api/v1")
        reply = await api.post("/users/auth", {"credentials": "root-admin", "password": PASSWORD})
        owner = api.with_token(reply.body["token"])
        credentials = {"username": USER, "pat_token": TOKEN}
        new = {"platform": "Git", "repository_url": url, "is_public_repository": False, "credentials": credentials}
        registry = await owner.made("/repository_registry", new)
        assert registry["sync_status"] == "Updated", registry
        which = f"/repository_registry/update_local_repository/{registry['uuid']}"
        assert (await owner.patch(which)).status == 204
        repo = {"repository_registry_uuid": registry["uuid"], "default_branch": "main", "visibility_level": "Public"}
        flags = {"is_compilable_repo": False, "is_only_tag_update": False}
        unit = await make_unit(owner, (await owner.made("/repos", {**repo, **flags, "name": "a-repo"}))["uuid"], "unit")
        archive = await owner.get(f"/units/firmware/tgz/{unit['uuid']}")
        assert archive.status == 200
        page = await owner.get("/repository_registry")
        return [zlib.decompress(archive.body, 9), *(json.dumps(one).encode() for one in (registry, page.body, unit))]


async def test_w6_a_token_of_a_private_repository_lies_nowhere_and_is_told_to_nobody(tmp_path):
    """The gateway is killed, so that nothing is tidied up before the look."""
    data, scratch = tmp_path / "data", tmp_path / "scratch"
    scratch.mkdir()
    given = {"PU_GIT_ALLOW_PRIVATE": "true", "PU_MIN_INTERVAL_SYNC_REPOSITORY": "0", "PU_SQLALCHEMY_DATABASE_URL": ""}
    given |= {"TMPDIR": str(scratch), "PU_MIN_LOG_LEVEL": "DEBUG"}
    create = ("user", "create-admin", "--login", "root-admin", "--password-stdin")
    assert run_command(tmp_path, *create, stdin=f"{PASSWORD}\n", **given).returncode == 0
    with GitServer(tmp_path / "git", credentials=(USER, TOKEN)) as git, GatewayProcess(tmp_path, **given) as gateway:
        sample_tree(git, tmp_path / "work")
        gateway.wait_until_started()
        answers = await register(gateway, git.url("sample"))
        gateway.process.kill()
        gateway.process.wait(10)
        assert any(authorization.startswith("Basic ") for _, authorization in git.requests)

    async def left():
        return children_named("mosquitto", tmp_path)

    await eventually(left, [])
    kept = files_below(data) | files_below(scratch)
    assert {"pepeunit.sqlite3", "pepeunit.sqlite3-wal"} <= kept.keys()
    assert any(name.endswith("/config") for name in kept)
    assert any(git.url("sample").encode() in content for content in kept.values()), "where it might have stood is read"
    assert [name for name, content in kept.items() if told_in(content) or told_in(name.encode())] == []
    assert not any(told_in(content) for content in answers)
    assert not told_in("\n".join([*gateway.output, *gateway.errors]).encode())


def test_the_spellings_find_a_token_wherever_it_stands():
    for prefix in ("", "a", "ab", f"{USER}:"):
        assert told_in(b"x" + base64.b64encode(f"{prefix}{TOKEN} and more".encode()))
    assert told_in(f"https://me:{TOKEN}@host".encode())
