"""Which telemetry must still go because its owner is gone"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# sorted by bytes, as on SQLite, and not by the language that the server was set up with
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "telemetry_removals",
        sa.Column("owner_uuid", sa.Uuid(), nullable=False),
        sa.Column("owner_type", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("owner_uuid", name=op.f("pk_telemetry_removals")),
    )
