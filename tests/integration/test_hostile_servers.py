"""What a hostile server or a hostile folder could make git do: run a program, or read somewhere else."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest

from pepeunit_gateway.errors import ApiError, RepositoryRegistryError
from pepeunit_gateway.firmware.mirrors import MirrorCache
from tests.support.git_server import GitServer, WorkTree
from tests.support.repository import MIB
from tests.support.watching import Watch


@pytest.fixture
def outside(tmp_path: Path):
    """A folder with a repository that is nobody's business, and a program that leaves a trace."""
    folder = tmp_path / "outside"
    folder.mkdir()
    secret = GitServer(folder).bare("secret")
    tree = WorkTree.create(tmp_path / "work-secret", bare=secret)
    tree.write("secret.txt", "canary")
    tree.commit("secret")
    tree.push()
    marker = folder / "marker"
    marker.write_text(f"#!/bin/sh\ntouch {folder}/was-run\n")
    marker.chmod(0o755)
    return folder


@pytest.fixture
def bare(tmp_path: Path):
    """An ordinary repository in a folder that the operator allows."""
    folder = GitServer(tmp_path / "allowed").bare("sample")
    tree = WorkTree.create(tmp_path / "work", bare=folder)
    tree.write("main.py", "1")
    tree.commit("first")
    tree.push()
    return folder


@pytest.fixture
async def mirrors(tmp_path: Path):
    made = MirrorCache(
        tmp_path / "mirrors",
        max_size=MIB,
        allow_private=True,
        allow_file=(tmp_path / "allowed",),
        timeout=30,
        patience=2,
    )
    yield made
    await made.close()


CONFIG = """
[core]
    fsmonitor = MARKER
    sshCommand = MARKER
    askPass = MARKER
    pager = MARKER
    gitProxy = MARKER
    alternateRefsCommand = MARKER
    hooksPath = EVIL
[credential]
    helper = !MARKER
[uploadpack]
    packObjectsHook = MARKER
[diff]
    external = MARKER
[filter "evil"]
    smudge = MARKER
[remote "origin"]
    uploadpack = MARKER
[alias]
    upload-pack = !MARKER
    pack-objects = !MARKER
"""
PROMISE = """
[core]
    repositoryformatversion = 1
[extensions]
    partialClone = origin
[protocol "ext"]
    allow = always
[remote "origin"]
    promisor = true
    url = URL
    uploadpack = MARKER
"""


def add_config(bare, text, outside, url=""):
    """Write what the folder's owner may write into it."""
    for word, value in (("MARKER", outside / "marker"), ("EVIL", bare / "evil"), ("URL", url)):
        text = text.replace(word, str(value))
    with (bare / "config").open("a") as file:
        file.write(text)


async def test_what_the_configuration_and_the_hooks_of_a_folder_name_is_never_run(bare, outside, mirrors):
    add_config(bare, CONFIG, outside)
    for folder in ("hooks", "evil"):
        (bare / folder).mkdir(exist_ok=True)
        for name in ("post-checkout", "pre-auto-gc", "reference-transaction", "post-upload-pack", "pre-push", "update"):
            shutil.copy(outside / "marker", bare / folder / name)
    registry = uuid4()
    with Watch(outside) as watch:
        await mirrors.sync(registry, f"file://{bare}", None)
        assert await mirrors.branches(registry) == ["main"]
        assert watch.events() == []


@pytest.mark.parametrize("url", ["ext::{outside}/marker %S", "file://{outside}/secret.git", "{outside}/secret.git"])
async def test_what_a_folder_promises_to_fetch_from_elsewhere_is_not_fetched(bare, outside, mirrors, url):
    """A partial clone asks its origin for what it lacks, by any program that its configuration names."""
    add_config(bare, PROMISE, outside, url.format(outside=outside))
    smallest = min((bare / "objects").glob("??/*"), key=lambda path: path.stat().st_size)
    smallest.unlink()
    with Watch(outside) as watch:
        with pytest.raises(ApiError):
            await mirrors.sync(uuid4(), f"file://{bare}", None)
        assert watch.events() == []


def borrow_objects(bare, outside):
    (bare / "objects" / "info").mkdir(exist_ok=True)
    (bare / "objects" / "info" / "alternates").write_text(f"# x\n{outside}/secret.git/objects\n")


def borrow_relatively(bare, outside):
    (bare / "objects" / "info").mkdir(exist_ok=True)
    (bare / "objects" / "info" / "alternates").write_text(f"../../../{outside.name}/secret.git/objects\n")


def borrow_from_a_borrower(bare, outside):
    between = bare.with_name("between")
    (between / "info").mkdir(parents=True)
    (between / "info" / "alternates").write_text(f"{outside}/secret.git/objects\n{between}\n")
    (bare / "objects" / "info").mkdir(exist_ok=True)
    (bare / "objects" / "info" / "alternates").write_text("../../between\n")


def link_objects(bare, outside):
    shutil.rmtree(bare / "objects")
    (bare / "objects").symlink_to(outside / "secret.git" / "objects")


def link_one_file(bare, outside):
    (bare / "refs" / "heads" / "secret").symlink_to(outside / "secret.git" / "refs" / "heads" / "main")


def share_everything(bare, outside):
    (bare / "commondir").write_text(f"{outside}/secret.git\n")


def be_a_link(bare, outside):
    (bare / ".git").symlink_to(outside / "secret.git")


def point_to_another(bare, outside):
    (bare / ".git").write_text(f"gitdir: {outside}/secret.git\n")


BORROWERS = [
    borrow_objects,
    borrow_relatively,
    borrow_from_a_borrower,
    link_objects,
    link_one_file,
    share_everything,
    be_a_link,
    point_to_another,
]


@pytest.mark.parametrize("borrow", BORROWERS)
async def test_a_folder_that_borrows_from_outside_is_refused(bare, outside, mirrors, borrow):
    """The gateway may read what the folder's owner may not, such as the mirrors of other people."""
    head = (outside / "secret.git" / "refs" / "heads" / "main").read_text()
    (bare / "refs" / "heads" / "stolen").write_text(head)
    borrow(bare, outside)
    with Watch(outside) as watch:
        with pytest.raises(RepositoryRegistryError, match=r"borrows from outside the folders of PU_GIT_ALLOW_FILE"):
            await mirrors.sync(uuid4(), f"file://{bare}", None)
        assert watch.events() == []


async def test_a_folder_that_borrows_from_its_neighbour_is_fetched(bare, mirrors):
    neighbour = bare.with_name("neighbour.git")
    (bare / "objects").rename(neighbour)
    (bare / "objects" / "info").mkdir(parents=True)
    (bare / "objects" / "info" / "alternates").write_text("../../neighbour.git\n")
    shutil.copy(bare / "refs" / "heads" / "main", bare / "refs" / "heads" / "commondir")
    registry = uuid4()
    await mirrors.sync(registry, f"file://{bare}", None)
    assert await mirrors.branches(registry) == ["commondir", "main"]


class _Dumb(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
        """Say nothing."""


@pytest.fixture
def dumb(tmp_path: Path):
    """A plain file server over the allowed folder."""
    handler = partial(_Dumb, directory=str(tmp_path / "allowed"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/sample.git"
        server.shutdown()
        thread.join(20)


async def test_a_plain_file_server_cannot_send_us_elsewhere_for_objects(bare, outside, mirrors, dumb):
    """Such a server may name other servers that have its objects; they could be anywhere in our own network."""
    with GitServer(outside) as inner:
        head = (outside / "secret.git" / "refs" / "heads" / "main").read_text().strip()
        (bare / "info").mkdir(exist_ok=True)
        (bare / "info" / "refs").write_text(f"{head}\trefs/heads/main\n")
        (bare / "objects" / "info").mkdir(exist_ok=True)
        for name in ("http-alternates", "alternates"):
            (bare / "objects" / "info" / name).write_text(
                f"{inner.url('secret')}/objects\n{outside}/secret.git/objects\n"
            )
        registry = uuid4()
        with Watch(outside) as watch:
            with pytest.raises(ApiError):
                await mirrors.sync(registry, dumb, None)
            assert watch.events() == []
        assert inner.requests == []
        assert not mirrors.exists(registry)
