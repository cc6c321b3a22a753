"""Routes of users. Source: protocol/rest.md 2.3, decisions.md 4 and 17."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field, SecretStr

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole, UserStatus
from pepeunit_gateway.api.models import BodyModel, ChangeModel, PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import NoAccessError, TooManyRequestsError, UnauthorizedError, UserError
from pepeunit_gateway.registry.changes import UNSET
from pepeunit_gateway.registry.listing import OrderBy
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.users import UserFilter

__all__ = ["routes"]

routes = RouteTable("/users", tag="Users", about="People and their tokens.", entity="user")

_TAKEN = UserError("the login alice is taken", conflict=True)
_USERS_ONLY = NoAccessError("only a User may do this")
_ADMINS_ONLY = NoAccessError("only an Admin may do this")
_TOKEN_SENT = NoAccessError("you hold a valid token; log in without the header x-auth-token")


class UserRead(ReadModel):
    uuid: UUID
    role: UserRole
    status: UserStatus
    login: str
    grafana_org_name: UUID
    grafana_org_id: str | None
    create_datetime: UtcTime


class UserList(ReadModel):
    count: int
    users: list[UserRead]


class TokenRead(ReadModel):
    token: str


class NewUser(BodyModel):
    examples: ClassVar = {"A user": {"login": "alice", "password": "correct-horse-9"}}

    login: str = Field(description="4 to 20 of letters, digits, _ - .")
    password: SecretStr = Field(description="8 to 100 ASCII letters, digits and punctuation")


class Login(BodyModel):
    examples: ClassVar = {"Login and password": {"credentials": "alice", "password": "correct-horse-9"}}

    credentials: str = Field(description="the login")
    password: SecretStr


class UserChange(ChangeModel):
    examples: ClassVar = {"Another password": {"password": "battery-staple-7"}, "Another login": {"login": "alice-b"}}

    login: str | None = None
    password: SecretStr | None = None


class UserQuery(PageQuery):
    uuids: list[UUID] = Field(default_factory=list)
    search_string: str | None = Field(None, description="every word must occur in the login")
    role: list[UserRole] = Field(default_factory=list)
    status: list[UserStatus] = Field(default_factory=list)
    order_by_create_date: OrderBy = OrderBy.DESC


@routes.post(
    "",
    token=Token.OPTIONAL,
    status=201,
    errors=(
        UnauthorizedError("registration is closed; an Admin creates users (PU_REGISTRATION)"),
        _ADMINS_ONLY,
        _TAKEN,
        UserError("the password must have 8 to 100 characters"),
    ),
)
async def create_user(registry: Registry, agent: Agent, body: NewUser) -> UserRead:
    """Create a user.

    With an Admin's token, or without one where PU_REGISTRATION=open; then the first user becomes Admin.
    """
    user = await registry.users.register(agent, body.login, body.password.get_secret_value())
    return UserRead.model_validate(user)


@routes.post(
    "/auth",
    token=Token.REFUSED,
    errors=(
        UnauthorizedError("login or password is wrong"),
        _TOKEN_SENT,
        TooManyRequestsError("too many logins at once; try again in a moment", retry_after=1),
    ),
)
async def get_token(registry: Registry, agent: Agent, body: Login) -> TokenRead:
    """Log in: exchange login and password for a token. Send no token with it."""
    if agent.type is not AgentType.BOT:
        raise NoAccessError(_TOKEN_SENT.message)
    return TokenRead(token=await registry.users.login(body.credentials, body.password.get_secret_value()))


@routes.get("/{uuid}", token=Token.REQUIRED, errors=(_USERS_ONLY,))
async def get_user(registry: Registry, agent: Agent, uuid: UUID) -> UserRead:
    """Return one user's public fields."""
    return UserRead.model_validate(await registry.users.get(agent, uuid))


@routes.get("", token=Token.REQUIRED, errors=(_USERS_ONLY,))
async def get_users(registry: Registry, agent: Agent, query: UserQuery) -> UserList:
    """List users."""
    page = await registry.users.page(agent, UserFilter(**query.filters(), paging=query.paging))
    return UserList(count=page.count, users=[UserRead.model_validate(user) for user in page.items])


@routes.patch("/{uuid}", token=Token.REQUIRED, errors=(_USERS_ONLY, _TAKEN))
async def update_user(registry: Registry, agent: Agent, uuid: UUID, body: UserChange) -> UserRead:
    """Change your own login or password.

    Always the caller is changed, whatever the path says. A new password ends all earlier tokens.
    """
    del uuid  # the contract ignores it
    values = body.sent()
    password = values["password"].get_secret_value() if "password" in values else UNSET
    user = await registry.users.edit(agent, login=values.get("login", UNSET), password=password)
    return UserRead.model_validate(user)


@routes.patch("/block/{uuid}", token=Token.REQUIRED, errors=(_ADMINS_ONLY,))
async def block_user(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Block a user; an Admin may. All their tokens end at once."""
    await registry.users.block(agent, uuid)


@routes.patch("/unblock/{uuid}", token=Token.REQUIRED, errors=(_ADMINS_ONLY,))
async def unblock_user(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Let a blocked user in again; an Admin may."""
    await registry.users.unblock(agent, uuid)
