"""What lists of units and nodes are read by, and how many acts there were"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INDEXES = (
    ("units", ("create_datetime",)),
    ("units", ("uuid", "visibility_level", "creator_uuid")),
    ("units_nodes", ("create_datetime",)),
    ("units_nodes", ("unit_uuid", "visibility_level", "creator_uuid", "uuid")),
    ("permissions", ("resource_unit_uuid", "agent_user_uuid")),
    ("permissions", ("resource_unit_node_uuid", "agent_user_uuid")),
)


def upgrade() -> None:
    for table, columns in _INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns), unique=False)
    for column in ("resource_unit_uuid", "resource_unit_node_uuid"):  # the longer indexes begin with them
        op.drop_index(op.f(f"ix_permissions_{column}"), "permissions")
    counter = op.create_table(
        "act_counter",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("acts", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_act_counter")),
    )
    op.bulk_insert(counter, [{"id": 1, "acts": 0}])
