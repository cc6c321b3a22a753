"""Webhooks: a git server tells of a push, and the repository is fetched at once. Source: decisions.md 12.

A registry has at most one secret, encrypted with PU_ENCRYPT_KEY, so that a new PU_SECRET_KEY ends no webhook. It is
told once, to the creator. Who knows it can have the repository fetched, and nothing else: what a notice says about
branches and commits is not believed, not even read.

What is wrong is one and the same 401, after the same work: an unknown registry, one without a secret, another secret, a
signature of another body. Failures are counted by address, but a right signature passes whatever the count: 256 bits
are not guessed, and many people's notices come from the addresses of one platform, where anybody may have wrong ones
sent from.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import structlog
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.access.agents import Agent
from pepeunit_gateway.access.attempts import Failures, push_key
from pepeunit_gateway.access.rules import require_creator, require_creator_or_admin, require_user
from pepeunit_gateway.access.signatures import PushProof, SignedBody
from pepeunit_gateway.bus.changes import Change
from pepeunit_gateway.bus.subscription import Source, Subscription
from pepeunit_gateway.errors import CipherError, NotFoundError, TooManyRequestsError, UnauthorizedError
from pepeunit_gateway.registry.audit import Action, Subject, record
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.storage.queries import FixedQuery, parameter
from pepeunit_gateway.storage.tables import repository_registry

__all__ = ["REFUSED_PUSH", "TOO_MANY_WRONG_PUSHES", "NewWebhook", "Webhooks"]

log = structlog.get_logger(__name__)

Pour = Callable[[Callable[[bytes], None]], Awaitable[None]]
"""Calls its argument with every piece of a body, as it arrives."""

_SECRET_BYTES = 32
_COLUMN = repository_registry.c.cipher_webhook_secret
_SECRET = FixedQuery(select(_COLUMN).where(repository_registry.c.uuid == parameter("uuid")))

REFUSED_PUSH = UnauthorizedError("this is not signed with the secret of a webhook; make a new one and give it to both")
TOO_MANY_WRONG_PUSHES = TooManyRequestsError(
    "too many pushes with wrong signatures come from this address; make a new secret and give it to both",
    retry_after=900,
)


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """What a git server must know."""

    url: str
    secret: str = field(repr=False)


class Webhooks:
    """The secrets, and the notices that are signed with them.

    `pushes` has the registries of which a push was told and that nobody has taken yet: a set, so it never holds more
    than there are.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._decoy = context.cipher.encrypt(
            secrets.token_hex(_SECRET_BYTES)
        )  # what is worked with where there is none
        self.pushes = Subscription(Change.REPOSITORY, Source.OWN)

    async def renew(self, agent: Agent, uuid: UUID) -> NewWebhook:
        """Make a secret and return it, this once; one that was there before counts no more. The creator may."""
        require_user(agent)
        secret = secrets.token_hex(_SECRET_BYTES)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            require_creator(agent, row.creator_uuid)
            await _store(act, uuid, self._context.cipher.encrypt(secret))
            action = Action.WEBHOOK_REPLACED if row.cipher_webhook_secret else Action.WEBHOOK_CREATED
            await record(act, agent, action=action, subject=Subject("Repository", uuid, row.repository_url))
        settings = self._context.settings
        return NewWebhook(f"{settings.http_type}://{settings.domain}{settings.api_prefix}/webhooks/{uuid}", secret)

    async def remove(self, agent: Agent, uuid: UUID) -> None:
        """Forget the secret, if there is one; the creator may, and an Admin."""
        require_user(agent)
        async with self._context.act(agent) as act:
            row = await _load(act.connection, uuid)
            require_creator_or_admin(agent, row.creator_uuid)
            if row.cipher_webhook_secret is None:
                return
            await _store(act, uuid, None)
            subject = Subject("Repository", uuid, row.repository_url)
            await record(act, agent, action=Action.WEBHOOK_REMOVED, subject=subject)

    async def hear(self, uuid: UUID, proof: PushProof, pour: Pour, site: str) -> bool:
        """Take a notice; return whether a fetch follows, which it does after every one but a platform's ping.

        Args:
            uuid: of the registry.
            proof: what the headers say.
            pour: hands over the body; asked to where there is anything to compare it with.
            site: the address, or the network, that failures are counted for.

        Raises:
            UnauthorizedError: nobody who knows the secret has sent it.
            TooManyRequestsError: the same, once too often from there.
        """
        if not proof.is_given or not await self._is_right(uuid, proof, pour):
            await self._refuse(uuid, proof, site)
        if proof.is_ping:
            return False
        self.pushes.add([uuid])
        return True

    async def _is_right(self, uuid: UUID, proof: PushProof, pour: Pour) -> bool:
        rows = await self._context.database.fetch(_SECRET, uuid=uuid)
        stored = rows[0][0] if rows else None
        signed = SignedBody(self._decrypt(uuid, stored or self._decoy))
        await pour(signed.add)
        return signed.is_proved_by(proof) and stored is not None

    def _decrypt(self, uuid: UUID, stored: str) -> str:
        try:
            return self._context.cipher.decrypt(stored)
        except CipherError as error:
            log.warning("webhook.secret.unreadable", repository=str(uuid), reason=error.message)
            return self._context.cipher.decrypt(self._decoy)

    async def _refuse(self, uuid: UUID, proof: PushProof, site: str) -> None:
        """Refuse, with a line in the log as often as an address may fail: the answer tells nobody what is wrong."""
        settings = self._context.settings
        count = await self._context.bus.increment(push_key(site), float(settings.login_failure_window))
        failures = Failures(count.count - 1, settings.login_address_max_failures, count.seconds_left)
        if not failures.limited:
            log.warning("webhook.refused", repository=str(uuid), address=site, signed=proof.is_given)
            raise UnauthorizedError(REFUSED_PUSH.message)
        if failures.just_limited:
            log.warning("webhook.refusals.many", address=site, failures=count.count)
        raise TooManyRequestsError(TOO_MANY_WRONG_PUSHES.message, retry_after=max(1, round(failures.seconds_left)))


async def _load(connection: AsyncConnection, uuid: UUID) -> Row[Any]:
    table = repository_registry
    query = select(table.c.creator_uuid, table.c.repository_url, _COLUMN).where(table.c.uuid == uuid)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no repository {uuid}")
    return cast("Row[Any]", row)


async def _store(act: Act, uuid: UUID, cipher_text: str | None) -> None:
    values = {"cipher_webhook_secret": cipher_text, "last_update_datetime": act.now}
    await act.connection.execute(repository_registry.update().where(repository_registry.c.uuid == uuid).values(values))
