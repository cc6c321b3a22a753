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
from sqlalchemy import Row, exists, select

from pepeunit_gateway.errors import GitPlatformClientError, RepositoryRegistryError
from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.firmware.platform_api import PausedError
from pepeunit_gateway.firmware.release_files import MOST_KEPT, Releases
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.storage.tables import repos, repository_registry

__all__ = [
    "INTERVAL",
    "RELEASE_COLUMNS",
    "Reading",
    "ReleaseNews",
    "check_size",
    "dump_releases",
    "follow_releases",
    "is_due",
    "read_releases",
]

log = structlog.get_logger(__name__)

INTERVAL = timedelta(minutes=5)
"""How often releases are read where units need them: a release may appear long after its tag."""

_TABLE = repository_registry
RELEASE_COLUMNS = (
    _TABLE.c.platform,
    _TABLE.c.sync_error,
    _TABLE.c.releases_datetime,
    exists(select(repos.c.uuid).where(repos.c.repository_registry_uuid == _TABLE.c.uuid, repos.c.is_compilable_repo))
    .correlate(_TABLE)
    .label("has_compilable_repo"),
)
"""What this module looks at, beside uuid, repository_url and local_repository_size."""

_PROBLEM = "Releases: "
_STORED = Decoder(dict[str, list[tuple[str, str]]])


class Reading(Enum):
    """Whether releases are read after a fetch."""

    ALWAYS = "somebody asks for them"
    DUE = "the fetch brought something, or it is time"
    NEVER = "another gateway does"


@dataclass(frozen=True, slots=True)
class ReleaseNews:
    """What came of it: `asked` when the question began, `text` what is new for the column releases_data."""

    problem: str | None = None
    asked: datetime | None = None
    text: str | None = None

    @property
    def changed(self) -> bool:
        """Whether there are other files now than before."""
        return self.text is not None

    async def store(self, act: Act, registry: UUID) -> None:
        """Write it, unless somebody who asked later has written already."""
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
    """Read the releases, if that is asked for or due.

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
    due = is_due(row.releases_datetime, now, changed=changed, needed=row.has_compilable_repo or before is not None)
    if reading is Reading.NEVER or (reading is Reading.DUE and not due):
        return ReleaseNews(before)
    try:
        text, problem = await asyncio.to_thread(dump_releases, await client.releases())
    except GitPlatformClientError as error:
        if before != _PROBLEM + error.message:
            log.warning("repository.releases.failed", repository=str(row.uuid), reason=error.message)
        # one that was not even asked is asked as soon as it may be
        return ReleaseNews(_PROBLEM + error.message, None if isinstance(error, PausedError) else now)
    async with context.database.read() as connection:
        query = select(_TABLE.c.releases_data).where(_TABLE.c.uuid == row.uuid)
        stored = (await connection.execute(query)).scalar_one_or_none()
    return ReleaseNews(problem, now, text if text != stored else None)


def is_due(last: datetime | None, now: datetime, *, changed: bool, needed: bool) -> bool:
    """Tell whether it is time to read releases that nobody asks for.

    Args:
        last: when they were read or should have been; None for never.
        now: aware, as `last`.
        changed: a branch or tag moved.
        needed: there are units that wait for them, or the last reading failed.
    """
    return changed or last is None or (needed and now - last >= INTERVAL)


def dump_releases(releases: Releases) -> tuple[str, str | None]:
    """Return the column's text, the newest releases as far as they fit into 1 MiB, and what is to be told."""
    parts: list[str] = []
    size = 2
    for tag, files in releases.items():
        part = f"{json.dumps(tag)}: {json.dumps([[file.name, file.link] for file in files])}"
        size += len(part) + 2
        if size > MOST_KEPT:
            told = f"{_PROBLEM}only the newest {len(parts)} are kept; delete those that no unit needs"
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


def _told(row: Row[Any]) -> str | None:
    """Return what the row tells about releases alone."""
    return row.sync_error if row.sync_error and row.sync_error.startswith(_PROBLEM) else None
