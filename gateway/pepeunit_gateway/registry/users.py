"""Users. Source: protocol/entities.md 1.1, protocol/rest.md 2.3, decisions.md 3, 16 and 17."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole, UserStatus
from pepeunit_gateway.access.rules import require_admin, require_registrar, require_self_or_admin, require_user
from pepeunit_gateway.errors import NotFoundError, UserError
from pepeunit_gateway.registry.audit import Action, Subject, record
from pepeunit_gateway.registry.changes import UNSET, Unset
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.entities import Page, User, from_row
from pepeunit_gateway.registry.hashing import Hashing
from pepeunit_gateway.registry.listing import FIRST_PAGE, OrderBy, Paging, fetch_page, ordered, search
from pepeunit_gateway.registry.naming import check_login, check_name, check_password
from pepeunit_gateway.registry.removals import remove_queued
from pepeunit_gateway.registry.user_removal import remove_user
from pepeunit_gateway.storage.own_tables import named_tokens
from pepeunit_gateway.storage.tables import users

__all__ = ["UserFilter", "Users"]


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Absent means "all"."""

    uuids: Sequence[UUID] = ()
    search_string: str | None = None
    role: Sequence[str] = ()
    status: Sequence[str] = ()
    order_by_create_date: OrderBy = OrderBy.DESC
    paging: Paging = FIRST_PAGE


class Users:
    """People: registration, changes, blocking, deletion."""

    def __init__(self, context: Context, hashing: Hashing) -> None:
        self._context = context
        self._hashing = hashing

    async def register(self, agent: Agent, login: str, password: str) -> User:
        """Create a User: by an Admin, or by anyone where PU_REGISTRATION=open (then the first is Admin)."""
        require_registrar(agent, is_open=self._context.settings.registration == "open")
        check_login(login)
        check_password(password)
        hashed = await self._hashing.hash(password)
        async with self._context.act(agent) as act:
            first = agent.type is AgentType.BOT and await _nobody_yet(act.connection)
            user = await _insert(act, login, hashed, UserRole.ADMIN if first else UserRole.USER)
            details = {"role": user.role.value}
            await record(act, agent, action=Action.USER_CREATED, subject=_subject(user), details=details)
        return user

    async def create_admin(self, login: str, password: str) -> User:
        """Create an Admin; for the operator's command line only."""
        check_login(login)
        check_password(password)
        hashed = await self._hashing.hash(password)
        async with self._context.act() as act:
            user = await _insert(act, login, hashed, UserRole.ADMIN)
            await record(act, None, action=Action.ADMIN_CREATED, subject=_subject(user))
        return user

    async def admin_exists(self) -> bool:
        """Tell whether there is an Admin."""
        query = select(func.count()).select_from(users).where(users.c.role == UserRole.ADMIN.value)
        async with self._context.database.read() as connection:
            return (await connection.execute(query)).scalar_one() > 0

    async def get(self, agent: Agent, uuid: UUID) -> User:
        """Return one user's public fields."""
        require_user(agent)
        async with self._context.database.read() as connection:
            return from_row(User, await _load(connection, uuid))

    async def page(self, agent: Agent, wanted: UserFilter) -> Page[User]:
        """Return a page of users."""
        require_user(agent)
        query = select(users).where(*search(wanted.search_string, users.c.login))
        for column, values in (
            (users.c.uuid, wanted.uuids),
            (users.c.role, wanted.role),
            (users.c.status, wanted.status),
        ):
            if values:
                query = query.where(column.in_(list(values)))
        query = query.order_by(ordered(users.c.create_datetime, wanted.order_by_create_date), users.c.uuid)
        async with self._context.database.read() as connection:
            count, rows = await fetch_page(connection, query, wanted.paging)
        return Page(count, [from_row(User, row) for row in rows])

    async def edit(self, agent: Agent, *, login: str | Unset = UNSET, password: str | Unset = UNSET) -> User:
        """Change the caller's own login or password; a new password ends every token of theirs (decisions.md 3).

        Raises:
            UnauthorizedError: the token that it is asked with ended while the new password was hashed.
            UserError: no login, no password, or the login is taken.
            TooManyRequestsError: too many passwords are hashed at this moment.
        """
        uuid = require_user(agent)
        values: dict[str, Any] = {}
        if not isinstance(login, Unset):
            check_name(login, "the login", UserError)
            values["login"] = login
        if not isinstance(password, Unset):
            check_password(password)
            values["hashed_password"] = await self._hashing.hash(password)
            values["cipher_dynamic_salt"] = ""
        async with self._context.act(agent) as act:
            before = await _load(act.connection, uuid)
            if values.get("login", before.login) != before.login:
                check_login(values["login"])  # an old one may be sent along as it is
            if values:
                with unique(UserError(f"the login {login} is taken", conflict=True)):
                    await act.connection.execute(users.update().where(users.c.uuid == uuid).values(values))
            user = from_row(User, await _load(act.connection, uuid))
            if user.login != before.login:
                details = {"before": before.login}
                await record(act, agent, action=Action.LOGIN_CHANGED, subject=_subject(user), details=details)
            if "hashed_password" in values:
                await _end_tokens(act, uuid)
                await record(act, agent, action=Action.PASSWORD_CHANGED, subject=_subject(user))
        return user

    async def block(self, agent: Agent, uuid: UUID) -> None:
        """Block a user; their tokens end at once, named ones for good.

        Raises:
            UserError: they are the last Admin.
        """
        require_admin(agent)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            await _check_not_last_admin(act.connection, row)
            await self._set_status(act, uuid, UserStatus.BLOCKED)
            await record(act, agent, action=Action.USER_BLOCKED, subject=_subject(row))

    async def unblock(self, agent: Agent, uuid: UUID) -> None:
        """Let a user in again, who must log in anew; one who is not blocked stays as they are."""
        require_admin(agent)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            if row.status != UserStatus.BLOCKED:
                return
            status = UserStatus.UNVERIFIED if row.telegram_chat_id is None else UserStatus.VERIFIED
            await self._set_status(act, uuid, status)
            await record(act, agent, action=Action.USER_UNBLOCKED, subject=_subject(row))

    async def delete(self, agent: Agent, uuid: UUID) -> None:
        """Delete a user with everything of theirs but registered repositories; the sessions of their units end.

        An Admin may, and the user themself.

        Raises:
            UserError: they are the last Admin, or their Repos have units of other people.
        """
        require_user(agent)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            require_self_or_admin(agent, uuid)
            await _check_not_last_admin(act.connection, row)
            await record(act, agent, action=Action.USER_DELETED, subject=_subject(row))
            await remove_user(act, self._context.cipher, uuid)
        await remove_queued(self._context)

    async def _set_status(self, act: Act, uuid: UUID, status: UserStatus) -> None:
        await act.connection.execute(users.update().where(users.c.uuid == uuid).values(status=status.value))
        await _end_tokens(act, uuid)


async def _nobody_yet(connection: AsyncConnection) -> bool:
    # acts run alone: two first users cannot both see an empty table (W31)
    return (await connection.execute(select(func.count()).select_from(users))).scalar_one() == 0


async def _check_not_last_admin(connection: AsyncConnection, row: Row[Any]) -> None:
    """Refuse to take away the only Admin who can log in; acts run alone, so that two cannot take each other away."""
    if row.role != UserRole.ADMIN or row.status == UserStatus.BLOCKED:
        return
    others = (
        select(func.count())
        .select_from(users)
        .where(
            users.c.role == UserRole.ADMIN.value,
            users.c.status != UserStatus.BLOCKED.value,
            users.c.uuid != row.uuid,
        )
    )
    if not (await connection.execute(others)).scalar_one():
        raise UserError("this is the last Admin; make another one first", conflict=True)


async def _end_tokens(act: Act, uuid: UUID) -> None:
    """End every token of a user: those of logins by their generation, named ones by their rows."""
    raised = users.c.token_generation + 1
    await act.connection.execute(users.update().where(users.c.uuid == uuid).values(token_generation=raised))
    await act.connection.execute(named_tokens.delete().where(named_tokens.c.user_uuid == uuid))


async def _insert(act: Act, login: str, hashed: str, role: UserRole) -> User:
    uuid = uuid4()
    with unique(UserError(f"the login {login} is taken", conflict=True)):
        await act.connection.execute(
            users.insert().values(
                uuid=uuid,
                role=role.value,
                status=UserStatus.UNVERIFIED.value,
                login=login,
                hashed_password=hashed,
                cipher_dynamic_salt="",
                grafana_org_name=uuid4(),
                create_datetime=act.now,
                token_generation=0,
            )
        )
    return from_row(User, await _load(act.connection, uuid))


async def _load(connection: AsyncConnection, uuid: UUID) -> Row[Any]:
    row = (await connection.execute(select(users).where(users.c.uuid == uuid))).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no user {uuid}")
    return row


def _subject(user: User | Row[Any]) -> Subject:
    return Subject("User", user.uuid, user.login)
