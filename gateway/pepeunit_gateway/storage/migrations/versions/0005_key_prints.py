"""With which keys the rows were written"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# sorted by bytes, as on SQLite, and not by the language that the server was set up with
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "key_prints",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("encrypt_key", TEXT, nullable=False),
        sa.Column("secret_key", TEXT, nullable=False),
        sa.Column("domain", TEXT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_prints")),
    )
