"""Routes of repos. Source: protocol/rest.md 2.5; design.md lets POST take the optional fields of PATCH."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent, VisibilityLevel
from pepeunit_gateway.api.models import BodyModel, ChangeModel, PageQuery, QueryModel, ReadModel, UtcTime
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import NoAccessError, NotFoundError, RepoError
from pepeunit_gateway.registry.listing import OrderBy
from pepeunit_gateway.registry.platforms import available_platforms
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.repos import NewRepo, RepoChange, RepoFilter

__all__ = ["routes"]

routes = RouteTable(
    "/repos", tag="Repos", about="Which commits of a repository are rolled out to units.", entity="Repo"
)

_TAKEN = RepoError("the name thermometer is taken", conflict=True)
_NO_BRANCH = RepoError("the repository has no branch master; it has: main")


class RepoRead(ReadModel):
    uuid: UUID
    visibility_level: VisibilityLevel
    name: str
    create_datetime: UtcTime
    last_update_datetime: UtcTime
    default_branch: str | None
    is_compilable_repo: bool
    is_auto_update_repo: bool
    default_commit: str | None
    is_only_tag_update: bool
    creator_uuid: UUID | None
    repository_registry_uuid: UUID


class RepoList(ReadModel):
    count: int
    repos: list[RepoRead]


class VersionRead(ReadModel):
    commit: str
    unit_count: int
    tag: str | None


class VersionsRead(ReadModel):
    unit_count: int
    versions: list[VersionRead]


class PlatformRead(ReadModel):
    name: str
    link: str


class NewRepoBody(BodyModel):
    examples: ClassVar = {
        "Every commit of a branch": {
            "repository_registry_uuid": "0e1a6f0c-5d0b-4c39-9c6c-5f1f5a1d7c11",
            "default_branch": "main",
            "visibility_level": "Public",
            "name": "thermometer",
            "is_compilable_repo": False,
            "is_auto_update_repo": True,
            "is_only_tag_update": False,
        },
        "Only tagged commits": {
            "repository_registry_uuid": "0e1a6f0c-5d0b-4c39-9c6c-5f1f5a1d7c11",
            "default_branch": "main",
            "visibility_level": "Private",
            "name": "thermometer",
            "is_compilable_repo": False,
            "is_auto_update_repo": True,
            "is_only_tag_update": True,
        },
    }

    repository_registry_uuid: UUID
    default_branch: str
    visibility_level: VisibilityLevel
    name: str = Field(description="4 to 20 of letters, digits, _ - .")
    is_compilable_repo: bool
    is_auto_update_repo: bool = True
    default_commit: str | None = None
    is_only_tag_update: bool = True


class RepoChangeBody(ChangeModel):
    """Null clears default_branch and default_commit."""

    examples: ClassVar = {
        "Stay at one commit": {
            "is_auto_update_repo": False,
            "default_branch": "main",
            "default_commit": "5c1d0a7e2b9f4a63c8d7e6f5a4b3c2d1e0f9a8b7",
        },
        "Follow the branch again": {"is_auto_update_repo": True, "default_commit": None},
    }
    clearable: ClassVar[frozenset[str]] = frozenset({"default_branch", "default_commit"})

    visibility_level: VisibilityLevel | None = None
    name: str | None = None
    is_auto_update_repo: bool | None = None
    default_branch: str | None = None
    default_commit: str | None = None
    is_only_tag_update: bool | None = None
    is_compilable_repo: bool | None = None


class RepoQuery(PageQuery):
    repository_registry_uuid: UUID | None = None
    uuids: list[UUID] = Field(default_factory=list)
    creator_uuid: UUID | None = None
    creators_uuids: list[UUID] = Field(default_factory=list)
    search_string: str | None = Field(None, description="every word must occur in name, address or default branch")
    is_auto_update_repo: bool | None = None
    visibility_level: list[VisibilityLevel] = Field(default_factory=list)
    order_by_create_date: OrderBy = OrderBy.DESC
    order_by_last_update: OrderBy = OrderBy.DESC


class PlatformQuery(QueryModel):
    target_commit: str | None = Field(None, description="whose tag names the release")
    target_tag: str | None = Field(None, description="the release; goes before target_commit")


@routes.post(
    "",
    token=Token.REQUIRED,
    status=201,
    errors=(
        NoAccessError("this private repository needs your own valid credentials; set them first"),
        NotFoundError("there is no repository 0e1a6f0c-5d0b-4c39-9c6c-5f1f5a1d7c11"),
        _TAKEN,
        _NO_BRANCH,
    ),
)
async def create_repo(registry: Registry, agent: Agent, body: NewRepoBody) -> RepoRead:
    """Create a Repo on a registered repository."""
    return RepoRead.model_validate(await registry.repos.create(agent, NewRepo(**dict(body))))


@routes.get("/{uuid}", token=Token.OPTIONAL)
async def get_repo(registry: Registry, agent: Agent, uuid: UUID) -> RepoRead:
    """Return one Repo."""
    return RepoRead.model_validate(await registry.repos.get(agent, uuid))


@routes.get("", token=Token.OPTIONAL)
async def get_repos(registry: Registry, agent: Agent, query: RepoQuery) -> RepoList:
    """List the Repos that you may see."""
    page = await registry.repos.page(agent, RepoFilter(**query.filters(), paging=query.paging))
    return RepoList(count=page.count, repos=[RepoRead.model_validate(repo) for repo in page.items])


@routes.get("/available_platforms/{uuid}", token=Token.REQUIRED)
async def get_available_platforms(
    registry: Registry, agent: Agent, uuid: UUID, query: PlatformQuery
) -> list[PlatformRead]:
    """List the compiled programs of a release; the one of the Repo's target version unless another is named.

    Only compilable Repos have any.
    """
    found = await available_platforms(
        registry.context, agent, uuid, target_commit=query.target_commit, target_tag=query.target_tag
    )
    return [PlatformRead.model_validate(platform) for platform in found]


@routes.get("/versions/{uuid}", token=Token.OPTIONAL)
async def get_versions(registry: Registry, agent: Agent, uuid: UUID) -> VersionsRead:
    """Count the units of a Repo by the commit they report, most used first."""
    return VersionsRead.model_validate(await registry.repos.versions(agent, uuid))


@routes.patch("/{uuid}", token=Token.REQUIRED, errors=(_TAKEN, _NO_BRANCH))
async def update_repo(registry: Registry, agent: Agent, uuid: UUID, body: RepoChangeBody) -> RepoRead:
    """Change a Repo; its creator may. Its units follow at once where the target commit moved."""
    return RepoRead.model_validate(await registry.repos.edit(agent, uuid, RepoChange(**body.sent())))


@routes.patch("/update_units_firmware/{uuid}", token=Token.REQUIRED)
async def update_units_firmware(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Send Update to every auto-updating unit of a Repo that does not report its target."""
    await registry.repos.update_units_firmware(agent, uuid)


@routes.post("/bulk_update", token=Token.REQUIRED, errors=(NoAccessError("only an Admin may do this"),))
async def bulk_update(registry: Registry, agent: Agent) -> None:
    """Ask for the same for every auto-updating Repo; an Admin may. The answer comes at once, the commands follow."""
    await registry.repos.bulk_update(agent)


@routes.delete(
    "/{uuid}",
    token=Token.REQUIRED,
    errors=(RepoError("the Repo still has units; delete them first", conflict=True),),
)
async def delete_repo(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Delete a Repo that has no units; its creator may, and an Admin."""
    await registry.repos.delete(agent, uuid)
