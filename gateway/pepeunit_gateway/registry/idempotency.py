"""Keys under which a client may send one request several times: it is done once, and each time answered the same.

A key is its user's own, goes with one request and is forgotten after a day. Source: decisions.md 12.
"""

from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from pepeunit_gateway.errors import UnitError
from pepeunit_gateway.registry.context import Act, Context
from pepeunit_gateway.storage.own_tables import idempotency_keys

__all__ = ["KEY_LIFETIME", "forget_old_keys", "recall_answer", "remember_answer", "request_digest"]

KEY_LIFETIME = timedelta(hours=24)
"""How long an answer is kept."""


def request_digest(request: bytes) -> str:
    """Return the fingerprint of a request in its canonical form."""
    return sha256(request).hexdigest()


async def recall_answer(context: Context, connection: AsyncConnection, user: UUID, key: str, digest: str) -> str | None:
    """Return what the request with this key was answered, or None if it is a new one.

    Raises:
        UnitError: another request had this key (409).
    """
    table = idempotency_keys
    query = select(table.c.digest, table.c.answer).where(
        table.c.user_uuid == user, table.c.key == key, table.c.create_datetime > context.clock() - KEY_LIFETIME
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    if row.digest != digest:
        raise UnitError("this Idempotency-Key belongs to another request; send a new key", conflict=True)
    answer: str = row.answer
    return answer


async def remember_answer(act: Act, user: UUID, key: str, digest: str, answer: str) -> None:
    """Keep the answer in the transaction that did what was asked for."""
    table = idempotency_keys
    await act.connection.execute(table.delete().where(table.c.user_uuid == user, table.c.key == key))  # an expired one
    values = {"user_uuid": user, "key": key, "digest": digest, "answer": answer, "create_datetime": act.now}
    await act.connection.execute(table.insert().values(values))


async def forget_old_keys(context: Context) -> int:
    """Forget the answers that are older than a day; return how many."""
    table = idempotency_keys
    old = table.c.create_datetime <= context.clock() - KEY_LIFETIME
    async with context.database.write() as connection:
        return (await connection.execute(table.delete().where(old))).rowcount
