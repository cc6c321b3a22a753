"""Named tokens, the audit trail, idempotency keys and the fences of leases"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# sorted by bytes, as on SQLite, and not by the language that the server was set up with
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "named_tokens",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("user_uuid", sa.Uuid(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("expiration_datetime", sa.DateTime()),
        sa.ForeignKeyConstraint(
            ["user_uuid"], ["users.uuid"], name=op.f("fk_named_tokens_user_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("uuid", name=op.f("pk_named_tokens")),
        sa.UniqueConstraint("user_uuid", "name", name=op.f("uq_named_tokens_user_uuid_name")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("actor_type", TEXT, nullable=False),
        sa.Column("actor_uuid", sa.Uuid()),
        sa.Column("actor_name", TEXT),
        sa.Column("subject_type", TEXT),
        sa.Column("subject_uuid", sa.Uuid()),
        sa.Column("subject_name", TEXT),
        sa.Column("address", TEXT),
        sa.Column("request_id", TEXT),
        sa.Column("details", TEXT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    for column in ("create_datetime", "action", "actor_uuid", "subject_uuid"):
        op.create_index(op.f(f"ix_audit_{column}"), "audit", [column], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("user_uuid", sa.Uuid(), nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("answer", TEXT, nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_uuid"], ["users.uuid"], name=op.f("fk_idempotency_keys_user_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_uuid", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_create_datetime"), "idempotency_keys", ["create_datetime"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
