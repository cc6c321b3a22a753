"""Named tokens: what a user's programs come with. Source: decisions.md 3 and 12.

The text of a token is told once. A token that is over is as good as deleted: it is not listed, and its name is free.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, func, or_, select

from pepeunit_gateway.access.agents import Agent, Scope
from pepeunit_gateway.access.rules import require_user
from pepeunit_gateway.access.tokens import named_token
from pepeunit_gateway.errors import NotFoundError, UserError
from pepeunit_gateway.registry.audit import Action, Subject, record
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Context
from pepeunit_gateway.registry.entities import Page
from pepeunit_gateway.registry.listing import FIRST_PAGE, Paging, fetch_page
from pepeunit_gateway.registry.naming import check_name
from pepeunit_gateway.storage.own_tables import named_tokens

__all__ = ["NamedToken", "Tokens"]

_MOST_TOKENS = 100


@dataclass(frozen=True, slots=True)
class NamedToken:
    """What is told of a token at any time; `expiration_datetime` None means that it lasts until it is revoked."""

    uuid: UUID
    name: str
    scope: Scope
    create_datetime: datetime
    expiration_datetime: datetime | None


class Tokens:
    """The named tokens of users; everybody has only their own. Routes let only a login come here."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, agent: Agent, name: str, scope: Scope, expiry: datetime | None) -> tuple[NamedToken, str]:
        """Make a token and return it with its text.

        Raises:
            UserError: the name is taken or no name, the expiry has passed, or the user has 100 tokens.
        """
        user = require_user(agent)
        check_name(name, "the name", UserError)
        async with self._context.act(agent) as act:
            if expiry is not None and expiry <= act.now:
                raise UserError("expiration_datetime has passed; give a time to come, or leave it out")
            await act.connection.execute(
                named_tokens.delete().where(named_tokens.c.user_uuid == user, ~_valid(act.now))
            )
            counting = select(func.count()).select_from(named_tokens).where(named_tokens.c.user_uuid == user)
            if (await act.connection.execute(counting)).scalar_one() >= _MOST_TOKENS:
                raise UserError(f"you have {_MOST_TOKENS} tokens; delete one first")
            made = NamedToken(uuid4(), name, scope, act.now, expiry)
            with unique(UserError(f"you have a token named {name} already", conflict=True)):
                await act.connection.execute(
                    named_tokens.insert().values(
                        uuid=made.uuid,
                        user_uuid=user,
                        name=name,
                        scope=scope.value,
                        create_datetime=act.now,
                        expiration_datetime=expiry,
                    )
                )
            subject = Subject("Token", made.uuid, name)
            await record(act, agent, action=Action.TOKEN_CREATED, subject=subject, details={"scope": scope.value})
        return made, named_token(user, made.uuid, secret=self._context.secret, expiry=expiry)

    async def page(self, agent: Agent, paging: Paging = FIRST_PAGE) -> Page[NamedToken]:
        """Return a page of the caller's tokens that are valid, newest first; never their texts."""
        user = require_user(agent)
        query = select(named_tokens).where(named_tokens.c.user_uuid == user, _valid(self._context.clock()))
        query = query.order_by(named_tokens.c.create_datetime.desc(), named_tokens.c.uuid)
        async with self._context.database.read() as connection:
            count, rows = await fetch_page(connection, query, paging)
        return Page(count, [_named(row) for row in rows])

    async def delete(self, agent: Agent, uuid: UUID) -> None:
        """Revoke one of the caller's tokens, effective with the next request."""
        user = require_user(agent)
        mine = (named_tokens.c.uuid == uuid) & (named_tokens.c.user_uuid == user)
        async with self._context.act(agent) as act:
            name = (await act.connection.execute(select(named_tokens.c.name).where(mine))).scalar_one_or_none()
            if name is None:
                raise NotFoundError(f"there is no token {uuid}")
            await act.connection.execute(named_tokens.delete().where(mine))
            await record(act, agent, action=Action.TOKEN_REVOKED, subject=Subject("Token", uuid, name))


def _valid(now: datetime) -> ColumnElement[bool]:
    return or_(named_tokens.c.expiration_datetime.is_(None), named_tokens.c.expiration_datetime > now)


def _named(row: Row[tuple[object, ...]]) -> NamedToken:
    return NamedToken(row.uuid, row.name, Scope(row.scope), row.create_datetime, row.expiration_datetime)
