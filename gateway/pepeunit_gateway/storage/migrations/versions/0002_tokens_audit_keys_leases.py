"""Named tokens, the audit trail, idempotency keys and the fences of leases"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "named_tokens",
        sa.Column("uuid", sa.Uuid(), nullable=False),
        sa.Column("user_uuid", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
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
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("actor_type", sa.String(), nullable=False),
        sa.Column("actor_uuid", sa.Uuid()),
        sa.Column("actor_name", sa.String()),
        sa.Column("subject_type", sa.String()),
        sa.Column("subject_uuid", sa.Uuid()),
        sa.Column("subject_name", sa.String()),
        sa.Column("address", sa.String()),
        sa.Column("request_id", sa.String()),
        sa.Column("details", sa.String()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    for column in ("create_datetime", "action", "actor_uuid", "subject_uuid"):
        op.create_index(op.f(f"ix_audit_{column}"), "audit", [column], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("user_uuid", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("create_datetime", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_uuid"], ["users.uuid"], name=op.f("fk_idempotency_keys_user_uuid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_uuid", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_create_datetime"), "idempotency_keys", ["create_datetime"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
