"""Routes of the repository registry. Source: protocol/rest.md 2.4."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field, SecretStr, field_validator

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.rules import require_token
from pepeunit_gateway.api.models import BodyModel, PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import NoAccessError, RepositoryRegistryError, TooManyRequestsError
from pepeunit_gateway.firmware.mirrors import Credentials
from pepeunit_gateway.registry.entities import CredentialStatus, GitPlatform, RepositoryStatus
from pepeunit_gateway.registry.listing import OrderBy
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.repositories import NewRepository, RepositoryFilter

__all__ = ["routes"]

routes = RouteTable(
    "/repository_registry",
    tag="Repository registry",
    about="Git repositories with programs, and the credentials of private ones.",
    entity="repository",
)

_USERS_ONLY = NoAccessError("only a User may do this")
_CREDENTIALS_NEEDED = NoAccessError("this private repository needs your own valid credentials; set them first")
_PUBLIC = RepositoryRegistryError("the repository is public; it takes no credentials")
_BACKEND_ONLY = NoAccessError("the gateway fetches what is missing by itself; nobody needs to ask for it")
_CREATOR_ONLY = NoAccessError("only the creator may do this")
_FETCHED = TooManyRequestsError(
    "https://git.example.org/alice/thermometer.git was fetched less than 10 s ago; try again in 7 s", retry_after=7
)
_TOO_EARLY = TooManyRequestsError("the repository was synchronised less than 10 s ago; try again later", retry_after=10)


class RepositoryRegistryRead(ReadModel):
    uuid: UUID
    platform: GitPlatform
    repository_url: str
    is_public_repository: bool
    releases_data: str | None = Field(description="null where a private repository is not open to you")
    local_repository_size: int
    sync_status: RepositoryStatus | None
    sync_error: str | None = Field(description="of a private repository only for whom it is open to, and its creator")
    sync_last_datetime: UtcTime | None
    create_datetime: UtcTime
    last_update_datetime: UtcTime
    creator_uuid: UUID | None
    branches: list[str] = Field(description="empty where a private repository is not open to you")
    is_webhook_set: bool


class RepositoryRegistryList(ReadModel):
    count: int
    repositories_registry: list[RepositoryRegistryRead]


class CommitRead(ReadModel):
    commit: str
    summary: str
    tag: str | None


MASKED = "********"
"""Stands for a stored token in every answer (W12)."""


class CredentialsBody(BodyModel):
    examples: ClassVar = {"A personal access token": {"username": "alice", "pat_token": "the-token-of-alice"}}

    username: str
    pat_token: SecretStr

    def plain(self) -> Credentials:
        if self.pat_token.get_secret_value() == MASKED:
            raise RepositoryRegistryError("pat_token is the mask that is shown instead of it; send the token itself")
        return Credentials(self.username, self.pat_token.get_secret_value())


class CredentialsRead(ReadModel):
    username: str
    pat_token: str = Field(description="always a mask: what was stored is never shown again")

    @field_validator("pat_token")
    @classmethod
    def _hide(cls, value: str) -> str:
        del value
        return MASKED


class CredentialSlotRead(ReadModel):
    credentials: CredentialsRead
    status: CredentialStatus


class WebhookRead(ReadModel):
    url: str = Field(description="where the git server sends its notices")
    secret: str = Field(description="what it signs them with; told this once")


class NewRepositoryRegistry(BodyModel):
    examples: ClassVar = {
        "Public, on any server that speaks git over HTTPS": {
            "platform": "Git",
            "repository_url": "https://git.example.org/alice/thermometer.git",
            "is_public_repository": True,
        },
        "Private, with your own credentials": {
            "platform": "Git",
            "repository_url": "https://git.example.org/alice/thermometer.git",
            "is_public_repository": False,
            "credentials": {"username": "alice", "pat_token": "the-token-of-alice"},
        },
        "On the gateway's disk, below PU_GIT_ALLOW_FILE": {
            "platform": "Git",
            "repository_url": "file:///home/alice/pepeunit/thermometer.git",
            "is_public_repository": True,
        },
    }

    platform: GitPlatform = Field(description="Git is any server that speaks git over HTTP")
    repository_url: str = Field(description="an address that ends in .git; kept in its normal spelling")
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


@routes.post(
    "",
    token=Token.REQUIRED,
    status=201,
    errors=(
        _USERS_ONLY,
        RepositoryRegistryError("https://git.example.org/alice/thermometer.git is registered already", conflict=True),
        RepositoryRegistryError("The repository URL must end in .git, like https://host/owner/name.git"),
        _FETCHED,
    ),
)
async def create_repository_registry(
    registry: Registry, agent: Agent, body: NewRepositoryRegistry
) -> RepositoryRegistryRead:
    """Register a git repository and fetch it.

    A fetch that fails still answers 201; sync_status is Error and sync_error says why.

    The address is kept in its normal spelling: lower-case scheme and host, no default port, no empty or dot segments.
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
    """Return one repository; without a token only a public one.

    Of a private one branches and releases are for who has valid credentials of their own.
    """
    return RepositoryRegistryRead.model_validate(await registry.repositories.get(agent, uuid))


@routes.get("", token=Token.OPTIONAL)
async def get_repositories_registry(
    registry: Registry, agent: Agent, query: RepositoryRegistryQuery
) -> RepositoryRegistryList:
    """List repositories; without a token only public ones. Branches and releases are told as for one."""
    page = await registry.repositories.page(agent, RepositoryFilter(**query.filters(), paging=query.paging))
    rows = [RepositoryRegistryRead.model_validate(row) for row in page.items]
    return RepositoryRegistryList(count=page.count, repositories_registry=rows)


@routes.get("/branch_commits/{uuid}", token=Token.REQUIRED, errors=(_CREDENTIALS_NEEDED,))
async def get_branch_commits(registry: Registry, agent: Agent, uuid: UUID, query: CommitQuery) -> list[CommitRead]:
    """List the commits of a branch, newest first."""
    commits = await registry.repositories.branch_commits(
        agent, uuid, query.repo_branch, only_tag=query.only_tag, offset=query.offset, limit=query.limit
    )
    return [CommitRead.model_validate(commit) for commit in commits]


@routes.patch("/set_credentials/{uuid}", token=Token.REQUIRED, errors=(_USERS_ONLY, _PUBLIC, _TOO_EARLY))
async def set_credentials(registry: Registry, agent: Agent, uuid: UUID, body: CredentialsBody) -> None:
    """Store your own credentials of a private repository and try them."""
    await registry.repositories.set_credentials(agent, uuid, body.plain())


@routes.get("/get_credentials/{uuid}", token=Token.REQUIRED, secret=True, errors=(_USERS_ONLY, _PUBLIC))
async def get_credentials(registry: Registry, agent: Agent, uuid: UUID) -> CredentialSlotRead | None:
    """Return your own credentials of a private repository, the token masked, or null."""
    slot = await registry.repositories.get_credentials(agent, uuid)
    return None if slot is None else CredentialSlotRead.model_validate(slot)


@routes.patch("/update_local_repository/{uuid}", token=Token.REQUIRED, errors=(_CREDENTIALS_NEEDED, _TOO_EARLY))
async def update_local_repository(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Fetch the repository now."""
    await registry.repositories.update_local(agent, uuid)


@routes.post("/webhook/{uuid}", token=Token.REQUIRED, status=201, secret=True, errors=(_CREATOR_ONLY,))
async def create_webhook(registry: Registry, agent: Agent, uuid: UUID) -> WebhookRead:
    """Make a secret with which the git server signs that something was pushed; the creator may.

    The secret is told in this answer and never again. One that was made before counts no more.
    """
    return WebhookRead.model_validate(await registry.webhooks.renew(agent, uuid))


@routes.delete("/webhook/{uuid}", token=Token.REQUIRED, errors=(_CREATOR_ONLY,))
async def delete_webhook(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Forget the secret, so that no notice of a push is taken any more; the creator may, and an Admin."""
    await registry.webhooks.remove(agent, uuid)


@routes.patch("/backend_sync_registry", token=Token.REQUIRED, errors=(_BACKEND_ONLY,))
async def backend_sync_registry(agent: Agent) -> None:
    """Refused to everybody: the gateway fetches by itself what is missing on its disk.

    It is for a Backend alone, whose token opens nothing but its connection to the broker.
    """
    require_token(agent)
    raise NoAccessError(_BACKEND_ONLY.message)


@routes.delete(
    "/{uuid}",
    token=Token.REQUIRED,
    errors=(RepositoryRegistryError("Repos still use this repository; delete them first", conflict=True),),
)
async def delete_repository_registry(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Delete a repository that no Repo uses; its creator may, and an Admin."""
    await registry.repositories.delete(agent, uuid)
