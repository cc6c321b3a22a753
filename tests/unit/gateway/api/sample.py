"""A small API of its own, for the tests of the routing layer."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Self
from uuid import UUID

from aiohttp import web
from pydantic import Field

from pepeunit_gateway.api.keys import TOKEN_HEADER
from pepeunit_gateway.api.models import BodyModel, PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.proxies import ClientAddress
from pepeunit_gateway.api.routing import Download, Media, RouteTable, Sample, Token, Upload
from pepeunit_gateway.api.server import assemble
from pepeunit_gateway.errors import (
    NoAccessError,
    NotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
    UserError,
)
from pepeunit_gateway.settings import Settings

KNOWN = UUID("11111111-1111-4111-8111-111111111111")
WHEN = datetime(2024, 5, 6, 7, 8, 9, 120000, tzinfo=UTC)


@dataclass(frozen=True)
class Caller:
    name: str


@dataclass(frozen=True)
class Thing:
    uuid: UUID
    name: str
    create_datetime: datetime


class ThingRead(ReadModel):
    uuid: UUID
    name: str
    create_datetime: datetime


class ThingQuery(PageQuery):
    uuids: list[UUID] = Field(default_factory=list)
    search_string: str | None = None
    since: UtcTime | None = None


class ThingList(ReadModel):
    count: int
    seen: list[str]


class NewThing(BodyModel):
    examples: ClassVar = {"A lamp": {"name": "lamp", "password": "12345678"}}

    name: str = Field(min_length=1)
    password: str = Field(min_length=8)
    active: bool = False
    parent: UUID | None = None


class Piecewise:
    """A stream in three pieces that tells whether it was closed."""

    def __init__(self, *, fail: bool = False) -> None:
        self.size = 6
        self.fail = fail
        self.open = False

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        content = b"abcdef"[start:stop]
        for position in range(0, len(content), 2):
            if self.fail and position:
                raise OSError("the disk is gone")
            yield content[position : position + 2]

    async def __aenter__(self) -> Self:
        self.open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open = False


_TAKEN = UserError("the name is taken", conflict=True)
_BUSY = TooManyRequestsError("too many", retry_after=7)

things = RouteTable("/things", tag="Things", about="What tests are made of.", entity="thing")
streams: list[Piecewise] = []


@things.get("", token=Token.OPTIONAL)
async def list_things(caller: Caller, query: ThingQuery) -> ThingList:
    """List things.

    The second paragraph is the description.
    """
    page = query.paging
    since = query.since.isoformat() if query.since else "-"
    seen = [caller.name, *map(str, query.uuids), str(query.search_string), since, str(page.offset), str(page.limit)]
    return ThingList(count=len(query.uuids), seen=seen)


@things.get("/{uuid}", token=Token.OPTIONAL)
async def get_thing(uuid: UUID, caller: Caller) -> ThingRead:
    """One thing."""
    if uuid != KNOWN:
        raise NotFoundError(f"there is no thing {uuid}")
    return ThingRead.model_validate(Thing(uuid, caller.name, WHEN))


@things.get("/log_list/", also="/log_list", token=Token.NONE)
async def get_log() -> list[str]:
    """Both spellings."""
    return ["line"]


@things.post("", token=Token.REQUIRED, status=201, errors=(_TAKEN, _BUSY))
async def create_thing(caller: Caller, body: NewThing) -> ThingRead:
    """Make a thing."""
    if body.name == "taken":
        raise UserError("the name is taken", conflict=True)
    if body.name == "busy":
        raise TooManyRequestsError("too many", retry_after=7)
    if body.name == "stopping":
        error = UserError("the gateway stops")
        error.status = 503
        raise error
    if body.name == "forbidden":
        raise NoAccessError("not you")
    sent = sorted(body.model_fields_set)
    return ThingRead(uuid=KNOWN, name=f"{caller.name} {body.name} {sent} {body.active}", create_datetime=WHEN)


@things.patch("/{uuid}", token=Token.NONE)
async def break_thing(uuid: UUID) -> None:
    """Fails in a way nobody foresaw."""
    raise RuntimeError(f"secret detail about {uuid}")


@things.delete("/{uuid}", token=Token.NONE)
async def delete_thing(uuid: UUID) -> None:
    """Gone."""
    assert uuid


@things.post("/upload", token=Token.NONE, max_body=1000, sample=Sample("Anything.", "text/csv", "a,b"))
async def upload_thing(data: Upload) -> str:
    """A multipart field."""
    return hashlib.sha256(data.content).hexdigest()


@things.get("/text/", token=Token.NONE, media=Media.TEXT)
async def get_text() -> Download:
    """Some text."""
    return Download("köln".encode(), Media.TEXT)


@things.get("/client/address", token=Token.NONE)
async def get_client(address: ClientAddress) -> str:
    """Where the request comes from."""
    return address.text


@things.get("/stream/{kind}", token=Token.NONE, media=Media.TAR)
async def get_stream(kind: str) -> Download:
    """Pieces."""
    stream = Piecewise(fail=kind == "broken")
    streams.append(stream)
    return Download(stream, Media.TAR, {"Repr-Digest": "sha-256=:abc:"})


@things.get("/archive", token=Token.NONE, media=Media.ZIP)
async def get_archive() -> Download:
    """Pieces of a tagged whole."""
    stream = Piecewise()
    streams.append(stream)
    return Download(stream, Media.ZIP, {"Repr-Digest": "sha-256=:abc:"}, '"tag"')


@dataclass
class SlowStreams:
    """What became of the streams that take until `go_on` to make."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)


@things.get("/slow/stream", token=Token.NONE, media=Media.TAR)
async def get_slow_stream(slow: SlowStreams) -> Download:
    """Pieces that come late."""
    slow.begun.set()
    try:
        await slow.go_on.wait()
    except asyncio.CancelledError:
        slow.given_up.set()
        raise
    return Download(Piecewise(), Media.TAR)


async def provide_caller(request: web.Request) -> Caller:
    token = request.headers.get(TOKEN_HEADER)
    if token == "wrong":
        raise UnauthorizedError("Token is invalid")
    return Caller(token or "Bot")


async def always_ready() -> None:
    return None


def sample_app(
    settings: Settings | None = None, readiness=always_ready, slow: SlowStreams | None = None
) -> web.Application:
    async def provide_slow(_request: web.Request) -> SlowStreams:
        return slow or SlowStreams()

    providers = {Caller: provide_caller, SlowStreams: provide_slow}
    return assemble(settings or Settings(domain="localhost"), [things], providers, readiness)
