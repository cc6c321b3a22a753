"""Routes of users. Source: protocol/rest.md 2.3, decisions.md 4, 12 and 17."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field, SecretStr

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole, UserStatus
from pepeunit_gateway.access.rules import require_user
from pepeunit_gateway.api.models import BodyModel, ChangeModel, PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.proxies import ClientAddress
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import FeatureFlagError, NoAccessError, TooManyRequestsError, UnauthorizedError, UserError
from pepeunit_gateway.registry.changes import UNSET
from pepeunit_gateway.registry.listing import OrderBy
from pepeunit_gateway.registry.registry import Registry
from pepeunit_gateway.registry.users import UserFilter

__all__ = ["routes"]

routes = RouteTable("/users", tag="Users", about="People and their tokens.", entity="user")

_LOGIN_RULE = "4 to 20 of letters, digits, _ - .; no number, which could be a chat id"
_PASSWORD_RULE = "8 to 100 ASCII letters, digits and punctuation"  # noqa: S105 - a rule, not a password
_TAKEN = UserError("the login alice is taken", conflict=True)
_USERS_ONLY = NoAccessError("only a User may do this")
_ADMINS_ONLY = NoAccessError("only an Admin may do this")
_LAST_ADMIN = UserError("this is the last Admin; make another one first", conflict=True)
_NO_BOT = FeatureFlagError("there is no messenger's bot here; PU_TELEGRAM_TOKEN turns it on once it is available")
_TOO_MANY = TooManyRequestsError("too many passwords at once; try again in a moment", retry_after=1)
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

    login: str = Field(description=_LOGIN_RULE)
    password: SecretStr = Field(description=_PASSWORD_RULE)


class Login(BodyModel):
    examples: ClassVar = {"Login and password": {"credentials": "alice", "password": "correct-horse-9"}}

    credentials: str = Field(description="the login, or the chat id of the messenger that the account is linked to")
    password: SecretStr


class UserChange(ChangeModel):
    examples: ClassVar = {"Another password": {"password": "battery-staple-7"}, "Another login": {"login": "alice-b"}}

    login: str | None = Field(
        None, description="4 to 20 of letters, digits, _ - .; no number, which could be a chat id"
    )
    password: SecretStr | None = Field(None, description="8 to 100 ASCII letters, digits and punctuation")


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
    login_only=True,
    errors=(
        UnauthorizedError("registration is closed; an Admin creates users (PU_REGISTRATION)"),
        _ADMINS_ONLY,
        _TAKEN,
        UserError("the password must have 8 to 100 characters"),
        UserError("the login may not be a number: it could be taken for the chat id of a messenger"),
        _TOO_MANY,
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
        TooManyRequestsError("too many failed logins; wait 840 s, then try again", retry_after=840),
        _TOO_MANY,
    ),
)
async def get_token(registry: Registry, agent: Agent, client: ClientAddress, body: Login) -> TokenRead:
    """Log in: exchange login and password for a token. Send no token with it.

    After some failures with one name or from one address (PU_LOGIN_MAX_FAILURES, PU_LOGIN_ADDRESS_MAX_FAILURES) further
    logins are refused for as long as Retry-After says, with the right password too. Another name of the same account is
    answered 401 meanwhile.
    """
    if agent.type is not AgentType.BOT:
        raise NoAccessError(_TOKEN_SENT.message)
    token = await registry.logins.login(body.credentials, body.password.get_secret_value(), client.site)
    return TokenRead(token=token)


@routes.get(
    "/generate_verification_link/",
    also="/generate_verification_link",
    token=Token.REQUIRED,
    login_only=True,
    errors=(_USERS_ONLY, _NO_BOT),
)
async def generate_verification_link(agent: Agent) -> str:
    """Return a link that joins the account with a messenger. Not available: there is no bot yet."""
    require_user(agent)
    raise FeatureFlagError(_NO_BOT.message)


@routes.get("/{uuid}", token=Token.REQUIRED, errors=(_USERS_ONLY,))
async def get_user(registry: Registry, agent: Agent, uuid: UUID) -> UserRead:
    """Return one user's public fields."""
    return UserRead.model_validate(await registry.users.get(agent, uuid))


@routes.get("", token=Token.REQUIRED, errors=(_USERS_ONLY,))
async def get_users(registry: Registry, agent: Agent, query: UserQuery) -> UserList:
    """List users."""
    page = await registry.users.page(agent, UserFilter(**query.filters(), paging=query.paging))
    return UserList(count=page.count, users=[UserRead.model_validate(user) for user in page.items])


@routes.patch("/{uuid}", token=Token.REQUIRED, login_only=True, errors=(_USERS_ONLY, _TAKEN, _TOO_MANY))
async def update_user(registry: Registry, agent: Agent, uuid: UUID, body: UserChange) -> UserRead:
    """Change your own login or password.

    Always the caller is changed, whatever the path says. A new password ends all earlier tokens, named ones too.
    """
    del uuid  # the contract ignores it
    values = body.sent()
    password = values["password"].get_secret_value() if "password" in values else UNSET
    user = await registry.users.edit(agent, login=values.get("login", UNSET), password=password)
    return UserRead.model_validate(user)


@routes.patch("/block/{uuid}", token=Token.REQUIRED, login_only=True, errors=(_ADMINS_ONLY, _LAST_ADMIN))
async def block_user(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Block a user; an Admin may. All their tokens end at once, named ones too. The last Admin stays."""
    await registry.users.block(agent, uuid)


@routes.patch("/unblock/{uuid}", token=Token.REQUIRED, login_only=True, errors=(_ADMINS_ONLY,))
async def unblock_user(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Let a blocked user in again; an Admin may."""
    await registry.users.unblock(agent, uuid)


@routes.delete(
    "/{uuid}",
    token=Token.REQUIRED,
    login_only=True,
    errors=(
        NoAccessError("only an Admin and the user themself may do this"),
        UserError("the Repo thermometer has units of other people; they must be deleted first", conflict=True),
        _LAST_ADMIN,
    ),
)
async def delete_user(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Delete a user with their units, Repos, links, permissions and tokens; an Admin may, and the user themself.

    Repositories that they registered stay. Refused while a Repo of theirs has units of other people, and for the last
    Admin.
    """
    await registry.users.delete(agent, uuid)
