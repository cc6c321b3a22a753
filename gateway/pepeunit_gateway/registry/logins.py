"""Logging in. Source: protocol/rest.md 2.3, protocol/security.md 3.3, decisions.md 4 and 18; W14.

Unknown account, wrong password and blocked user are one answer, after the same work: the same statements, the same
hashes, the same counters.
"""

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import Row, case, or_, select

from pepeunit_gateway.access.agents import BOT, Agent, AgentType, UserRole, UserStatus
from pepeunit_gateway.access.attempts import Failures, account_key, address_key, check_attempt, typed_key
from pepeunit_gateway.access.passwords import StoredPassword
from pepeunit_gateway.access.tokens import user_token
from pepeunit_gateway.bus.port import Count
from pepeunit_gateway.errors import CipherError, UnauthorizedError
from pepeunit_gateway.registry.audit import Action, Subject, record
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.hashing import Hashing
from pepeunit_gateway.storage.tables import users

__all__ = ["Logins"]

log = structlog.get_logger(__name__)


class _Counters(NamedTuple):
    """The keys of what an attempt counts for."""

    typed: str
    account: str
    address: str


class Logins:
    """Exchanges passwords for tokens."""

    def __init__(self, context: Context, hashing: Hashing) -> None:
        self._context = context
        self._hashing = hashing

    async def login(self, credentials: str, password: str, site: str) -> str:
        """Return a token.

        Args:
            credentials: a login, or the chat id of a messenger that an account is linked to; the login comes first.
            password: as it was typed.
            site: the address, or the network, that failures are counted for.

        Raises:
            UnauthorizedError: unknown, wrong or blocked, or too many failures under another name of the account.
            TooManyRequestsError: too many failures of what was typed or of the address, or too many logins at once.
        """
        row = await self._find(credentials)
        keys = _Counters(typed_key(credentials), account_key(row.uuid if row else None, credentials), address_key(site))
        await self._check(keys)
        async with self._hashing.turn():
            limited = await self._check(keys)  # others may have failed while this one waited
            verdict = await self._hashing.verify_now(password, self._stored(row))
            if row is None or not verdict.right or row.status == UserStatus.BLOCKED or limited:
                await self._failed(row, keys)
                raise UnauthorizedError("login or password is wrong")
            fresh = await self._hashing.hash_now(password) if verdict.outdated else None
        await self._succeeded(row, fresh)
        for key in (keys.typed, keys.account):
            await self._context.bus.reset(key)
        return user_token(
            row.uuid,
            secret=self._context.secret,
            generation=row.token_generation,
            now=self._context.clock(),
            lifetime=timedelta(seconds=self._context.settings.auth_token_expiration),
        )

    async def _find(self, credentials: str) -> Row[Any] | None:
        """Return the account with that login, else the one with that chat id: a login never shadows (W14)."""
        query = (
            select(users)
            .where(or_(users.c.login == credentials, users.c.telegram_chat_id == credentials))
            .order_by(case((users.c.login == credentials, 0), else_=1))
            .limit(1)
        )
        async with self._context.database.read() as connection:
            row: Row[Any] | None = (await connection.execute(query)).one_or_none()
        return row

    async def _check(self, keys: _Counters) -> bool:
        """Refuse what is limited but for the account; return whether that is."""
        typed, account, address = self._failures([await self._context.bus.peek(key) for key in keys])
        check_attempt((typed, address))
        return account.limited

    def _failures(self, counts: list[Count | None]) -> list[Failures]:
        settings = self._context.settings
        limits = (settings.login_max_failures, settings.login_max_failures, settings.login_address_max_failures)
        return [
            Failures(0, most, 0.0) if count is None else Failures(count.count, most, count.seconds_left)
            for count, most in zip(counts, limits, strict=True)
        ]

    def _stored(self, row: Row[Any] | None) -> StoredPassword | None:
        """Return what to compare with; None for an account whose hash cannot be verified, which is told to the log."""
        if row is None:
            return None
        stored = StoredPassword(row.hashed_password)
        if stored.is_argon2:
            return stored
        variable = "PU_STATIC_SALT"
        if self._context.settings.static_salt.get_secret_value():
            try:
                return StoredPassword(row.hashed_password, self._context.cipher.decrypt(row.cipher_dynamic_salt))
            except CipherError:
                variable = "PU_ENCRYPT_KEY"
        log.warning(
            "login.password.unverifiable",
            user=str(row.uuid),
            variable=variable,
            hint="set it to the value of the installation that this account comes from",
        )
        return None

    async def _failed(self, row: Row[Any] | None, keys: _Counters) -> None:
        """Count, and tell the trail; the limits bound how many rows that makes."""
        window = float(self._context.settings.login_failure_window)
        _, *failures = self._failures([await self._context.bus.increment(key, window) for key in keys])
        async with self._context.act() as act:
            await record(act, BOT, action=Action.LOGIN_FAILED, subject=_subject(row))
            for what, one in zip(("account", "address"), failures, strict=True):
                if one.just_limited:
                    details: dict[str, str | int] = {"limit": what, "seconds": round(one.seconds_left)}
                    await record(act, BOT, action=Action.LOGIN_LIMITED, subject=_subject(row), details=details)

    async def _succeeded(self, row: Row[Any], fresh: str | None) -> None:
        agent = Agent(AgentType.USER, row.uuid, UserRole(row.role), generation=row.token_generation)
        async with self._context.act() as act:
            if fresh is not None:
                await _upgrade(act, row.uuid, row.hashed_password, fresh)
            await record(act, agent, action=Action.LOGIN_SUCCEEDED, subject=_subject(row))


async def _upgrade(act: Act, user: UUID, old: str, fresh: str) -> None:
    """Put an argon2id hash in the place of an old one, unless the password was changed meanwhile."""
    await act.connection.execute(
        users.update()
        .where(users.c.uuid == user, users.c.hashed_password == old)
        .values(hashed_password=fresh, cipher_dynamic_salt="")
    )


def _subject(row: Row[Any] | None) -> Subject | None:
    return None if row is None else Subject("User", row.uuid, row.login)
