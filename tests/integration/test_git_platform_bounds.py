"""What a platform may say at all: pages, files, and what is remembered of them, whatever it sends."""

import tracemalloc
from contextlib import suppress

import pytest

from pepeunit_gateway.errors import GitPlatformClientError
from pepeunit_gateway.firmware.release_files import MOST_KEPT
from pepeunit_gateway.firmware.release_pages import MAX_FILES, MAX_PAGE, PAGE_SIZE
from pepeunit_gateway.firmware.web import Web
from tests.support.git_platforms import Trouble
from tests.support.git_server import GitServer
from tests.support.platform_stage import PlatformStage


@pytest.fixture(params=["Github", "Gitlab"])
async def stage(request, tmp_path):
    web = Web(allow_private=True)
    with GitServer(tmp_path / "git") as server:
        yield PlatformStage(server, request.param, web)
    await web.close()


def whole(piece, head=b"[", tail=b"]"):
    """The largest page there may be, of one piece over and over."""
    return head + b",".join([piece] * ((MAX_PAGE - len(head) - len(tail)) // (len(piece) + 1))) + tail


BOMBS = {
    "of nothing": whole(b"{}"),
    "of releases": whole(b'{"tag_name":""}'),
    "of files": whole(b"{}", b'[{"tag_name":"v1","assets":[', b"]}]"),
    "of links": whole(b'{"name":"a","url":"b"}', b'[{"tag_name":"v1","assets":{"links":[', b"]}}]"),
    "of what nobody reads": whole(b"{}", b'[{"tag_name":"v1","author":[', b"]}]"),
    "of numbers": whole(b"1", b'[{"tag_name":"v1","author":[', b"]}]"),
    "of one wide tag": b'[{"tag_name":"' + "\U0001f600".encode() + b"a" * (MAX_PAGE - 22) + b'"}]',
    "of depth": b'[{"tag_name":"v1","author":' + b"[" * (MAX_PAGE - 30),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
async def test_a_page_that_is_made_to_be_many_objects_costs_little_memory(stage, bomb):
    """4 MiB of `{}` took 110 s and 1.5 GiB, and nothing else went on meanwhile."""
    number = stage.project.number
    stage.server.route = lambda path, _query, _headers: (
        200,
        {},
        bomb if path.endswith("/releases") else b'{"id": %d}' % number,
    )
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with suppress(GitPlatformClientError):  # some are pages of releases, strange as they are
            await stage.client().releases()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < 50 * 2**20


async def test_a_page_with_more_releases_than_were_asked_for_is_none(stage):
    stage.fill(PAGE_SIZE + 1)
    stage.server.page = lambda _query, entries: (entries, 1, False)
    assert "names the right platform" in await stage.fails()


async def test_a_release_with_more_files_than_a_platform_takes_is_none(stage):
    stage.project.release("v1", {f"f{number}": "https://files.example/f" for number in range(MAX_FILES)})
    assert len((await stage.client().releases())["v1"]) >= MAX_FILES
    stage.project.files("v1")["one too many"] = "https://files.example/f"
    assert "names the right platform" in await stage.fails()


async def test_releases_that_say_too_much_for_one_page_are_read_in_smaller_ones(stage):
    """Sixty files with all that is told of their uploader are 100 KiB; a hundred such releases are no attack."""
    stage.fill(150)
    release = stage.server._release
    stage.server._release = lambda *told: {**release(*told), "body": "x" * 200_000}
    assert list(await stage.client().releases()) == [f"v{number}" for number in reversed(range(150))]
    sizes = [path.split("per_page=")[1].split("&")[0] for path in stage.server.questions if "per_page" in path]
    assert sizes == ["100"] + ["10"] * 15


async def test_nothing_is_asked_beyond_what_is_kept(stage):
    for number in range(1000):
        stage.project.release(f"v{number}", {"pi": "https://files.example/" + "x" * 2_000})
    releases = await stage.client().releases()
    pages = len([path for path in stage.server.questions if "per_page" in path])
    assert pages - 1 <= MOST_KEPT / 202_000 < pages + 1
    assert next(iter(releases)) == "v999"


async def test_what_is_heard_in_all_has_an_end(stage, monkeypatch):
    monkeypatch.setattr("pepeunit_gateway.firmware.platform_api._MAX_READ", 100_000)
    stage.fill(900)
    assert "releases, which is too much; delete" in await stage.fails()
    assert 1 < len([path for path in stage.server.questions if "per_page" in path]) < 9


async def test_pages_without_end_are_not_remembered_without_end(stage):
    """2,001 pages of next to nothing took 48 MiB: their addresses and headers counted for nothing."""
    stage.server.trouble = Trouble(endless=True)
    stage.fill(1)
    await stage.fails()
    pages = stage.platforms._api._pages
    assert len(pages) >= 100
    assert pages.size > len(pages) * 500
