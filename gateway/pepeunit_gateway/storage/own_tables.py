"""The tables that the contract does not know. Whoever imports this module knows all tables.

Source: design.md "Data flows", decisions.md 3, 12 and 25.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    text,
)

from pepeunit_gateway.storage import tables  # noqa: F401 - the foreign keys lead there
from pepeunit_gateway.storage.columns import created, key, metadata, reference
from pepeunit_gateway.storage.times import UtcDateTime

__all__ = [
    "act_counter",
    "audit",
    "idempotency_keys",
    "job_runs",
    "key_prints",
    "leases",
    "metadata",
    "named_tokens",
    "outbox",
    "telemetry_removals",
]

# Commands to units, written in the transaction that caused them (design.md, "Data flows").

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    reference("unit_uuid", "units", nullable=False),
    Column("command", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("payload", String, nullable=False),
    created(),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_datetime", UtcDateTime, nullable=False),
    Column("sent_datetime", UtcDateTime),  # when the broker acknowledged it
    sqlite_autoincrement=True,  # an id is never given twice: a sender may still hold that of a replaced command
)

# apart, so that what waits is found whatever is kept of what was sent
_WAITS, _SENT = outbox.c.sent_datetime.is_(None), outbox.c.sent_datetime.is_not(None)
Index("ix_outbox_next_attempt_datetime", outbox.c.next_attempt_datetime, sqlite_where=_WAITS, postgresql_where=_WAITS)
Index("ix_outbox_sent_datetime", outbox.c.sent_datetime, sqlite_where=_SENT, postgresql_where=_SENT)

# What people and programs may do besides (decisions.md 3 and 12).

named_tokens = Table(
    "named_tokens",
    metadata,
    key(),  # the token's claim `jti`
    Column("user_uuid", Uuid, ForeignKey("users.uuid", ondelete="CASCADE"), nullable=False),  # the unique index has it
    Column("name", String, nullable=False),
    Column("scope", String, nullable=False),
    created(),
    Column("expiration_datetime", UtcDateTime),
    UniqueConstraint("user_uuid", "name"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("create_datetime", UtcDateTime, nullable=False, index=True),
    Column("action", String, nullable=False, index=True),
    # no foreign keys: the trail outlives whom it is about
    Column("actor_type", String, nullable=False),
    Column("actor_uuid", Uuid, index=True),
    Column("actor_name", String),
    Column("subject_type", String),
    Column("subject_uuid", Uuid, index=True),
    Column("subject_name", String),
    Column("address", String),
    Column("request_id", String),
    Column("details", String),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_uuid", Uuid, ForeignKey("users.uuid", ondelete="CASCADE"), primary_key=True),
    Column("key", String, primary_key=True),
    Column("digest", String, nullable=False),  # of the request, so that another request with the key is refused
    Column("answer", String, nullable=False),  # what the first request was answered
    Column("create_datetime", UtcDateTime, nullable=False, index=True),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("fence", BigInteger, nullable=False),  # the highest fencing token that wrote under this lease
)

# Telemetry has no foreign keys and may be large, so it goes after the act that deleted its owner. What must still go
# stands here, written by that act: a gateway that is killed in between finishes at its next start.
telemetry_removals = Table(
    "telemetry_removals",
    metadata,
    Column("owner_uuid", Uuid, primary_key=True),
    Column("owner_type", String, nullable=False),  # Unit or UnitNode
)

act_counter = Table(  # one row that every act changes, so that what was counted before it is known to be old
    "act_counter",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("acts", BigInteger, nullable=False),
)

key_prints = Table(  # one row, of the keys that everything here was written with; storage/key_prints.py
    "key_prints",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("encrypt_key", String, nullable=False),
    Column("secret_key", String, nullable=False),
    Column("domain", String),
)

job_runs = Table(  # what the jobs did and when
    "job_runs",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("job", String, nullable=False),
    Column("start_datetime", UtcDateTime, nullable=False, index=True),
    Column("end_datetime", UtcDateTime),
    Column("outcome", String, nullable=False),
    Column("error", String),
    Column("details", String),  # JSON: what was counted
    Column("holder", String, nullable=False),  # the process that ran it
    Index(None, "job", "start_datetime"),
)
