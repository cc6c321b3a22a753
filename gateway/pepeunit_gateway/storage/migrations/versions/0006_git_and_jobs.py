"""What is known of releases, pushes, commands that were sent, and runs of jobs"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# sorted by bytes, as on SQLite, and not by the language that the server was set up with
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("repository_registry", sa.Column("releases_datetime", sa.DateTime()))
    op.add_column("repository_registry", sa.Column("releases_due_datetime", sa.DateTime()))
    op.add_column("repository_registry", sa.Column("asked_datetime", sa.DateTime()))
    op.add_column("repository_registry", sa.Column("cipher_webhook_secret", TEXT))
    number = sa.Column("refs_number", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    op.add_column("repository_registry", number)
    op.add_column("repository_registry", sa.Column("refs_key", TEXT))
    op.add_column("units", sa.Column("told_domain", TEXT))
    op.add_column("outbox", sa.Column("sent_datetime", sa.DateTime()))
    sent = sa.text("sent_datetime IS NOT NULL")
    op.create_index(
        op.f("ix_outbox_sent_datetime"), "outbox", ["sent_datetime"], sqlite_where=sent, postgresql_where=sent
    )
    op.drop_index(op.f("ix_outbox_next_attempt_datetime"), "outbox")
    waits = sa.text("sent_datetime IS NULL")
    op.create_index(
        op.f("ix_outbox_next_attempt_datetime"),
        "outbox",
        ["next_attempt_datetime"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    op.create_table(
        "job_runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("job", TEXT, nullable=False),
        sa.Column("start_datetime", sa.DateTime(), nullable=False),
        sa.Column("end_datetime", sa.DateTime()),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("error", TEXT),
        sa.Column("details", TEXT),
        sa.Column("holder", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_runs")),
    )
    op.create_index(op.f("ix_job_runs_start_datetime"), "job_runs", ["start_datetime"])
    op.create_index(op.f("ix_job_runs_job_start_datetime"), "job_runs", ["job", "start_datetime"])
