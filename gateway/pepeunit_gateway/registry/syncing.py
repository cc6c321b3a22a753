"""Bring a mirror up to date and tell the registry row how it went.

Source: protocol/firmware.md 7.2, W19 and W20 (the stored credentials are used whoever asks; a failure harms nobody).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, Select, select

from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.errors import CipherError, GitRepoError, NotFoundError, RepositoryRegistryError
from pepeunit_gateway.firmware.mirrors import Credentials, SyncResult
from pepeunit_gateway.firmware.remotes import FetchError, Reason
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.credentials import candidates, read_slots
from pepeunit_gateway.registry.entities import CredentialStatus, RepositoryStatus
from pepeunit_gateway.registry.refs_states import RefsState, record_state
from pepeunit_gateway.registry.releases import RELEASE_COLUMNS, Reading, ReleaseNews, check_size, follow_releases
from pepeunit_gateway.registry.slot_marks import accept, mark, require_proof
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["SyncOutcome", "sync_repository", "try_credentials"]

log = structlog.get_logger(__name__)

_NO_NEWS = ReleaseNews()
_ROUNDS = 3

SyncOutcome = tuple[bool, bool]
"""Whether the fetch succeeded, and whether a branch, a tag or a release changed."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A fetch with these credentials: its result, or else what is to be told and what it says about them.

    `is_open`: it worked, but that proves nothing, because it works without any; None if that could not be found out.
    """

    credentials: Credentials | None
    result: SyncResult | None
    problem: str = ""
    reason: Reason = Reason.OTHER
    is_open: bool | None = False


async def sync_repository(
    context: Context, uuid: UUID, *, told: bool = False, releases: Reading = Reading.ASKED
) -> SyncOutcome:
    """Fetch with the stored credentials; a failure is told by the row's `sync_status` and `sync_error`.

    What is new is announced, so that other gateways fetch it into their mirrors too; not if they `told` this one.
    `releases` says whether those are read after a fetch that succeeded.

    Raises:
        NotFoundError: the row has gone.
    """
    row = await _load(context, uuid)
    try:
        stored = _stored(context, row)
    except CipherError as error:
        await _record(context, row, None, error.message)
        return False, False
    attempt = await _try(context, row, stored or [None])
    if attempt.result is None:
        await _record(context, row, None, attempt.problem)
        return False, False
    mended = row.sync_status != RepositoryStatus.UPDATED.value
    return True, await _succeeded(context, row, attempt, releases, mended=mended, told=told)


async def try_credentials(context: Context, uuid: UUID, user: UUID, credentials: Credentials) -> None:
    """Fetch with these credentials and note at their slots whether they work; what is new is announced.

    A failure says nothing about the repository while others' credentials work, so its status stays. Where the server
    claims that there is no repository, others' credentials tell whether that is so.

    Raises:
        RepositoryRegistryError: they work, but prove nothing of `user`, who is not the creator.
    """
    row = await _load(context, uuid)
    attempt = await _try(context, row, [credentials])
    others = [other for other in _stored(context, row) if other != credentials]
    if attempt.reason is Reason.ABSENT and others:
        other = await _try(context, row, others)
        if other.result:
            await mark(context, row, credentials, CredentialStatus.ERROR, {user})
            attempt = other
    if attempt.result:
        await _succeeded(context, row, attempt, Reading.ASKED)
        if attempt.credentials == credentials and user != row.creator_uuid:
            require_proof(is_open=attempt.is_open)
    elif row.sync_status != RepositoryStatus.UPDATED.value:
        await _record(context, row, None, attempt.problem)


async def _load(context: Context, uuid: UUID) -> Row[Any]:
    table = repository_registry
    own = (
        table.c.uuid,
        table.c.repository_url,
        table.c.sync_status,
        table.c.creator_uuid,
        table.c.local_repository_size,
        table.c.cipher_credentials_private_repository,
        table.c.refs_number,
        table.c.refs_key,
    )
    query: Select[Any] = select(*own, *RELEASE_COLUMNS).where(table.c.uuid == uuid)
    async with context.database.read() as connection:
        row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no repository {uuid}")
    return row


def _stored(context: Context, row: Row[Any]) -> list[Credentials]:
    slots = read_slots(context.cipher, row.cipher_credentials_private_repository)
    return candidates(slots, context.clock())


async def _try(context: Context, row: Row[Any], order: Sequence[Credentials | None]) -> _Attempt:
    """Fetch with one after the other until one works or what goes wrong has nothing to do with credentials.

    Each is marked. One that saw no repository is refused by it if another one sees it; if none does, there is none.
    """
    blind: list[Credentials] = []
    for credentials in order:
        attempt = await _fetch(context, row, credentials)
        if attempt.result:
            attempt = replace(attempt, is_open=await accept(context, row, credentials))
            for other in blind:
                await mark(context, row, other, CredentialStatus.ERROR)
            break
        if attempt.reason is Reason.REFUSED:
            await mark(context, row, credentials, CredentialStatus.ERROR)
        elif attempt.reason is Reason.ABSENT and credentials:
            blind.append(credentials)
        else:
            break
    return attempt


async def _fetch(context: Context, row: Row[Any], credentials: Credentials | None) -> _Attempt:
    try:
        await check_size(context, row, credentials)
        return _Attempt(credentials, await _fetch_state(context, row, credentials))
    except FetchError as error:
        return _Attempt(credentials, None, error.message, error.reason)
    except (GitRepoError, RepositoryRegistryError) as error:
        return _Attempt(credentials, None, error.message)
    except OSError as error:
        problem = f"the mirror cannot be written: {error.strerror}; check the disk of the gateway"
        return _Attempt(credentials, None, problem)


async def _fetch_state(context: Context, row: Row[Any], credentials: Credentials | None) -> SyncResult:
    """Fetch and record the state that is there now; anew if another gateway recorded one while this one fetched.

    What is not recorded after three rounds, this gateway does not write by; it begins anew when it would.
    """
    began, changed = RefsState(row.refs_number, row.refs_key), False
    for _ in range(_ROUNDS):
        result = await context.mirrors.sync(row.uuid, row.repository_url, credentials, owner=row.creator_uuid)
        changed = changed or result.changed
        other = await record_state(context, row.uuid, began)
        if other is None:
            break
        began = other
    return replace(result, changed=changed)


async def _succeeded(
    context: Context,
    row: Row[Any],
    attempt: _Attempt,
    releases: Reading,
    *,
    mended: bool = False,
    told: bool = False,
) -> bool:
    """Read releases, tell the row and whoever wants to know; return whether there is anything new."""
    if attempt.result is None:
        return False
    moved = attempt.result.changed or mended
    news = await follow_releases(context, row, attempt.credentials, releases, changed=moved)
    await _record(context, row, attempt.result, news.problem, news)
    changed = attempt.result.changed or news.changed
    if changed and not told:
        context.bus.publish(Change.REPOSITORY, [row.uuid])
    return changed


async def _record(
    context: Context,
    row: Row[Any],
    result: SyncResult | None,
    problem: str | None,
    news: ReleaseNews = _NO_NEWS,
) -> None:
    if result and problem == row.sync_error and news == ReleaseNews(problem) and await _stamped(context, row, result):
        return
    table = repository_registry
    status = RepositoryStatus.UPDATED if result else RepositoryStatus.ERROR
    values: dict[str, object] = {"sync_status": status.value, "sync_error": problem or None}
    if result:
        values["local_repository_size"] = result.size
    async with context.act() as act:
        values["sync_last_datetime"] = act.now
        written = await act.connection.execute(table.update().where(table.c.uuid == row.uuid).values(values))
        await news.store(act, row.uuid)
    if not written.rowcount:  # deleted while it was fetched: what the fetch left goes too
        await context.forget_repository(row.uuid)
    elif not result and row.sync_status != status.value:
        log.warning("repository.sync.failed", repository=str(row.uuid), reason=problem)


async def _stamped(context: Context, row: Row[Any], result: SyncResult) -> bool:
    """Note only the time, where all else is as the row says; many registries are looked at and hardly one has news.

    That is no act: nobody waits for it, and no list is counted anew because of it.
    """
    table = repository_registry
    same = (
        (table.c.uuid == row.uuid)
        & (table.c.sync_status == RepositoryStatus.UPDATED.value)
        & (table.c.local_repository_size == result.size)
        & table.c.sync_error.is_not_distinct_from(row.sync_error)
    )
    stamp = table.update().where(same).values(sync_last_datetime=context.clock())
    async with context.database.write() as connection:
        return bool((await connection.execute(stamp)).rowcount)
