"""The audit trail: who did what to whom, and from where. A row is part of the transaction of what it tells.

    async with context.act() as act:
        ...
        await record(act, agent, action=Action.PERMISSION_GRANTED, subject=Subject("Unit", unit, "kitchen"))

It outlives whom it is about, so names stand in it as they were. No secrets: no token, no password, and no login that
nobody has, because people type their password there. Source: decisions.md 12 (`GET /audit`).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, select

from pepeunit_gateway.access.agents import Agent, AgentType
from pepeunit_gateway.access.rules import require_admin
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.registry.entities import Page
from pepeunit_gateway.registry.listing import FIRST_PAGE, Paging, fetch_page
from pepeunit_gateway.storage.own_tables import audit
from pepeunit_gateway.storage.tables import units, users

__all__ = [
    "Action",
    "Audit",
    "AuditEvent",
    "AuditFilter",
    "Origin",
    "Subject",
    "coming_from",
    "record",
    "record_deletion",
]

_DELETE_ROWS = 5000
_OPERATOR = "Operator"


class Action(StrEnum):
    """What the trail tells of."""

    LOGIN_SUCCEEDED = "LoginSucceeded"
    LOGIN_FAILED = "LoginFailed"
    LOGIN_LIMITED = "LoginLimited"  # the failure after which further logins are refused for a while
    PERMISSION_GRANTED = "PermissionGranted"
    PERMISSION_REVOKED = "PermissionRevoked"
    TOKEN_CREATED = "TokenCreated"  # noqa: S105 - a kind of event
    TOKEN_REVOKED = "TokenRevoked"  # noqa: S105 - a kind of event
    UNIT_TOKEN_REISSUED = "UnitTokenReissued"  # noqa: S105 - a kind of event
    UNIT_TOKEN_REVOKED = "UnitTokenRevoked"  # noqa: S105 - a kind of event
    USER_CREATED = "UserCreated"
    USER_BLOCKED = "UserBlocked"
    USER_UNBLOCKED = "UserUnblocked"
    USER_DELETED = "UserDeleted"
    LOGIN_CHANGED = "LoginChanged"
    PASSWORD_CHANGED = "PasswordChanged"  # noqa: S105 - a kind of event
    ADMIN_CREATED = "AdminCreated"
    WEBHOOK_CREATED = "WebhookCreated"
    WEBHOOK_REPLACED = "WebhookReplaced"  # the secret before counts no more
    WEBHOOK_REMOVED = "WebhookRemoved"
    DELETED_BY_ADMIN = "DeletedByAdmin"  # another's unit, Repo, repository or edge


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: the client's address and the id that its answer carries."""

    address: str | None = None
    request_id: str | None = None


_ORIGIN: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039 - it is frozen


@contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    """Let every row recorded inside the block tell `origin`."""
    token = _ORIGIN.set(origin)
    try:
        yield
    finally:
        _ORIGIN.reset(token)


@dataclass(frozen=True, slots=True)
class Subject:
    """What was acted upon: `type` as in `User`, `Unit`, `Token`."""

    type: str
    uuid: UUID
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One row; `details` depend on the action."""

    id: int
    create_datetime: datetime
    action: str
    actor_type: str
    actor_uuid: UUID | None
    actor_name: str | None
    subject_type: str | None
    subject_uuid: UUID | None
    subject_name: str | None
    address: str | None
    request_id: str | None
    details: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Absent means "all"; both times are included."""

    action: Sequence[Action] = ()
    actor_uuid: UUID | None = None
    subject_uuid: UUID | None = None
    start_create_datetime: datetime | None = None
    end_create_datetime: datetime | None = None
    paging: Paging = FIRST_PAGE


async def record(
    act: Act,
    agent: Agent | None,
    *,
    action: Action,
    subject: Subject | None = None,
    details: Mapping[str, str | int] | None = None,
) -> None:
    """Write one row: one statement, part of the caller's transaction.

    Args:
        act: the transaction.
        agent: who acts; None is the operator at the command line. Record before you delete them: their name is read.
        action: what is done.
        subject: to whom or what.
        details: more about it; nothing secret.
    """
    origin = _ORIGIN.get()
    await act.connection.execute(
        audit.insert().values(
            create_datetime=act.now,
            action=action.value,
            actor_type=_OPERATOR if agent is None else agent.type.value,
            actor_uuid=agent.uuid if agent else None,
            actor_name=_name_of(agent),
            subject_type=subject.type if subject else None,
            subject_uuid=subject.uuid if subject else None,
            subject_name=subject.name if subject else None,
            address=origin.address,
            request_id=origin.request_id,
            details=json.dumps(dict(details), ensure_ascii=False) if details else None,
        )
    )


async def record_deletion(act: Act, agent: Agent, creator_uuid: UUID | None, subject: Subject) -> None:
    """Write a row where an Admin deletes what is another's; people's own deletions are their own affair."""
    if not agent.is_user(creator_uuid):
        await record(act, agent, action=Action.DELETED_BY_ADMIN, subject=subject)


def _name_of(agent: Agent | None) -> Any:
    if agent is None or agent.uuid is None:
        return None
    if agent.type is AgentType.USER:
        return select(users.c.login).where(users.c.uuid == agent.uuid).scalar_subquery()
    if agent.type is AgentType.UNIT:
        return select(units.c.name).where(units.c.uuid == agent.uuid).scalar_subquery()
    return None


class Audit:
    """The trail as Admins read it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def page(self, agent: Agent, wanted: AuditFilter) -> Page[AuditEvent]:
        """Return a page, newest first; Admins may."""
        require_admin(agent)
        query = _query(wanted).order_by(audit.c.create_datetime.desc(), audit.c.id.desc())
        async with self._context.database.read() as connection:
            count, rows = await fetch_page(connection, query, wanted.paging)
        return Page(count, [_event(row) for row in rows])

    async def expire(self) -> int:
        """Delete, a few thousand at a time, what is older than PU_AUDIT_EXPIRATION; return how many rows went."""
        oldest = self._context.clock() - timedelta(seconds=self._context.settings.audit_expiration)
        some = select(audit.c.id).where(audit.c.create_datetime <= oldest).limit(_DELETE_ROWS)
        total = 0
        while True:
            async with self._context.database.write() as connection:
                deleted = (await connection.execute(delete(audit).where(audit.c.id.in_(some)))).rowcount
            total += deleted
            if deleted < _DELETE_ROWS:
                return total


def _query(wanted: AuditFilter) -> Select[Any]:
    query = select(audit)
    if wanted.action:
        query = query.where(audit.c.action.in_([action.value for action in wanted.action]))
    if wanted.actor_uuid is not None:
        query = query.where(audit.c.actor_uuid == wanted.actor_uuid)
    if wanted.subject_uuid is not None:
        query = query.where(audit.c.subject_uuid == wanted.subject_uuid)
    if wanted.start_create_datetime is not None:
        query = query.where(audit.c.create_datetime >= wanted.start_create_datetime)
    if wanted.end_create_datetime is not None:
        query = query.where(audit.c.create_datetime <= wanted.end_create_datetime)
    return query


def _event(row: Row[Any]) -> AuditEvent:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented access to a row's columns
    values["details"] = json.loads(values["details"]) if values["details"] else None
    return AuditEvent(**values)
