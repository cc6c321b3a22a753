"""Users. Source: protocol/entities.md 1.1, protocol/rest.md 2.3, decisions.md 4, 16 and 17."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent, AgentType, UserRole, UserStatus
from pepeunit_gateway.access.passwords import hash_password, verify_password
from pepeunit_gateway.access.rules import require_admin, require_user
from pepeunit_gateway.access.tokens import user_token
from pepeunit_gateway.errors import NotFoundError, TooManyRequestsError, UnauthorizedError, UserError
from pepeunit_gateway.registry.changes import UNSET, Unset
from pepeunit_gateway.registry.constraints import unique
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.entities import Page, User, from_row
from pepeunit_gateway.registry.listing import FIRST_PAGE, OrderBy, Paging, fetch_page, ordered, search
from pepeunit_gateway.registry.naming import check_name, check_password
from pepeunit_gateway.storage.tables import users

__all__ = ["UserFilter", "Users"]

_HASHERS = 2
_MOST_WAITING = 16

P = ParamSpec("P")
T = TypeVar("T")


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
    """People: registration, login, blocking."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # one hash takes 64 MiB and tens of milliseconds: never more than a few at a time
        self._hashers = asyncio.Semaphore(_HASHERS)
        self._waiting = 0

    async def register(self, agent: Agent, login: str, password: str) -> User:
        """Create a User: by an Admin, or by anyone where PU_REGISTRATION=open (then the first is Admin)."""
        is_open = self._context.settings.registration == "open" and agent.type is AgentType.BOT
        if not is_open:
            if agent.type is AgentType.BOT:
                raise UnauthorizedError("registration is closed; an Admin creates users (PU_REGISTRATION)")
            require_admin(agent)
        check_name(login, "the login", UserError)
        check_password(password)
        hashed = await self._hash(password)
        async with self._context.act() as act:
            first = is_open and await _nobody_yet(act.connection)
            return await _insert(act, login, hashed, UserRole.ADMIN if first else UserRole.USER)

    async def create_admin(self, login: str, password: str) -> User:
        """Create an Admin; for the operator's command line only."""
        check_name(login, "the login", UserError)
        check_password(password)
        hashed = await self._hash(password)
        async with self._context.act() as act:
            return await _insert(act, login, hashed, UserRole.ADMIN)

    async def admin_exists(self) -> bool:
        """Tell whether there is an Admin."""
        query = select(func.count()).select_from(users).where(users.c.role == UserRole.ADMIN.value)
        async with self._context.database.read() as connection:
            return (await connection.execute(query)).scalar_one() > 0

    async def login(self, credentials: str, password: str) -> str:
        """Return a token. Unknown user, wrong password and blocked user cannot be told apart (decisions.md 4).

        Raises:
            UnauthorizedError: the pair is wrong, or the user is blocked.
            TooManyRequestsError: too many logins at once.
        """
        query = select(users.c.uuid, users.c.hashed_password, users.c.status, users.c.token_generation).where(
            users.c.login == credentials
        )
        async with self._context.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        right = await self._hashing(verify_password, password, row.hashed_password if row else None)
        if row is None or not right or row.status == UserStatus.BLOCKED:
            raise UnauthorizedError("login or password is wrong")
        return user_token(
            row.uuid,
            secret=self._context.secret,
            generation=row.token_generation,
            now=self._context.clock(),
            lifetime=timedelta(seconds=self._context.settings.auth_token_expiration),
        )

    async def get(self, agent: Agent, uuid: UUID) -> User:
        """Return one user's public fields."""
        require_user(agent)
        async with self._context.database.read() as connection:
            return await _load(connection, uuid)

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
        """Change the caller's own login or password; a new password ends all earlier tokens (decisions.md 3)."""
        uuid = require_user(agent)
        values: dict[str, Any] = {}
        if not isinstance(login, Unset):
            check_name(login, "the login", UserError)
            values["login"] = login
        if not isinstance(password, Unset):
            check_password(password)
            values["hashed_password"] = await self._hash(password)
            values["token_generation"] = users.c.token_generation + 1
        async with self._context.act() as act:
            if values:
                with unique(UserError(f"the login {login} is taken", conflict=True)):
                    await act.connection.execute(users.update().where(users.c.uuid == uuid).values(values))
            return await _load(act.connection, uuid)

    async def block(self, agent: Agent, uuid: UUID) -> None:
        """Block a user; their tokens end at once."""
        await self._set_status(agent, uuid, UserStatus.BLOCKED)

    async def unblock(self, agent: Agent, uuid: UUID) -> None:
        """Let a user in again, who must log in anew."""
        await self._set_status(agent, uuid, UserStatus.UNVERIFIED)

    async def _set_status(self, agent: Agent, uuid: UUID, status: UserStatus) -> None:
        require_admin(agent)
        async with self._context.act() as act:
            row = (await act.connection.execute(select(users).where(users.c.uuid == uuid))).one_or_none()
            if row is None:
                raise NotFoundError(f"there is no user {uuid}")
            if status is UserStatus.UNVERIFIED and row.telegram_chat_id is not None:
                status = UserStatus.VERIFIED
            values = {"status": status.value, "token_generation": users.c.token_generation + 1}
            await act.connection.execute(users.update().where(users.c.uuid == uuid).values(values))

    async def _hash(self, password: str) -> str:
        return await self._hashing(hash_password, password)

    async def _hashing(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one hash in a thread, in turn; who finds 16 waiting is sent away."""
        if self._waiting >= _MOST_WAITING:
            raise TooManyRequestsError("too many logins at once; try again in a moment", retry_after=1)
        self._waiting += 1
        try:
            async with self._hashers:
                return await asyncio.to_thread(act, *args, **kwargs)
        finally:
            self._waiting -= 1


async def _nobody_yet(connection: AsyncConnection) -> bool:
    # the writer's lock is held: two first users cannot both see an empty table (W31)
    return (await connection.execute(select(func.count()).select_from(users))).scalar_one() == 0


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
    return await _load(act.connection, uuid)


async def _load(connection: AsyncConnection, uuid: UUID) -> User:
    row = (await connection.execute(select(users).where(users.c.uuid == uuid))).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no user {uuid}")
    return from_row(User, row)
