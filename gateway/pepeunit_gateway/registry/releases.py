"""What a platform tells about a registry: its size before the first fetch, and the files of its releases.

A platform that fails stops no fetch and takes nothing away: what was known stays, and `sync_error` says what is wrong
while `sync_status` goes by the fetch. Source: protocol/firmware.md 7.2, 7.3; W32 and W33.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import structlog
from msgspec.json import Decoder
from sqlalchemy import ColumnElement, Row, and_, exists, or_, select

from pepeunit_gateway.errors import GitPlatformClientError, RepositoryRegistryError
from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.firmware.platform_api import PausedError
from pepeunit_gateway.firmware.release_files import MOST_KEPT, Releases
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.storage.tables import repos, repository_registry

__all__ = [
    "INTERVAL",
    "LEAST_INTERVAL",
    "RELEASE_COLUMNS",
    "RETRY_INTERVAL",
    "Reading",
    "ReleaseNews",
    "Wish",
    "are_awaited",
    "check_size",
    "dump_releases",
    "follow_releases",
    "is_due",
    "read_releases",
]

log = structlog.get_logger(__name__)

INTERVAL = timedelta(minutes=5)
"""How often releases are read where units need them: a release may appear long after its tag."""

LEAST_INTERVAL = timedelta(minutes=1)
"""Between two readings of a registry, whoever asks: the quota of a platform's API is shared by everybody here."""

RETRY_INTERVAL = timedelta(hours=1)
"""Between two readings that fail, where no unit needs them."""

_TABLE = repository_registry
_IS_NEEDED = exists(
    select(repos.c.uuid).where(repos.c.repository_registry_uuid == _TABLE.c.uuid, repos.c.is_compilable_repo)
).correlate(_TABLE)
RELEASE_COLUMNS = (
    _TABLE.c.platform,
    _TABLE.c.sync_error,
    _TABLE.c.releases_datetime,
    _TABLE.c.releases_due_datetime,
    _IS_NEEDED.label("has_compilable_repo"),
)
"""What this module looks at, beside uuid, repository_url and local_repository_size."""

_PROBLEM = "Releases: "
_CUT = f"{_PROBLEM}only the newest "  # which is no failure
_STORED = Decoder(dict[str, list[tuple[str, str]]])


class Reading(Enum):
    """Whether releases are read after a fetch."""

    ASKED = "somebody asks for them"
    DUE = "the fetch brought something, or it is time"
    NEVER = "another gateway does"


@dataclass(frozen=True, slots=True)
class ReleaseNews:
    """What came of it.

    `asked`: when the question began; `text`: what is new for the column releases_data; `due`: when to ask again, where
    it was too early.
    """

    problem: str | None = None
    asked: datetime | None = None
    text: str | None = None
    due: datetime | None = None

    @property
    def changed(self) -> bool:
        """Whether there are other files now than before."""
        return self.text is not None

    async def store(self, act: Act, registry: UUID) -> None:
        """Write it, unless somebody who asked later has written already."""
        if self.due is not None:
            later = _TABLE.update().where(_TABLE.c.uuid == registry).values(releases_due_datetime=self.due)
            await act.connection.execute(later)
        if self.asked is None:
            return
        values: dict[str, object] = {"releases_datetime": self.asked}
        if self.text is not None:
            values["releases_data"] = self.text
        older = _TABLE.c.releases_datetime.is_(None) | (_TABLE.c.releases_datetime <= self.asked)
        await act.connection.execute(_TABLE.update().where(_TABLE.c.uuid == registry, older).values(values))


async def check_size(context: Context, row: Row[Any], credentials: Credentials | None) -> None:
    """Refuse the first fetch of what is too large by the platform's own account; whatever it says not, git counts.

    Nothing has shown yet that the repository is public, so the operator's token does not ask.

    Raises:
        RepositoryRegistryError: too large.
    """
    client = context.platforms.client(row.platform, row.repository_url, credentials)
    if client is None or row.local_repository_size or context.mirrors.exists(row.uuid):
        return
    try:
        size = await client.size()
    except GitPlatformClientError:
        return  # the question about releases will tell
    limit = context.mirrors.max_size
    if size is not None and size > limit:
        raise RepositoryRegistryError(
            f"The repository has {size / 2**20:.1f} MiB by its platform's account, more than the {limit / 2**20:g} MiB "
            "of PU_MAX_EXTERNAL_REPO_SIZE; make it smaller or ask the operator for a higher limit"
        )


async def follow_releases(
    context: Context, row: Row[Any], credentials: Credentials | None, reading: Reading, *, changed: bool
) -> ReleaseNews:
    """Read the releases, if it is time. What is asked for too early is noted, and `are_awaited` tells when it is time.

    Args:
        context: the doors.
        row: of the registry, with RELEASE_COLUMNS.
        credentials: that the fetch succeeded with.
        reading: whether to.
        changed: whether the fetch moved a branch or a tag.
    """
    public = credentials is None  # so it was fetched by anybody, a moment ago
    client = context.platforms.client(row.platform, row.repository_url, credentials, shown_public=public)
    if client is None:
        return ReleaseNews()
    before, now = _told(row), context.clock()
    failed = before is not None and not before.startswith(_CUT)
    wish = Wish(
        is_asked=changed or reading is Reading.ASKED,
        is_needed=row.has_compilable_repo or (failed and not public),  # a token of one's own uses up nobody's quota
        has_failed=failed,
    )
    if reading is Reading.NEVER:
        return ReleaseNews(before)
    if not is_due(row.releases_datetime, row.releases_due_datetime, now, wish):
        return _put_off(row, before, wish, row.releases_datetime)
    if not await _claim(context, row, now):
        return _put_off(row, before, wish, now)
    try:
        text, problem = await asyncio.to_thread(dump_releases, await client.releases())
    except GitPlatformClientError as error:
        if before != _PROBLEM + error.message:
            log.warning("repository.releases.failed", repository=str(row.uuid), reason=error.message)
        # one that was not even asked is asked as soon as it may be
        due = max(error.until, now + LEAST_INTERVAL) if isinstance(error, PausedError) else None
        return ReleaseNews(_PROBLEM + error.message, now, due=due)
    async with context.database.read() as connection:
        query = select(_TABLE.c.releases_data).where(_TABLE.c.uuid == row.uuid)
        stored = (await connection.execute(query)).scalar_one_or_none()
    return ReleaseNews(problem, now, text if text != stored else None)


@dataclass(frozen=True, slots=True)
class Wish:
    """What speaks for a reading: somebody asks or a tag moved, units need the files, the last reading failed."""

    is_asked: bool
    is_needed: bool
    has_failed: bool


def is_due(last: datetime | None, due: datetime | None, now: datetime, wish: Wish) -> bool:
    """Tell whether it is time to read releases.

    Args:
        last: when they were read or should have been; None for never.
        due: until when it was to wait when it was too early last time.
        now: aware, as `last` and `due`.
        wish: what speaks for it.
    """
    if last is None:
        return True
    if not wish.is_needed:
        return wish.has_failed and now - last >= RETRY_INTERVAL
    awaited = wish.is_asked or (due is not None and last < due <= now)
    return now - last >= (LEAST_INTERVAL if awaited else INTERVAL)


def are_awaited(now: datetime) -> ColumnElement[bool]:
    """Of a registry's row: somebody asked too early for releases that units need, and now it is time."""
    last, due = _TABLE.c.releases_datetime, _TABLE.c.releases_due_datetime
    unread = or_(last.is_(None), and_(last < due, last <= now - LEAST_INTERVAL))
    return and_(due <= now, unread, _IS_NEEDED)


def dump_releases(releases: Releases) -> tuple[str, str | None]:
    """Return the column's text, the newest releases as far as they fit into 1 MiB, and what is to be told."""
    parts: list[str] = []
    size = 2
    for tag, files in releases.items():
        part = f"{json.dumps(tag)}: {json.dumps([[file.name, file.link] for file in files])}"
        size += len(part) + 2
        if size > MOST_KEPT:
            told = f"{_CUT}{len(parts)} are kept; delete those that no unit needs"
            return "{" + ", ".join(parts) + "}", told
        parts.append(part)
    return "{" + ", ".join(parts) + "}", None


def read_releases(stored: str | None) -> dict[str, list[tuple[str, str]]]:
    """Return what the column says: by tag the names and the links of files; nothing where it holds junk."""
    if not stored:
        return {}
    try:
        return _STORED.decode(stored)
    except (ValueError, RecursionError):
        return {}


async def _claim(context: Context, row: Row[Any], now: datetime) -> bool:
    """Note that the question begins; False where another fetch of the registry has just asked it."""
    last = _TABLE.c.releases_datetime
    free = or_(last.is_(None), last <= now - LEAST_INTERVAL)
    query = _TABLE.update().where(_TABLE.c.uuid == row.uuid, free).values(releases_datetime=now)
    async with context.database.write() as connection:
        return bool((await connection.execute(query)).rowcount)


def _put_off(row: Row[Any], before: str | None, wish: Wish, last: datetime) -> ReleaseNews:
    """Tell when to ask, as it is too early; it is no news where the row says so already."""
    due = last + LEAST_INTERVAL if wish.is_asked and wish.is_needed else None
    return ReleaseNews(before, due=None if due == row.releases_due_datetime else due)


def _told(row: Row[Any]) -> str | None:
    """Return what the row tells about releases alone."""
    return row.sync_error if row.sync_error and row.sync_error.startswith(_PROBLEM) else None
