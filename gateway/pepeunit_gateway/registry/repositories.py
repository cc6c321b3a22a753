"""RepositoryRegistry: the git repositories that the platform mirrors. Source: protocol/entities.md 1.2, rest.md 2.4."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, AgentType
from pepeunit_gateway.access.repositories import (
    may_read_repository,
    may_read_trouble,
    may_see_repository,
    require_repository_sight,
    require_repository_use,
)
from pepeunit_gateway.access.rules import require_creator_or_admin, require_user
from pepeunit_gateway.errors import (
    CipherError,
    NotFoundError,
    RepositoryRegistryError,
)
from pepeunit_gateway.firmware.mirrors import Commit, Credentials
from pepeunit_gateway.firmware.urls import check_url, normal_url
from pepeunit_gateway.registry.audit import Subject, record_deletion
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.credentials import CredentialSlot, read_slots, with_slot, write_slots
from pepeunit_gateway.registry.entities import (
    CredentialStatus,
    GitPlatform,
    Page,
    Repository,
    RepositoryStatus,
    from_row,
)
from pepeunit_gateway.registry.fetch_limits import claim_fetch, limit_registration, note_fetch
from pepeunit_gateway.registry.listing import FIRST_PAGE, OrderBy, Paging, fetch_page, ordered, search
from pepeunit_gateway.registry.syncing import sync_repository, try_credentials
from pepeunit_gateway.storage.tables import repos, repository_registry

__all__ = ["NewRepository", "Repositories", "RepositoryFilter", "require_registry_access"]

log = structlog.get_logger(__name__)

_USERNAME_LENGTH = 255
_TOKEN_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class NewRepository:
    platform: GitPlatform
    repository_url: str
    is_public_repository: bool
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class RepositoryFilter:
    """Absent means "all"."""

    uuids: Sequence[UUID] = ()
    creator_uuid: UUID | None = None
    search_string: str | None = None
    is_public_repository: bool | None = None
    order_by_create_date: OrderBy = OrderBy.DESC
    order_by_last_update: OrderBy = OrderBy.DESC
    paging: Paging = FIRST_PAGE


class Repositories:
    """Registration, synchronisation and reading of git repositories."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, agent: Agent, new: NewRepository) -> Repository:
        """Register a repository and fetch it once; a failed fetch is told in `sync_status` and `sync_error`.

        Raises:
            RepositoryRegistryError: the address is refused, is registered already (409), or credentials are missing.
            TooManyRequestsError: it was fetched a moment ago, or the user registers too many (W13).
        """
        user = require_user(agent)
        settings = self._context.settings
        url = normal_url(new.repository_url)
        check_url(
            url,
            platform=new.platform.value,
            allow_private=settings.git_allow_private,
            allow_file=settings.git_file_folders,
        )
        cipher_text = None
        if not new.is_public_repository:
            _require_server(url)
            _check_credentials(new.credentials)
            slots = with_slot({}, user, new.credentials) if new.credentials else {}
            cipher_text = write_slots(self._context.cipher, slots)
        uuid = uuid4()
        taken = RepositoryRegistryError(f"{url} is registered already", conflict=True)
        if await self._is_registered(url):
            raise taken
        await limit_registration(self._context, user, url)
        async with self._context.act(agent) as act:
            with unique(taken):
                await act.connection.execute(
                    repository_registry.insert().values(
                        uuid=uuid,
                        platform=new.platform.value,
                        repository_url=url,
                        is_public_repository=new.is_public_repository,
                        cipher_credentials_private_repository=cipher_text,
                        local_repository_size=0,
                        sync_status=RepositoryStatus.PROCESSING.value,
                        asked_datetime=act.now,
                        create_datetime=act.now,
                        last_update_datetime=act.now,
                        creator_uuid=user,
                    )
                )
        await sync_repository(self._context, uuid)
        return await self.get(agent, uuid)

    async def get(self, agent: Agent, uuid: UUID) -> Repository:
        """Return one repository; without a token only a public one, and of a private one only what `agent` may read."""
        async with self._context.database.read() as connection:
            row = await _load(connection, uuid)
        require_repository_sight(agent, is_public=row.is_public_repository)
        return await self._entity(agent, row)

    async def page(self, agent: Agent, wanted: RepositoryFilter) -> Page[Repository]:
        """Return a page of repositories."""
        table = repository_registry
        query = select(table).where(*search(wanted.search_string, table.c.repository_url))
        public_only = wanted.is_public_repository if may_see_repository(agent, is_public=False) else True
        if public_only is not None:
            query = query.where(table.c.is_public_repository == public_only)
        if wanted.uuids:
            query = query.where(table.c.uuid.in_(list(wanted.uuids)))
        if wanted.creator_uuid:
            query = query.where(table.c.creator_uuid == wanted.creator_uuid)
        query = query.order_by(
            ordered(table.c.create_datetime, wanted.order_by_create_date),
            ordered(table.c.last_update_datetime, wanted.order_by_last_update),
            table.c.uuid,
        )
        async with self._context.database.read() as connection:
            count, rows = await fetch_page(connection, query, wanted.paging)
        return Page(count, [await self._entity(agent, row) for row in rows])

    async def branch_commits(
        self, agent: Agent, uuid: UUID, branch: str, *, only_tag: bool, offset: int, limit: int
    ) -> list[Commit]:
        """Return commits of a branch, newest first; a limit of 0 gives none (decisions.md 5)."""
        require_user(agent)
        async with self._context.database.read() as connection:
            row = await _load(connection, uuid)
        require_registry_access(self._context, agent, row)
        if limit == 0:
            return []
        return await self._context.mirrors.commits(uuid, branch, offset=offset, limit=limit, only_tag=only_tag)

    async def update_local(self, agent: Agent, uuid: UUID) -> None:
        """Fetch now; not more often than PU_MIN_INTERVAL_SYNC_REPOSITORY (W13)."""
        require_user(agent)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            require_registry_access(self._context, agent, row)
            await claim_fetch(act, self._context, row)
        await note_fetch(self._context, row.repository_url)
        await sync_repository(self._context, uuid)

    async def set_credentials(self, agent: Agent, uuid: UUID, credentials: Credentials) -> None:
        """Store the caller's credentials of a private repository and try them.

        Raises:
            RepositoryRegistryError: the repository is public, or it opens to anybody, so that they prove nothing.
        """
        user = require_user(agent)
        _check_credentials(credentials)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            _require_private(row)
            await claim_fetch(act, self._context, row)
            slots = read_slots(self._context.cipher, row.cipher_credentials_private_repository)
            text = write_slots(self._context.cipher, with_slot(slots, user, credentials))
            await act.connection.execute(
                repository_registry.update()
                .where(repository_registry.c.uuid == uuid)
                .values(cipher_credentials_private_repository=text)
            )
        await note_fetch(self._context, row.repository_url)
        await try_credentials(self._context, uuid, user, credentials)

    async def get_credentials(self, agent: Agent, uuid: UUID) -> CredentialSlot | None:
        """Return the caller's own slot."""
        user = require_user(agent)
        async with self._context.database.read() as connection:
            row = await _load(connection, uuid)
        _require_private(row)
        return read_slots(self._context.cipher, row.cipher_credentials_private_repository).get(user)

    async def delete(self, agent: Agent, uuid: UUID) -> None:
        """Delete a repository that no Repo uses; the row first, then the mirror."""
        require_user(agent)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            require_creator_or_admin(agent, row.creator_uuid)
            used = select(func.count()).select_from(repos).where(repos.c.repository_registry_uuid == uuid)
            if (await act.connection.execute(used)).scalar_one():
                raise RepositoryRegistryError("Repos still use this repository; delete them first", conflict=True)
            await record_deletion(act, agent, row.creator_uuid, Subject("Repository", uuid, row.repository_url))
            await act.connection.execute(repository_registry.delete().where(repository_registry.c.uuid == uuid))
        try:
            await self._context.forget_repository(uuid)
        except RepositoryRegistryError as error:  # the row is gone, which is what was asked for; the poll tries again
            log.warning("repository.mirror.stays", repository=str(uuid), reason=error.message)

    async def _is_registered(self, url: str) -> bool:
        query = select(repository_registry.c.uuid).where(repository_registry.c.repository_url == url)
        async with self._context.database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def _entity(self, agent: Agent, row: Row[Any]) -> Repository:
        uuid: UUID = row.uuid
        try:
            has_valid = _has_valid_credentials(self._context, agent, row)
        except CipherError:  # what cannot be read proves nothing, and sync_error says what to do
            has_valid = False
        may_read = may_read_repository(agent, is_public=row.is_public_repository, has_valid_credentials=has_valid)
        found = from_row(Repository, row, is_webhook_set=row.cipher_webhook_secret is not None)
        if not may_read:
            is_mender = may_read_trouble(agent, creator=row.creator_uuid, may_read=may_read)
            return replace(found, releases_data=None, sync_error=row.sync_error if is_mender else None)
        if not self._context.mirrors.exists(uuid):
            return found
        return replace(found, branches=await self._context.mirrors.branches(uuid))


async def _load(connection: AsyncConnection, uuid: UUID) -> Row[Any]:
    query = select(repository_registry).where(repository_registry.c.uuid == uuid)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no repository {uuid}")
    return row


def _check_credentials(credentials: Credentials | None) -> None:
    if credentials is None or not credentials.username or not credentials.pat_token:
        raise RepositoryRegistryError("a private repository needs credentials: username and pat_token, both filled")
    if len(credentials.username) > _USERNAME_LENGTH or len(credentials.pat_token) > _TOKEN_LENGTH:
        raise RepositoryRegistryError(f"username may have {_USERNAME_LENGTH} characters, pat_token {_TOKEN_LENGTH}")


def _require_server(url: str) -> None:
    if _is_file(url):
        raise RepositoryRegistryError(
            "a file:// repository asks nobody for credentials, so it cannot be private here; register it as public, or "
            "serve it over HTTPS with a password"
        )


def _is_file(url: str) -> bool:
    return urlsplit(url).scheme == "file"


def _require_private(row: Row[Any]) -> None:
    if row.is_public_repository:
        raise RepositoryRegistryError("the repository is public; it takes no credentials")


def _has_valid_credentials(context: Context, agent: Agent, row: Row[Any]) -> bool:
    """Tell whether the agent's own credentials of a private repository worked.

    Of a file:// repository that is private nobody's credentials prove anything, but its creator may read it.
    """
    if row.is_public_repository or agent.type is not AgentType.USER or agent.uuid is None:
        return False
    slot = read_slots(context.cipher, row.cipher_credentials_private_repository).get(agent.uuid)
    is_valid = slot is not None and slot.status is CredentialStatus.VALID
    return is_valid and (not _is_file(row.repository_url) or row.creator_uuid == agent.uuid)


def require_registry_access(context: Context, agent: Agent, row: Row[Any]) -> None:
    """Let a User pass to a public repository, or to a private one with credentials that worked.

    Raises:
        NoAccessError: the caller's own credentials are missing or not valid.
    """
    is_valid = _has_valid_credentials(context, agent, row)
    require_repository_use(agent, is_public=row.is_public_repository, has_valid_credentials=is_valid)
