"""Parts and conditions over HTTP. That archives have them too is in tests/integration/test_rest_archives.py."""

import pytest

from tests.support.served import served
from tests.unit.gateway.api.sample import sample_app, streams

PATH = "/pepeunit/api/v1/things/archive"


@pytest.fixture
async def client():
    async with served(sample_app()) as session:
        yield session


async def ask(client, method="GET", path=PATH, **headers):
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, path, headers=sent) as answer:
        found = answer.status, await answer.read(), answer.headers
    assert not streams[-1].open
    return found


@pytest.mark.parametrize(
    ("wanted", "body", "place"),
    [
        ("bytes=1-3", b"bcd", "1-3"),
        ("bytes=4-", b"ef", "4-5"),
        ("bytes=-1", b"f", "5-5"),
        ("bytes=0-99", b"abcdef", "0-5"),
    ],
)
async def test_a_part_is_answered_with_its_place_and_the_digest_of_the_whole(client, wanted, body, place):
    status, found, headers = await ask(client, Range=wanted)
    assert (status, found, headers["Content-Range"]) == (206, body, f"bytes {place}/6")
    assert headers["Content-Length"] == str(len(body))
    assert (headers["ETag"], headers["Repr-Digest"]) == ('"tag"', "sha-256=:abc:")
    assert headers["Content-Type"] == "application/zip"


async def test_a_whole_answer_says_that_parts_can_be_had_and_is_kept_by_nobody_else(client):
    status, found, headers = await ask(client)
    assert (status, found, headers["Content-Length"], headers["Accept-Ranges"]) == (200, b"abcdef", "6", "bytes")
    assert (headers["ETag"], headers["Cache-Control"]) == ('"tag"', "private, no-cache")
    assert "Content-Range" not in headers


async def test_several_ranges_are_answered_with_all(client):
    status, found, headers = await ask(client, Range="bytes=0-1,3-4")
    assert (status, found, "Content-Range" in headers) == (200, b"abcdef", False)


async def test_a_range_beyond_the_end_is_told_with_the_size(client):
    status, found, headers = await ask(client, Range="bytes=6-")
    assert (status, headers["Content-Range"]) == (416, "bytes */6")
    assert found.startswith(b'{"detail":"416: 2: Range Not Satisfiable: the archive has 6 bytes')
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_client_that_has_it_gets_no_body(client, method):
    status, found, headers = await ask(client, method, If_None_Match='"x", W/"tag"', Range="bytes=9-")
    assert (status, found, headers["ETag"], headers["Repr-Digest"]) == (304, b"", '"tag"', "sha-256=:abc:")
    assert headers["Cache-Control"] == "private, no-cache"
    assert "Content-Length" not in headers


async def test_a_part_of_an_older_archive_is_never_given(client):
    assert (await ask(client, Range="bytes=1-2", If_Range='"tag"'))[:2] == (206, b"bc")
    assert (await ask(client, Range="bytes=1-2", If_Range='"old"'))[:2] == (200, b"abcdef")


async def test_head_tells_of_the_whole(client):
    status, found, headers = await ask(client, "HEAD", Range="bytes=1-2")
    assert (status, found, headers["Content-Length"], headers["ETag"]) == (200, b"", "6", '"tag"')


async def test_one_connection_goes_on_after_each_of_them(client):
    for headers in ({}, {"If_None_Match": "*"}, {"Range": "bytes=9-"}, {"Range": "bytes=1-1"}):
        await ask(client, **headers)
    assert (await ask(client))[:2] == (200, b"abcdef")


async def test_a_stream_without_a_tag_has_no_parts(client):
    async with client.get("/pepeunit/api/v1/things/stream/good", headers={"Range": "bytes=1-2"}) as answer:
        assert (answer.status, await answer.read(), "ETag" in answer.headers) == (200, b"abcdef", False)
