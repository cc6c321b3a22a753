"""Routes of the repository registry. Source: protocol/rest.md 2.4."""

from uuid import UUID

from pydantic import Field, SecretStr

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.api.models import BodyModel, PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.registry.entities import CredentialStatus, GitPlatform, RepositoryStatus
from pepeunit_gateway.registry.listing import OrderBy
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.repositories import NewRepository, RepositoryFilter

__all__ = ["routes"]

routes = RouteTable("/repository_registry", tag="Repository registry")


class RepositoryRegistryRead(ReadModel):
    uuid: UUID
    platform: GitPlatform
    repository_url: str
    is_public_repository: bool
    releases_data: str | None
    local_repository_size: int
    sync_status: RepositoryStatus | None
    sync_error: str | None
    sync_last_datetime: UtcTime | None
    create_datetime: UtcTime
    last_update_datetime: UtcTime
    creator_uuid: UUID | None
    branches: list[str]


class RepositoryRegistryList(ReadModel):
    count: int
    repositories_registry: list[RepositoryRegistryRead]


class CommitRead(ReadModel):
    commit: str
    summary: str
    tag: str | None


class CredentialsBody(BodyModel):
    username: str
    pat_token: SecretStr

    def plain(self) -> Credentials:
        return Credentials(self.username, self.pat_token.get_secret_value())


class CredentialsRead(ReadModel):
    username: str
    pat_token: str


class CredentialSlotRead(ReadModel):
    credentials: CredentialsRead
    status: CredentialStatus


class NewRepositoryRegistry(BodyModel):
    platform: GitPlatform
    repository_url: str = Field(description="an address that ends in .git")
    is_public_repository: bool
    credentials: CredentialsBody | None = Field(None, description="required for a private repository")


class RepositoryRegistryQuery(PageQuery):
    uuids: list[UUID] = Field(default_factory=list)
    creator_uuid: UUID | None = None
    search_string: str | None = Field(None, description="every word must occur in the address")
    is_public_repository: bool | None = None
    order_by_create_date: OrderBy = OrderBy.DESC
    order_by_last_update: OrderBy = OrderBy.DESC


class CommitQuery(PageQuery):
    repo_branch: str
    only_tag: bool = False
    limit: int = Field(
        10, json_schema_extra={"minimum": 0, "maximum": 500}, description="0 means none, unlike elsewhere"
    )


@routes.post("", token=Token.REQUIRED, status=201, errors=(409,))
async def create_repository_registry(
    registry: Registry, agent: Agent, body: NewRepositoryRegistry
) -> RepositoryRegistryRead:
    """Register a git repository and fetch it.

    A fetch that fails still answers 201; sync_status is Error and sync_error says why.
    """
    new = NewRepository(
        platform=body.platform,
        repository_url=body.repository_url,
        is_public_repository=body.is_public_repository,
        credentials=body.credentials.plain() if body.credentials else None,
    )
    return RepositoryRegistryRead.model_validate(await registry.repositories.create(agent, new))


@routes.get("/{uuid}", token=Token.OPTIONAL)
async def get_repository_registry(registry: Registry, agent: Agent, uuid: UUID) -> RepositoryRegistryRead:
    """Return one repository; without a token only a public one."""
    return RepositoryRegistryRead.model_validate(await registry.repositories.get(agent, uuid))


@routes.get("", token=Token.OPTIONAL)
async def get_repositories_registry(
    registry: Registry, agent: Agent, query: RepositoryRegistryQuery
) -> RepositoryRegistryList:
    """List repositories; without a token only public ones."""
    page = await registry.repositories.page(agent, RepositoryFilter(**query.filters(), paging=query.paging))
    rows = [RepositoryRegistryRead.model_validate(row) for row in page.items]
    return RepositoryRegistryList(count=page.count, repositories_registry=rows)


@routes.get("/branch_commits/{uuid}", token=Token.REQUIRED)
async def get_branch_commits(registry: Registry, agent: Agent, uuid: UUID, query: CommitQuery) -> list[CommitRead]:
    """List the commits of a branch, newest first."""
    commits = await registry.repositories.branch_commits(
        agent, uuid, query.repo_branch, only_tag=query.only_tag, offset=query.offset, limit=query.limit
    )
    return [CommitRead.model_validate(commit) for commit in commits]


@routes.patch("/set_credentials/{uuid}", token=Token.REQUIRED)
async def set_credentials(registry: Registry, agent: Agent, uuid: UUID, body: CredentialsBody) -> None:
    """Store your own credentials of a private repository and try them."""
    await registry.repositories.set_credentials(agent, uuid, body.plain())


@routes.get("/get_credentials/{uuid}", token=Token.REQUIRED)
async def get_credentials(registry: Registry, agent: Agent, uuid: UUID) -> CredentialSlotRead | None:
    """Return your own credentials of a private repository, or null."""
    slot = await registry.repositories.get_credentials(agent, uuid)
    return None if slot is None else CredentialSlotRead.model_validate(slot)


@routes.patch("/update_local_repository/{uuid}", token=Token.REQUIRED)
async def update_local_repository(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Fetch the repository now."""
    await registry.repositories.update_local(agent, uuid)


@routes.delete("/{uuid}", token=Token.REQUIRED, errors=(409,))
async def delete_repository_registry(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Delete a repository that no Repo uses; its creator may."""
    await registry.repositories.delete(agent, uuid)
