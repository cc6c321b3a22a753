"""A sync that finds nothing new starts no process; whatever is odd about the first look leads to an ordinary one."""

import asyncio
import os
import random
from pathlib import Path
from uuid import uuid4

import pytest

from pepeunit_gateway.errors import GitRepoError, RepositoryRegistryError
from pepeunit_gateway.firmware import fetching, glances
from pepeunit_gateway.firmware.mirrors import Credentials, MirrorCache
from tests.support.git_server import Fault, GitServer, WorkTree
from tests.support.repository import MIB, ServedRepository

ADVERTISED = "application/x-git-upload-pack-advertisement"


@pytest.fixture
async def repository(tmp_path: Path):
    with GitServer(tmp_path / "served") as server:
        served = ServedRepository(tmp_path, server)
        served.tree.tag("v1", message="an object of its own")
        served.tree.push()
        await served.sync()
        server.requests.clear()
        yield served
        await served.close()


@pytest.fixture
def processes(monkeypatch):
    """What git was started for, in turn."""
    runs = []
    original = fetching.run_git

    async def counted(arguments, **options):
        runs.append(arguments[0])
        return await original(arguments, **options)

    monkeypatch.setattr(fetching, "run_git", counted)
    monkeypatch.setattr(glances, "run_git", counted)
    return runs


async def test_w51_a_sync_without_news_asks_the_server_once_and_starts_nothing(repository, processes):
    for mirrors in (repository.mirrors, repository.mirrors, repository.cache()):  # the last as after a restart
        result = await repository.sync(mirrors)
        assert (result.changed, result.size) == (False, await mirrors.size(repository.registry))
    assert processes == []
    assert [request for request, _ in repository.server.requests] == [
        "GET /sample.git/info/refs?service=git-upload-pack"
    ] * 3


@pytest.mark.parametrize(
    "change",
    [
        ("commit", "--quiet", "--allow-empty", "--message", "second"),
        ("tag", "v2"),
        ("tag", "--delete", "v1"),
        ("branch", "dev"),
        ("commit", "--quiet", "--amend", "--allow-empty", "--message", "rewritten"),
    ],
)
async def test_every_kind_of_news_is_seen_and_fetched(repository, processes, change):
    repository.tree.git(*change)
    repository.tree.push()
    before = repository.mirrors.refs(repository.registry)
    await repository.sync()
    assert processes == ["fetch", "show-ref"]
    after = repository.mirrors.refs(repository.registry)
    assert (after.heads, after.tags) != (before.heads, before.tags)
    assert not (await repository.sync()).changed
    assert len(processes) == 2


async def test_names_that_are_not_utf8_are_left_out_on_both_sides(repository, processes):
    bare = repository.server.bare("sample")
    await asyncio.to_thread((bare / "packed-refs").unlink, missing_ok=True)
    odd = os.path.join(os.fsencode(bare), b"refs", b"heads", b"od\xffd")  # noqa: PTH118 - a name in bytes
    await asyncio.to_thread(Path(os.fsdecode(odd)).write_text, f"{repository.first}\n")
    await repository.sync()
    processes.clear()
    assert not (await repository.sync()).changed
    assert processes == []
    assert await repository.mirrors.branches(repository.registry) == ["main"]


async def test_an_empty_repository_is_looked_at_without_git_too(repository, processes):
    repository.server.bare("empty")
    registry, url = uuid4(), repository.server.url("empty")
    await repository.mirrors.sync(registry, url, None)
    processes.clear()
    assert not (await repository.mirrors.sync(registry, url, None)).changed
    assert processes == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, headers={"Content-Type": ADVERTISED}, body=b"garbage"),
        Fault(status=200, headers={"Content-Type": ADVERTISED}, body=b"001e# service=git-upload-pack\n0000"),
        Fault(status=200, headers={"Content-Type": "text/html"}, body=b"<html>"),
        Fault(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        Fault(status=304),
        Fault(status=503),
    ],
)
async def test_an_odd_answer_is_explained_by_git(repository, processes, fault):
    repository.server.fault = fault
    with pytest.raises(RepositoryRegistryError):
        await repository.sync()
    assert processes[0] == "fetch"
    assert await repository.main_py() == b"print('one')\n"


@pytest.mark.parametrize(
    ("fault", "open_"),
    [
        (Fault(), True),
        (Fault(status=200, headers={"Content-Type": f"{ADVERTISED}; charset=utf-8"}), True),
        (Fault(status=200, body=b"0" * 40 + b"\trefs/heads/main\n"), True),
        (Fault(status=200, headers={"Content-Type": "text/html"}, body=b"<html>log in"), False),
        (Fault(status=302, headers={"Location": "/login"}), False),
        (Fault(status=401), False),
        (Fault(status=403), False),
        (Fault(status=404), False),
        (Fault(status=429), None),
        (Fault(status=503), None),
    ],
)
async def test_whether_anybody_may_read_it_is_seen_without_credentials(repository, fault, open_):
    repository.server.fault = fault
    assert await repository.mirrors.is_open(repository.url) is open_
    assert [authorization for _, authorization in repository.server.requests] == [""]


async def test_whether_anybody_may_read_what_cannot_be_reached_is_unknown(repository):
    repository.server.stop()
    assert await repository.mirrors.is_open(repository.url) is None


async def test_the_credential_goes_along_and_a_wrong_one_is_no_success(tmp_path, processes):
    with GitServer(tmp_path / "served", credentials=("me", "right")) as server:
        repository = ServedRepository(tmp_path, server, Credentials("me", "right"))
        await repository.sync()
        processes.clear()
        assert not (await repository.sync()).changed
        assert processes == []
        repository.credentials = Credentials("me", "wrong")
        with pytest.raises(RepositoryRegistryError, match="refuses access"):
            await repository.sync()
        await repository.close()


@pytest.mark.parametrize("lost", ["objects/pack/*.pack", "objects/pack/*.idx", "HEAD", "pepeunit-files.json"])
async def test_a_mirror_that_lost_a_file_is_fetched_into_although_nothing_is_new(repository, processes, lost):
    for path in repository.mirror.glob(lost):
        path.unlink()
    await repository.sync()
    assert processes[-2:] == ["fetch", "show-ref"]
    assert await repository.main_py() == b"print('one')\n"
    processes.clear()
    await repository.sync()
    assert processes == []


async def test_a_mirror_whose_content_rotted_is_made_anew_once_a_reader_stumbles_over_it(repository, processes):
    (pack,) = repository.mirror.glob("objects/pack/*.pack")
    content = bytearray(pack.read_bytes())
    content[12:-20] = bytes(byte ^ 0x55 for byte in content[12:-20])
    pack.chmod(0o600)
    pack.write_bytes(content)
    await repository.sync()
    assert processes == [], "nothing shows from outside"
    with pytest.raises(GitRepoError):
        await repository.main_py()
    await repository.sync()
    assert processes == ["init", "fetch", "show-ref"]
    assert await repository.main_py() == b"print('one')\n"
    await repository.sync()
    assert len(processes) == 3


async def test_to_ask_for_what_there_is_not_makes_no_mirror_anew(repository, processes):
    for commit in ("0" * 40, "1234567890" * 4):
        with pytest.raises(GitRepoError):
            await repository.mirrors.read_file(repository.registry, commit, "main.py")
        with pytest.raises(GitRepoError):
            await repository.mirrors.history.commit_time(repository.mirror, commit)
        assert not await repository.mirrors.contains(repository.registry, "main", commit)
    await repository.sync()
    assert processes == []


async def test_a_mirror_above_a_limit_that_was_lowered_is_not_taken_for_current(repository):
    repository.tree.write("noise.bin", random.Random(1).randbytes(200_000))
    repository.tree.commit("second")
    repository.tree.push()
    await repository.sync()
    with pytest.raises(RepositoryRegistryError, match="PU_MAX_EXTERNAL_REPO_SIZE"):
        await repository.sync(repository.cache(max_size=100_000))


async def test_a_file_repository_without_news_costs_one_process(tmp_path, processes):
    bare = GitServer(tmp_path / "allowed").bare("sample")
    tree = WorkTree.create(tmp_path / "work", bare=bare)
    tree.commit("first")
    tree.tag("v1", message="one")
    tree.push()
    if os.geteuid() == 0:
        os.chown(bare, 65_534, -1)
    registry, url = uuid4(), f"file://{bare}"
    mirrors = MirrorCache(
        tmp_path / "m", max_size=MIB, allow_private=False, allow_file=(tmp_path / "allowed",), timeout=30
    )
    await mirrors.sync(registry, url, None)
    processes.clear()
    assert not (await mirrors.sync(registry, url, None)).changed
    assert processes == ["upload-pack"]
    os.chown(bare, os.geteuid(), -1)
    second = tree.commit("second")
    tree.push()
    assert (await mirrors.sync(registry, url, None)).changed
    assert mirrors.head(registry, "main") == second
