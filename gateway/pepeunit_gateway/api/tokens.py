"""Named tokens, for programs. Source: decisions.md 3 and 12."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from pepeunit_gateway.access.agents import Agent, Scope
from pepeunit_gateway.api.models import BodyModel, PageQuery, ReadModel, UtcTime
from pepeunit_gateway.api.routing import RouteTable, Token
from pepeunit_gateway.errors import NoAccessError, UserError
from pepeunit_gateway.registry.registry import Registry

__all__ = ["routes"]

routes = RouteTable(
    "/tokens",
    tag="Tokens",
    about="Tokens for your programs: named, with a scope, and revocable one by one. Only a login manages them.",
    entity="token",
)

_LOGIN_ONLY = NoAccessError("a named token cannot manage users, passwords and tokens; log in")


class NamedTokenRead(ReadModel):
    uuid: UUID
    name: str
    scope: Scope
    create_datetime: UtcTime
    expiration_datetime: UtcTime | None


class NewNamedTokenRead(NamedTokenRead):
    token: str = Field(description="the token itself, which is told this once")


class NamedTokenList(ReadModel):
    count: int
    tokens: list[NamedTokenRead]


class NewNamedToken(BodyModel):
    examples: ClassVar = {
        "For a display": {"name": "display", "scope": "Read"},
        "For a deployment, until the end of the year": {
            "name": "deployment",
            "scope": "Write",
            "expiration_datetime": "2030-01-01T00:00:00Z",
        },
    }

    name: str = Field(description="4 to 20 of letters, digits, _ - .; unique among your tokens")
    scope: Scope = Field(description="Read: what changes nothing and gives no secrets. Write: all that you may do")
    expiration_datetime: UtcTime | None = Field(None, description="absent or null: valid until it is deleted")


class TokenQuery(PageQuery):
    pass


@routes.post(
    "",
    token=Token.REQUIRED,
    status=201,
    login_only=True,
    errors=(
        _LOGIN_ONLY,
        UserError("you have a token named display already", conflict=True),
        UserError("expiration_datetime has passed; give a time to come, or leave it out"),
    ),
)
async def create_named_token(registry: Registry, agent: Agent, body: NewNamedToken) -> NewNamedTokenRead:
    """Make a token for a program. Its text is told in this answer and never again; 100 tokens are the most."""
    made, text = await registry.tokens.create(agent, body.name, body.scope, body.expiration_datetime)
    return NewNamedTokenRead(
        uuid=made.uuid,
        name=made.name,
        scope=made.scope,
        create_datetime=made.create_datetime,
        expiration_datetime=made.expiration_datetime,
        token=text,
    )


@routes.get("", token=Token.REQUIRED, login_only=True, errors=(_LOGIN_ONLY,))
async def get_named_tokens(registry: Registry, agent: Agent, query: TokenQuery) -> NamedTokenList:
    """List your tokens that are valid, newest first."""
    page = await registry.tokens.page(agent, query.paging)
    return NamedTokenList(count=page.count, tokens=[NamedTokenRead.model_validate(token) for token in page.items])


@routes.delete("/{uuid}", token=Token.REQUIRED, login_only=True, errors=(_LOGIN_ONLY,))
async def delete_named_token(registry: Registry, agent: Agent, uuid: UUID) -> None:
    """Revoke one of your tokens; it is refused from the next request on."""
    await registry.tokens.delete(agent, uuid)
